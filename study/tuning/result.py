"""What finished tunings chose, for the tuned sisters of the arms. Imports no optuna.

Tunings are compared here: those of one study must have been done alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from study.record import Cell, Search, Tuned, TuningPlace, TuningResult
from study.record.files import Scalar
from study.study import Study
from study.tuning.options import TuningError


def place_of(out: Path, study: Study, cell: Cell, name: str) -> TuningPlace:
    """Where a tuning lies: named by data, recipe, network with its weights, and loss."""
    return TuningPlace(out, cell.arm, study.config(cell, 0).cell_id, name)


def tuned_values(
    out: Path, study: Study, cells: Sequence[Cell], name: str = ""
) -> dict[str, tuple[dict[str, Scalar], Tuned]]:
    """Per arm of the default cells: the values of its tuned sister, and how they were found.

    A finished tuning by random search, otherwise alike, is added as the control.
    Raises: TuningError when a tuning is not finished (naming the command) or budgets differ, also
        from those of the arms that the study has tuned cells of already; RecordError when a
        result is damaged.
    """
    found: dict[str, tuple[dict[str, Scalar], Tuned]] = {}
    for cell in cells:
        result = place_of(out, study, cell, name).read()
        if result is None:
            raise TuningError(_not_finished(cell, name))
        how = result.how()
        if name != "random":
            how = how.having(control=_control(place_of(out, study, cell, "random"), result))
        found[cell.arm] = {**cell.values, "tuning": "tuned", **result.params}, how
    new = {f"{cell.arm}-tuned" for cell in cells}
    before = {arm: how for arm, how in study.declaration.tunings.items() if arm not in new}
    _check_alike({**before, **{arm: how for arm, (_, how) in found.items()}})
    return found


def _not_finished(cell: Cell, name: str) -> str:
    named = f" --set tune.name={name}" if name else ""
    only = shlex.join(["--only", f"arm={cell.arm}"])
    return (
        f"no finished tuning for {cell.arm} with this data and recipe; run `python runs.py --tune "
        f"{only}{named}` with the same settings first"
    )


def _control(place: TuningPlace, result: TuningResult) -> Search | None:
    """How random search went with the same budget; None where that was not done."""
    other = place.read()
    epochs, objective, _, pruner = result.budget
    if other is None or other.budget != (epochs, objective, "random", pruner):
        return None
    return Search(**{name: getattr(other, name) for name in Search.model_fields})


def _check_alike(tunings: Mapping[str, Tuned]) -> None:
    if len({how.budget for how in tunings.values()}) > 1:
        got = "; ".join(f"{arm} {', '.join(map(str, t.budget))}" for arm, t in tunings.items())
        raise TuningError(
            "tuned arms must have been tuned alike (epochs, objective, sampler, pruner), got "
            f"{got}; give --tune the same --set tune.* for all"
        )
