"""Matrix: which arms are compared, which cells do not exist and why, which contrasts were planned.

Pure data and its expansion; `runs.py` holds the matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seglib.losses import LOSSES
from seglib.models import model_traits
from study.config import FIELDS
from study.record.files import Scalar
from study.values import canonical

Where = Mapping[str, Scalar]  # field, factor or `label` -> value
Bundles = Mapping[str, Mapping[str, Scalar]]  # a factor: level -> the fields it sets


@dataclass(frozen=True)
class Exclusion:
    """Cells that match `where` do not exist; the plan and the report say why."""

    where: Where
    reason: str


@dataclass(frozen=True)
class Contrast:
    """A planned difference, `a` minus `b`, once for every combination of the axes `within`."""

    family: str
    a: Where
    b: Where
    within: Sequence[str] = ()

    def pairs(self, cells: Sequence[Where]) -> list[tuple[int, int]]:
        """What it compares, as (index of a, index of b) among the cells' levels."""
        agree = (*self.within, "tuning")
        return [
            (i, j)
            for i, a in enumerate(cells)
            if matches(a, self.a)
            for j, b in enumerate(cells)
            if i != j and matches(b, self.b) and all(a.get(k) == b.get(k) for k in agree)
        ]


@dataclass(frozen=True)
class Saving:
    """What a study that does not fit into its time does without: recipe fields take other values,
    or the cells that match `leave_out` go."""

    reason: str
    recipe: Where = field(default_factory=dict)
    leave_out: Where = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A cell of a matrix: the fields it sets, its level of each factor, its label."""

    values: Mapping[str, Scalar]
    factors: Mapping[str, str] = field(default_factory=dict)
    label: str = ""

    @property
    def levels(self) -> dict[str, Scalar]:
        """All by which it can be named: fields, factors, label."""
        return {**self.values, **self.factors, **({"label": self.label} if self.label else {})}


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A comparison matrix: the product of `axes`, or explicit `cells`, less the exclusions.

    An axis is a field of RunConfig (or `loss.<param>`) with its values, or a factor: a name whose
    levels are bundles of fields, `"augmentation": {"weak": {"scale_max": 1.1}, "strong": {...}}`.
    An explicit cell maps field names to values; a key `label` replaces the part of the arm's name
    that follows the network. The axis `tuning` adds the tuned sister of every cell, whose values
    are known once `--tune` has found them.
    """

    axes: Mapping[str, Sequence[Scalar] | Bundles] = field(default_factory=dict)
    cells: Sequence[Where] = ()
    exclude: Sequence[Exclusion] = ()
    baseline: Where = field(default_factory=dict)
    contrasts: Sequence[Contrast] = ()
    spend: Sequence[Saving] = ()  # in this order, as far as a time budget needs it
    smallest_difference: float = 0.005  # mIoU, as a fraction

    def __post_init__(self) -> None:
        self._check_kinds()
        setters: dict[str, str] = {}
        for name, levels in self.axes.items():
            bundles = _bundles(name, levels)
            for fld in {fld: None for bundle in bundles for fld in bundle}:
                if fld in setters:
                    raise ValueError(
                        f"axis {name} must set fields that no other axis sets, got {fld}, which "
                        f"{setters[fld]} sets too"
                    )
                setters[fld] = name

    def _check_kinds(self) -> None:
        """What a hand that wrote the matrix may have got wrong at first sight."""
        kinds = {"axes": Mapping, "baseline": Mapping, "cells": Mapping}
        lists = {"exclude": Exclusion, "contrasts": Contrast, "spend": Saving}
        for name, kind in (kinds | lists).items():
            given = getattr(self, name)
            several = name in ("cells", *lists)
            if several and (isinstance(given, str) or not isinstance(given, Sequence)):
                raise ValueError(f"{name} must be a list, got {given!r}")
            for one in given if several else [given]:
                if not isinstance(one, kind):
                    what = "a mapping" if kind is Mapping else f"{kind.__name__}(...)"
                    raise ValueError(f"{name} must be {what}{' each' * several}, got {one!r}")

    @property
    def factors(self) -> dict[str, Bundles]:
        """The axes whose levels are bundles of fields."""
        return {k: v for k, v in self.axes.items() if isinstance(v, Mapping)}

    @property
    def tuned(self) -> bool:
        """Whether the tuned sisters of the cells belong to the matrix."""
        return "tuned" in self.axes.get("tuning", ())

    def expand(self) -> list[Point]:
        """The cells that exist, in order, without those that only a tuning can fill in."""
        exclusions = self._exclusions()
        return [
            point
            for point in self._all()
            if point.values["tuning"] == "default"
            and not any(matches(point.levels, e.where) for e in exclusions)
        ]

    def excluded(self) -> list[Exclusion]:
        """What is excluded, as far as the axes would hold it."""
        points = self.levels()
        return [e for e in self._exclusions() if any(matches(p, e.where) for p in points)]

    def levels(self) -> list[dict[str, Scalar]]:
        """By what each cell can be named, whether it exists or not."""
        return [point.levels for point in self._all()]

    def _exclusions(self) -> list[Exclusion]:
        """Those declared, and a pretrained start of each network without an encoder for it."""
        values = [point.values for point in self._all()]
        wanted = [one for one in values if one.get("init") == "pretrained" and "model" in one]
        reasons = {
            name: model_traits(str(name)).no_encoder for name in {one["model"]: 0 for one in wanted}
        }
        derived = [
            Exclusion({"model": name, "init": "pretrained"}, reason)
            for name, reason in reasons.items()
            if reason
        ]
        return [*self.exclude, *derived]

    def _all(self) -> list[Point]:
        names = list(self.axes)
        product = itertools.product(*self.axes.values()) if names else ()
        chosen = [dict(zip(names, levels, strict=True)) for levels in product]
        return [self._point(one) for one in (*chosen, *map(dict, self.cells))]

    def _point(self, chosen: dict[str, Scalar]) -> Point:
        label = str(chosen.pop("label", ""))
        values: dict[str, Scalar] = {"tuning": "default"}
        factors = {name: str(level) for name, level in chosen.items() if name in self.factors}
        for name, chosen_level in factors.items():
            if chosen_level not in (known := self.factors[name]):
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {chosen_level!r}")
        for name, level in chosen.items():
            values |= self.factors[name][str(level)] if name in factors else {name: level}
        return Point(_canonical(values), factors, label)

    def pairs(self, cells: Sequence[Where]) -> list[tuple[str, int, int]]:
        """The planned contrasts as (family, index of a, index of b) among the cells' levels."""
        return [(one.family, i, j) for one in self.contrasts for i, j in one.pairs(cells)]


def ladder(base: Where, *rungs: tuple[str, Where]) -> Matrix:
    """An ordered matrix: each rung is the cell before it with some fields changed.

    The planned contrasts are the consecutive rungs; the first rung is the baseline.
    Args:
        base: what the first rung starts from.
        rungs: (label, changed fields) each; a `loss.<param>` stays set as long as the loss has it.
    """
    if not rungs:
        raise ValueError("a ladder must have at least one rung, got none")
    cells, cell = [], dict(base)
    for label, changes in rungs:
        cell = {**cell, **changes, "label": label}
        cells.append(cell)
    contrasts = [
        Contrast("rung", {"label": after["label"]}, {"label": before["label"]})
        for before, after in itertools.pairwise(cells)
    ]
    return Matrix(cells=cells, baseline={"label": cells[0]["label"]}, contrasts=contrasts)


def _bundles(name: str, levels: object) -> list[Where]:
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


def _canonical(cell: Where) -> dict[str, Scalar]:
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
