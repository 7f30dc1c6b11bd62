"""A fresh study: from a matrix, facts of data and a recipe to a declaration that is whole."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from seglib.metrics import CONTRACT
from seglib.models import MODELS, model_source, model_spec
from study.config import FIELDS
from study.matrix import Matrix, Point, Saving, matches, nameable
from study.record import Budget, Cell, DataFacts, Declaration, Excluded, Given
from study.record.files import Scalar, complaint
from study.study import Study, StudyError, check_values, contrast


def _blank(number: int, point: Point) -> Cell:
    """A cell that has no name yet."""
    check_values(point.values)
    try:
        return Cell(
            values=dict(point.values),
            factors=dict(point.factors),
            label=point.label,
            arm=f"{number}",
            network="",
            cell_id=None,
        )
    except ValidationError as error:
        raise StudyError(f"a cell of the matrix {complaint(error)}") from None


def _source(model: str) -> str:
    """What tells a network that is not of MODELS apart; it can be imported and called."""
    model_spec(model)
    return model_source(model)


def declare(
    path: Path,
    *,
    matrix_name: str,
    matrix: Matrix,
    data: DataFacts,
    recipe: Mapping[str, Scalar],
    loss_params: Mapping[str, Scalar],
    pretrained: str,
    given: Given,
    budget: Budget | None = None,
    savings: Sequence[Saving] = (),
) -> Study:
    """A fresh declaration, not saved yet. `given` is what the user typed: data and settings.

    `savings` are those that `budget` took: their cells are left out; `recipe` has their fields.
    """
    _check_matrix(matrix)
    gone = [
        Excluded(
            where=dict(one.leave_out), reason=f"left out by --budget {budget.text}: {one.reason}"
        )
        for one in savings
        if budget and one.leave_out
    ]
    points = [
        point
        for point in matrix.expand()
        if not any(matches(point.levels, one.where) for one in gone)
    ]
    models = dict.fromkeys(str(point.values["model"]) for point in points)
    blank = [_blank(number, point) for number, point in enumerate(points)]
    try:
        declaration = Declaration(
            name=path.name,
            uuid=uuid.uuid4().hex,
            created=datetime.now(UTC).isoformat("T", "seconds"),
            matrix=matrix_name,
            data=data,
            recipe=dict(recipe),
            loss_params=dict(loss_params),
            factors={name: dict(levels) for name, levels in matrix.factors.items()},
            pretrained=pretrained,
            sources={model: _source(model) for model in models if model not in MODELS},
            given=given,
            cells=tuple(blank),
            excluded=(
                *(Excluded(where=dict(one.where), reason=one.reason) for one in matrix.excluded()),
                *gone,
            ),
            budget=budget,
            baseline="",
            smallest_difference=matrix.smallest_difference,
            contract=CONTRACT,
        )
    except ValidationError as error:
        raise StudyError(f"the study {complaint(error)}") from None
    study = Study(path, declaration)
    cells = study.named(blank)
    _check_names(matrix, cells)
    pairs = matrix.pairs([cell.levels for cell in cells])
    study.declaration = study.declaration.having(
        cells=cells,
        baseline=_baseline(matrix_name, matrix, cells),
        contrasts=tuple(contrast(family, cells[i].arm, cells[j].arm) for family, i, j in pairs),
    )
    return study


def _baseline(name: str, matrix: Matrix, cells: Sequence[Cell]) -> str:
    """The arm of the matrix's baseline; where a budget left it out, the arm most like it."""
    for cell in cells:
        if matches(cell.levels, matrix.baseline):
            return cell.arm
    if cells and any(matches(levels, matrix.baseline) for levels in matrix.levels()):
        wanted = matrix.baseline.items()
        return max(cells, key=lambda cell: sum(cell.levels.get(k) == v for k, v in wanted)).arm
    raise StudyError(
        f"the baseline of matrix {name} must be one of its cells, got {dict(matrix.baseline)}"
    )


def _check_matrix(matrix: Matrix) -> None:
    """A factor must not be called as something else is; some fields are one for all arms."""
    known = {*FIELDS, "label", "network", "arm", "cell_id"}
    if taken := sorted(known & set(matrix.factors)):
        raise StudyError(
            f"a factor must have a name that no field has, got {', '.join(taken)}; give its "
            "values as a list, or call the factor otherwise"
        )
    for name, levels in matrix.factors.items():
        if not nameable(name) or name.startswith("loss."):
            raise StudyError(
                "a factor must have a name without , = / and loss. before it, got " + repr(name)
            )
        if any("tuning" in bundle for bundle in levels.values()):
            raise StudyError(f"factor {name} must not set tuning, which is an axis of its own")
    if any("max_side" in levels for levels in matrix.levels()):
        raise StudyError(
            "max_side must be the same for all arms, which share the decoded images; compare "
            "studies, --set max_side=... each"
        )
    if not 0 <= matrix.smallest_difference <= 1:
        raise StudyError(
            "smallest_difference of a matrix must be in [0, 1], a share of mIoU, got "
            f"{matrix.smallest_difference}"
        )
    if not matrix.expand():
        raise StudyError("a matrix must have at least one cell, got none that is not excluded")


def _check_names(matrix: Matrix, cells: Sequence[Cell]) -> None:
    """What contrasts and exclusions speak of must be there: one that is not matches nothing."""
    every, named = matrix.levels(), [cell.levels for cell in cells]
    known = {name for levels in (*every, *named) for name in levels}
    asked = [
        (f"contrast {one.family}", name)
        for one in matrix.contrasts
        for name in (*one.a, *one.b, *([one.within] if isinstance(one.within, str) else one.within))
    ]
    asked += [(f"exclusion {one.reason!r}", name) for one in matrix.exclude for name in one.where]
    for what, name in asked:
        if name not in known:
            raise StudyError(
                f"{what} must name axes of the matrix ({', '.join(sorted(known))}), got {name!r}"
            )
    for one in matrix.contrasts:
        if isinstance(one.within, str):
            raise StudyError(f"contrast {one.family} must list the axes within, got {one.within!r}")
        if not (one.pairs(named) or one.pairs(every)):
            raise StudyError(
                f"contrast {one.family} must have cells to compare, got none with {dict(one.a)} "
                f"and {dict(one.b)} that agree in {', '.join(one.within) or 'their tuning'}"
            )
