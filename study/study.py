"""Study: a declaration that can be asked for the configuration of its runs, and can grow.

What is stored is `study.record.declaration`; here is what the settings of a cell mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from seglib.losses import loss_spec
from seglib.models import SourceError, model_traits
from study.config import AXES, FIELDS, RECIPE, RunConfig
from study.record import (
    Cell,
    Contrast,
    Declaration,
    RecordError,
    RunDir,
    Tuned,
    WeightsFile,
    files,
    read_declaration,
    write_json,
)
from study.record.declaration import NEEDED, WAY_OUT
from study.record.files import Scalar, as_text
from study.values import nearest

# What a field that is newer than a study had in it.
FIRST: dict[str, Scalar] = {name: FIELDS[name].metadata["introduced"] for name in RECIPE}
CROSS_ENTROPY_FIELDS = {"class_weight_exponent": 0.0, "background_multiplier": 1.0}


class StudyError(ValueError):
    """A study cannot be created or continued as asked; the message says what to do."""


class Study:
    """A declared study in its folder."""

    def __init__(self, path: Path, declaration: Declaration) -> None:
        self.path, self.declaration = path, declaration

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.declaration.cells

    @property
    def n_classes(self) -> int:
        return len(self.declaration.data.classes)

    def save(self) -> None:
        """Write study.json."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / files.STUDY, self.declaration)

    def config(self, cell: Cell, seed: int, *, role: str = "final", **more: object) -> RunConfig:
        """The configuration of one run of a cell; pretrained cells need the weights resolved."""
        declared, spec = self.declaration, loss_spec(cell.loss)
        given = declared.loss_params | cell.values
        params = {name: given[f"loss.{name}"] for name in spec.params if f"loss.{name}" in given}
        values = {k: v for k, v in cell.values.items() if not k.startswith("loss.")}
        recipe = FIRST | declared.recipe  # a field that is newer than the study
        if not spec.cross_entropy:
            recipe |= {k: v for k, v in CROSS_ENTROPY_FIELDS.items() if k not in values}
        weights = declared.weights.get(self.classifier(cell))
        if weights and values["init"] == "pretrained":
            values |= {"weights": weights.sha256, "weights_source": weights.source}
        run = {"data": declared.data.fingerprint, "seed": seed, "role": role}
        if source := declared.sources.get(str(values["model"])):
            run["model_source"] = source
        return RunConfig.of({**run, "loss_params": params, **recipe, **values, **more})

    def resolvable(self, cell: Cell) -> bool:
        """Whether the cell's run ids are known (a pretrained one needs its weights' hash)."""
        there = self.classifier(cell) in self.declaration.weights
        return cell.values["init"] != "pretrained" or there

    def classifier(self, cell: Cell) -> str:
        """The classifier whose pretrained weights a cell would use; "" where it can use none."""
        encoder = str(cell.values.get("encoder", self.declaration.recipe["encoder"]))
        return model_traits(str(cell.values["model"])).classifier_for(encoder)

    def stand_in(self, cell: Cell) -> dict[str, str]:
        """Weights for a configuration that is looked at before the real ones are known."""
        return {} if self.resolvable(cell) else {"weights": "0" * 64, "weights_source": "?"}

    def run_dir(self, config: RunConfig) -> RunDir:
        return RunDir(self.path / files.RUNS / config.run_id)

    def set_weights(self, classifier: str, source: str, sha256: str) -> None:
        """Record a classifier's pretrained weights; another file than before is another recipe."""
        old = self.declaration.weights.get(classifier)
        new = WeightsFile(source=source, sha256=sha256)
        if old and old != new:
            raise StudyError(
                f"study {self.name} was run with weights {old.source} {old.sha256[:12]}, "
                f"got {source} {sha256[:12]}; use --study NEWNAME for a new study"
            )
        weights = self.declaration.weights | {classifier: new}
        self.declaration = self.declaration.having(weights=weights)
        self._set_cells(self.cells)

    def named(self, cells: Iterable[Cell]) -> tuple[Cell, ...]:
        """The cells with their names and hashes, as far as those are known.

        Raises: StudyError for cells that are the same run, or share a name.
        """
        found: list[Cell] = []
        same: dict[str, Cell] = {}
        for cell in cells:
            check_values(cell.values)
            config = self.config(cell, 0, **self.stand_in(cell))
            twin = same.setdefault(config.cell_id, cell)
            if twin is not cell:
                first, second = ({**one.values, **one.factors} for one in (twin, cell))
                raise StudyError(
                    f"cells {first} and {second} are the same run: what differs does not apply to "
                    "that model or loss, or is the default"
                )
            known = config.cell_id if self.resolvable(cell) else None
            arm = self._arm(cell, config.network)
            found.append(cell.having(arm=arm, network=config.network, cell_id=known))
        arms = [cell.arm for cell in found]
        if len(set(arms)) != len(arms):
            raise StudyError(f"arms must have different names, got {', '.join(arms)}")
        return tuple(found)

    def _arm(self, cell: Cell, network: str) -> str:
        usual = f"{network}-{cell.label or cell.loss}"
        if cell.tuned:
            return f"{cell.default or usual}-tuned"
        bundled = {
            field
            for factor, level in cell.factors.items()
            for field in self.declaration.factors[factor][level]
        } | self.declaration.narrowed
        own = [name for name in cell.values if name not in AXES and name not in bundled]
        extra = {name: as_text(cell.values[name]) for name in own} | cell.factors
        return "-".join([usual, *([] if cell.label else (f"{k}={v}" for k, v in extra.items()))])

    def _set_cells(self, cells: Iterable[Cell]) -> None:
        self.declaration = self.declaration.having(cells=self.named(cells))

    def add_tuned(self, found: Mapping[str, tuple[dict[str, Scalar], Tuned]]) -> None:
        """Add the tuned sisters of default arms, with how they were chosen.

        Their contrasts: each with its default arm, and those planned between default arms once
        more between their tuned sisters. A cell that is there already must be the same.

        Args:
            found: default arm -> the tuned cell's values, and how they were found.
        """
        cells, tunings = list(self.cells), dict(self.declaration.tunings)
        contrasts = list(self.declaration.contrasts)
        there = {cell.arm: cell for cell in cells}
        for default, (values, how) in found.items():
            origin = self.declaration.cell(default)
            tuned = origin.having(values=values, default=default, arm=f"{default}-tuned")
            before = there.get(tuned.arm)
            if before is not None and before.values != values:
                raise StudyError(
                    f"study {self.name} has {tuned.arm} with other tuned values than "
                    "the tuning now holds; use --study NEWNAME for a new study"
                )
            tunings[tuned.arm] = how
            if before is None:
                cells.append(tuned.having(cell_id=None))
                contrasts.append(contrast("tuning", tuned.arm, default))
        named = self.named(cells)
        arms = {cell.arm for cell in named}
        for planned in list(contrasts):
            a, b = f"{planned.a}-tuned", f"{planned.b}-tuned"
            again = contrast(f"{planned.family}, tuned", a, b)
            if {a, b} <= arms and again not in contrasts:
                contrasts.append(again)
        self.declaration = self.declaration.having(
            cells=named, contrasts=tuple(contrasts), tunings=tunings
        )


