"""What the levels of an axis may be, and the values of a cell in their one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seglib.losses import LOSSES
from study.config import FIELDS
from study.record.files import Scalar
from study.values import canonical

Where = Mapping[str, Scalar]  # field, factor or `label` -> value
Bundles = Mapping[str, Mapping[str, Scalar]]  # a factor: level -> the fields it sets


def bundles_of(name: str, levels: object) -> list[Where]:
    """What the levels of an axis set; of a plain axis, that it sets itself."""
    if isinstance(levels, Mapping):
        for level, bundle in levels.items():
            if not nameable(level):
                raise ValueError(
                    f"levels of factor {name} must be text without , = / and spaces around it, "
                    f"got {level!r}"
                )
            if not isinstance(bundle, Mapping):
                raise ValueError(
                    f"level {level} of factor {name} must map fields to values, got {bundle!r}"
                )
        return list(levels.values())
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        raise ValueError(f"axis {name} must list its values, got {levels!r}")
    return [{name: None}]


def nameable(name: object) -> bool:
    """Whether `--only` and the names of arms can hold it."""
    plain = isinstance(name, str) and name and name.isprintable() and name == name.strip()
    return bool(plain) and not set(",=/") & set(str(name))


def matches(cell: Where, where: Where) -> bool:
    """Whether the cell has every value that `where` names."""
    return all(cell.get(name) == value for name, value in where.items())


def canonical_cell(cell: Where) -> dict[str, Scalar]:
    """The values of a matrix's cell, each in the one form of its field or loss parameter."""
    loss = LOSSES.get(str(cell.get("loss")))
    declared = loss.params if loss else {}
    found: dict[str, Scalar] = {}
    for name, value in cell.items():
        if name in FIELDS and name != "loss_params":
            value = canonical(FIELDS[name], value)
        elif value is not None and name.removeprefix("loss.") in declared:
            value = declared[name.removeprefix("loss.")].check(name, value)
        found[name] = value
    return found
