"""Matrix: which arms are compared, which cells do not exist and why, which contrasts were planned.

Pure data and its expansion; `runs.py` holds the matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from seglib.models import model_traits
from study.config import FIELDS
from study.levels import Bundles, Where, bundles_of, canonical_cell, matches
from study.record.files import Scalar


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
    """What a budget may save on: cells that match `where` get smaller numbers, or are left out.

    `set` maps fields that no axis sets to numbers; a recipe whose number is smaller keeps it.
    """

    reason: str
    where: Where
    set: Mapping[str, int] = field(default_factory=dict)


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
    smallest_difference: float = 0.005  # mIoU, as a fraction
    spend: Sequence[Saving] = ()  # what `--budget` saves on, one after the other
    narrowed: Sequence[Saving] = ()  # of `spend`, those whose numbers the cells have

    def __post_init__(self) -> None:
        self._check_kinds()
        setters: dict[str, str] = {}
        for name, levels in self.axes.items():
            bundles = bundles_of(name, levels)
            for fld in {fld: None for bundle in bundles for fld in bundle}:
                if fld in setters:
                    raise ValueError(
                        f"axis {name} must set fields that no other axis sets, got {fld}, which "
                        f"{setters[fld]} sets too"
                    )
                setters[fld] = name
        own = set(FIELDS) - {*setters, *itertools.chain(*self.cells)}
        if taken := sorted({name for one in self.spend for name in one.set} - own):
            raise ValueError(
                f"spend must set fields of a run that no cell sets, got {', '.join(taken)}"
            )
        reasons = [one.reason for one in self.spend]
        if len({*reasons}) < len(reasons):
            raise ValueError(f"spend must have different reasons, got {', '.join(reasons)}")

    def _check_kinds(self) -> None:
        """What a hand that wrote the matrix may have got wrong at first sight."""
        kinds: dict[str, type] = {"axes": Mapping, "baseline": Mapping, "cells": Mapping}
        kinds |= {"exclude": Exclusion, "contrasts": Contrast, "spend": Saving}
        for name, kind in kinds.items():
            given = getattr(self, name)
            several = name not in ("axes", "baseline")
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
        point = Point(canonical_cell(values), factors, label)
        for one in self.narrowed:
            if matches(point.levels, one.where):
                point = replace(point, values={**point.values, **one.set})
        return point

    def shrinking(self, recipe: Where, given: Collection[str]) -> Matrix:
        """Without the savings on numbers that are as small in the recipe already, or are given."""

        def less(one: Saving) -> dict[str, int]:
            now = {name: recipe.get(name) for name in one.set if name not in given}
            return {k: one.set[k] for k, n in now.items() if isinstance(n, int) and one.set[k] < n}

        spend = [replace(one, set=less(one)) if one.set else one for one in self.spend]
        kept = [new for old, new in zip(self.spend, spend, strict=True) if new.set or not old.set]
        return replace(self, spend=kept)

    def saved(self, savings: Sequence[Saving], budget: str) -> Matrix:
        """This matrix after some savings; without its baseline, the cell most like it is one."""
        gone = [
            Exclusion(one.where, f"left out by --budget {budget}: {one.reason}")
            for one in savings
            if not one.set
        ]
        narrowed = [one for one in savings if one.set]
        left = replace(self, exclude=[*self.exclude, *gone], narrowed=narrowed)
        cells = [point.levels for point in left.expand()]
        if cells and not any(matches(cell, self.baseline) for cell in cells):
            wanted = self.baseline.items()
            left = replace(left, baseline=max(cells, key=lambda cell: len(wanted & cell.items())))
        return left

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