def check_values(values: Mapping[str, Scalar]) -> None:
    """Raise StudyError unless a cell says what it trains, and sets what its loss and runs have."""
    if missing := [name for name in NEEDED if name not in values]:
        raise StudyError(f"a cell must have {', '.join(missing)}, got {dict(values)}")
    declared = {f"loss.{name}" for name in loss_spec(str(values["loss"])).params}
    known = {*RECIPE, *AXES, *declared} - {"seed"}  # every arm has all seeds
    if unknown := [name for name in values if name not in known]:
        hint = nearest(unknown[0], known)
        raise StudyError(
            f"a cell with loss {values['loss']} cannot set {', '.join(unknown)}"
            + (f"; {hint}" if hint else "")
        )


def contrast(family: str, a: str, b: str) -> Contrast:
    """The contrast of two arms under its usual name."""
    return Contrast(name=f"{a} minus {b}", family=family, a=a, b=b)


def load(path: Path, *, to_run: bool = True) -> Study:
    """The study stored at `path`; to be read alone where not `to_run`.

    Raises: RecordError when there is none, or it is not as written: its cells must hash to the ids
        that stand beside them; SourceError when a network of the user's, which runs need, is not
        what it was.
    """
    study = Study(path, read_declaration(path))
    file = path / files.STUDY
    try:
        again = study.named(study.cells)
    except SourceError:
        if to_run:
            raise
        return study
    except (ValueError, KeyError, TypeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _not_as_written(file, what[:500]) from None
    for before, now in zip(study.cells, again, strict=True):
        if before != now:
            stored, wanted = ((c.arm, c.network, c.cell_id) for c in (before, now))
            raise _not_as_written(file, f"a cell {stored} whose settings are those of {wanted}")
    return study


def _not_as_written(file: Path, what: str) -> RecordError:
    return RecordError(f"{file} must be as it was written, got {what}; {WAY_OUT}")
