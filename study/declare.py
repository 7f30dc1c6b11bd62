"""A fresh study: from a matrix, facts of data and a recipe to a declaration that is whole."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from seglib.metrics import CONTRACT
from seglib.models import is_own, own_source
from study.config import FIELDS
from study.matrix import Matrix, Point, matches
from study.record import Cell, DataFacts, Declaration, Excluded, Given
from study.record.files import Scalar
from study.study import Study, StudyError, contrast


def _blank(number: int, point: Point) -> Cell:
    """A cell that has no name yet."""
    return Cell(
        values=dict(point.values),
        factors=dict(point.factors),
        label=point.label,
        arm=f"{number}",
        network="",
        cell_id=None,
    )


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
) -> Study:
    """A fresh declaration, not saved yet. `given` is what the user typed: data and settings."""
    _check_factors(matrix)
    points = matrix.expand()
    models = dict.fromkeys(str(point.values["model"]) for point in points)
    blank = [_blank(number, point) for number, point in enumerate(points)]
    study = Study(
        path,
        Declaration(
            name=path.name,
            uuid=uuid.uuid4().hex,
            created=datetime.now(UTC).isoformat("T", "seconds"),
            matrix=matrix_name,
            data=data,
            recipe=dict(recipe),
            loss_params=dict(loss_params),
            factors={name: dict(levels) for name, levels in matrix.factors.items()},
            pretrained=pretrained,
            sources={model: own_source(model) for model in models if is_own(model)},
            given=given,
            cells=tuple(blank),
            excluded=tuple(
                Excluded(where=dict(one.where), reason=one.reason) for one in matrix.excluded()
            ),
            baseline="",
            smallest_difference=matrix.smallest_difference,
            contract=CONTRACT,
        ),
    )
    cells = study.named(blank)
    pairs = matrix.pairs([cell.levels for cell in cells])
    study.declaration = study.declaration.having(
        cells=cells,
        baseline=_baseline(matrix_name, matrix, cells),
        contrasts=tuple(contrast(family, cells[i].arm, cells[j].arm) for family, i, j in pairs),
    )
    return study


def _baseline(name: str, matrix: Matrix, cells: Sequence[Cell]) -> str:
    """The arm of the matrix's baseline."""
    for cell in cells:
        if matches(cell.levels, matrix.baseline):
            return cell.arm
    raise StudyError(
        f"the baseline of matrix {name} must be one of its cells, got {dict(matrix.baseline)}"
    )


def _check_factors(matrix: Matrix) -> None:
    """A factor must not be called as something else is."""
    known = {*FIELDS, "label", "network", "arm", "cell_id"}
    if taken := sorted(known & set(matrix.factors)):
        raise StudyError(
            f"a factor must have a name that no field has, got {', '.join(taken)}; give its "
            "values as a list, or call the factor otherwise"
        )
