"""Matrix: which arms are compared, which cells do not exist and why, which contrasts were planned.

Pure data and its expansion; `runs.py` holds the matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seglib.losses import LOSSES
from seglib.models import model_spec
from study.config import FIELDS
from study.values import canonical

Cell = Mapping[str, object]


@dataclass(frozen=True)
class Exclusion:
    """Cells that match `where` do not exist; the plan and the report say why."""

    where: Cell
    reason: str


@dataclass(frozen=True)
class Contrast:
    """A planned difference, `a` minus `b`, once for every combination of the axes `within`."""

    family: str
    a: Cell
    b: Cell
    within: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A comparison matrix: the product of `axes`, or explicit `cells`, less the exclusions.

    A cell maps field names to values (`loss.<param>` for a loss parameter); a key `label` replaces
    the part of the arm's name that follows the network. The axis `tuning` adds the tuned sister of
    every cell, whose values are known once `--tune` has found them.
    """

    axes: Mapping[str, Sequence[object]] = field(default_factory=dict)
    cells: Sequence[Cell] = ()
    exclude: Sequence[Exclusion] = ()
    baseline: Cell = field(default_factory=dict)
    contrasts: Sequence[Contrast] = ()
    smallest_difference: float = 0.005  # mIoU, as a fraction

    @property
    def tuned(self) -> bool:
        """Whether the tuned sisters of the cells belong to the matrix."""
        return "tuned" in self.axes.get("tuning", ())

    def expand(self) -> list[dict[str, object]]:
        """The cells that exist, in order, without those that only a tuning can fill in."""
        return [
            c
            for c in self._all()
            if c["tuning"] == "default" and not any(matches(c, e.where) for e in self._exclusions())
        ]

    def excluded(self) -> list[tuple[dict[str, object], str]]:
        """The cells that do not exist, one per excluded combination of values, and why."""
        return [
            (dict(exclusion.where), exclusion.reason)
            for exclusion in self._exclusions()
            if any(matches(cell, exclusion.where) for cell in self._all())
        ]

    def _exclusions(self) -> list[Exclusion]:
        """Those declared, and a pretrained start of each network without an encoder for it."""
        cells = [cell for cell in self._all() if cell.get("init") == "pretrained"]
        names = dict.fromkeys(str(cell["model"]) for cell in cells if "model" in cell)
        reasons = {name: model_spec(name).no_encoder for name in names}
        return [
            *self.exclude,
            *(
                Exclusion({"model": name, "init": "pretrained"}, reason)
                for name, reason in reasons.items()
                if reason
            ),
        ]

    def _all(self) -> list[dict[str, object]]:
        names = list(self.axes)
        product = itertools.product(*self.axes.values()) if names else ()
        cells = [dict(zip(names, values, strict=True)) for values in product]
        return [{"tuning": "default", **_canonical(cell)} for cell in (*cells, *self.cells)]

    def pairs(self, cells: Sequence[Cell]) -> list[tuple[str, int, int]]:
        """The planned contrasts as (family, index of a, index of b) among `cells`."""
        found = []
        for contrast in self.contrasts:
            for i, a in enumerate(cells):
                for j, b in enumerate(cells):
                    same = all(a.get(k) == b.get(k) for k in (*contrast.within, "tuning"))
                    if i != j and same and matches(a, contrast.a) and matches(b, contrast.b):
                        found.append((contrast.family, i, j))
        return found


def ladder(base: Cell, *rungs: tuple[str, Cell]) -> Matrix:
    """An ordered matrix: each rung is the cell before it with some fields changed.

    The planned contrasts are the consecutive rungs; the first rung is the baseline.
    Args:
        base: what the first rung starts from.
        rungs: (label, changed fields) each; a `loss.<param>` stays set as long as the loss has it.
    """
    cells, cell = [], dict(base)
    for label, changes in rungs:
        cell = {**cell, **changes, "label": label}
        cells.append(cell)
    contrasts = [
        Contrast("rung", {"label": after["label"]}, {"label": before["label"]})
        for before, after in itertools.pairwise(cells)
    ]
    return Matrix(cells=cells, baseline={"label": cells[0]["label"]}, contrasts=contrasts)


def matches(cell: Cell, where: Cell) -> bool:
    """Whether the cell has every value that `where` names."""
    return all(cell.get(name) == value for name, value in where.items())


def _canonical(cell: Mapping[str, object]) -> dict[str, object]:
    """The values of a matrix's cell, each in the one form of its field or loss parameter."""
    loss = LOSSES.get(str(cell.get("loss")))
    declared = loss.params if loss else {}
    found = {}
    for name, value in cell.items():
        if name in FIELDS and name != "loss_params":
            value = canonical(FIELDS[name], value)
        elif value is not None and name.removeprefix("loss.") in declared:
            value = declared[name.removeprefix("loss.")].check(name, value)
        found[name] = value
    return found
