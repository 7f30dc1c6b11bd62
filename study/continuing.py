"""Whether a stored study is the one that is asked for; if not, what differs and what to do.

And whether its runs are what they were.
"""

from __future__ import annotations

import shlex

from seglib.data.integrity import changes, find_store
from seglib.metrics import CONTRACT
from study.config import FIELDS, RECIPE, RunConfig
from study.record import Declaration, RecordError, files, run_dirs
from study.record.files import as_text
from study.record.inside import check_file
from study.record.rundir import WAY_OUT
from study.study import FIRST, Study, StudyError, load


def open_or_create(
    fresh: Study, *, given: frozenset[str] = frozenset(), budget: str | None = None
) -> tuple[Study, bool]:
    """The stored study that `fresh` asks for, or `fresh` itself; second: whether it is new.

    `given` names what the user set; precision left to `auto` follows the stored study. `budget` is
    the one asked for.
    Raises: StudyError with both values when the stored study has another recipe; RecordError when
        it, or one of its runs, is not as it was written.
    """
    if not check_file(fresh.path / files.STUDY):
        return fresh, True
    stored = load(fresh.path)
    old, new = stored.declaration, fresh.declaration
    if "precision" not in given:
        precision = {"precision": old.recipe.get("precision")}
        new = new.having(recipe=new.recipe | precision)
    differences, flags = _other_settings(old, new)
    # another max_side changes the stored pixels, and with them the fingerprint
    if old.recipe.get("max_side") == new.recipe.get("max_side") and (
        found := _other_data(stored, fresh)
    ):
        differences.append(found)
        flags.append("the same data")
    for name in ("pretrained", "matrix"):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            differences.append(f"{name} {before} (now {now})")
            flags.append(shlex.join([f"--{name}", str(before)]))
    before, now = (old.budget.given if old.budget else "none"), budget or "none"
    if before != now:
        differences.append(f"budget {before} (now {now})")
        flags += [shlex.join(["--budget", before])] if old.budget else []
    if old.contract != CONTRACT:
        differences.append(f"the metric contract {old.contract} (now {CONTRACT})")
    if not differences and _default_cells(old) != _default_cells(new):
        differences.append(f"the cells of matrix {old.matrix} as they were")
    if differences:
        ways = [f"give {' '.join(flags)}"] if flags else []
        ways += ["leave --budget out"] if budget and not old.budget else []
        back = f"{' and '.join(ways)} to continue it, or " if ways else "use "
        raise StudyError(
            f"study {stored.name} was declared with {', '.join(differences)}; "
            f"{back}--study NEWNAME for a new one"
        )
    check_runs(stored)
    return stored, False


def check_runs(study: Study) -> None:
    """Raise RecordError when a run of a declared arm is not the one that its folder is named by.

    Its fields must hash to its ids: a run whose seed was edited is no other run.
    """
    declared = {cell.cell_id for cell in study.cells}
    for run_dir in run_dirs(study.path / files.RUNS):
        record = run_dir.record()
        if record.cell_id not in declared:
            continue
        config = object.__new__(RunConfig)  # as it is stored: a check would take the most time
        for name, spec in FIELDS.items():
            vars(config)[name] = record.config.get(name, spec.metadata.get("introduced"))
        try:
            ids = (config.run_id, config.cell_id)
        except (KeyError, TypeError, ValueError, AttributeError):
            ids = ("?", "?")
        if ids != (record.run_id, record.cell_id):
            raise RecordError(
                f"{run_dir.config} must be as it was written, got run {record.run_id} of cell "
                f"{record.cell_id} (seed {record.seed}) whose fields are those of run {ids[0]} of "
                f"cell {ids[1]}; {WAY_OUT}"
            )


def _default_cells(declaration: Declaration) -> list[tuple]:
    return [(c.values, c.factors, c.label) for c in declaration.cells if not c.tuned]


def _other_settings(old: Declaration, new: Declaration) -> tuple[list[str], list[str]]:
    """The settings that differ, in words, and the flags that would give them back."""
    differences, flags = [], []
    before, now = FIRST | old.recipe | old.loss_params, FIRST | new.recipe | new.loss_params
    for name in (*RECIPE, *sorted(old.loss_params | new.loss_params)):
        if before.get(name) != now.get(name):
            was = as_text(before.get(name))
            differences.append(f"{name}={was} (now {as_text(now.get(name))})")
            if before.get(name) is not None or name in RECIPE:
                flags.append(shlex.join(["--set", f"{name}={was}"]))
    return differences, flags


def _other_data(stored: Study, fresh: Study) -> str:
    """How the data differ, file by file where the stored study's decoded images are still there."""
    old, new = stored.declaration.data, fresh.declaration.data
    if old.fingerprint == new.fingerprint:
        return ""
    elsewhere = old.path != new.path
    places = f" from {old.path}" * elsewhere, f" from {new.path}" * elsewhere
    root = fresh.path.parent / "store"
    before, after = (find_store(root, data.fingerprint) for data in (old, new))
    what = "the images as first decoded are no longer there"
    if before and after:
        what = changes(before, after)
    return f"data {old.fingerprint[:12]}{places[0]} (now {new.fingerprint[:12]}{places[1]}: {what})"
