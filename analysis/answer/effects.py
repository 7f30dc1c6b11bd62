"""Owns what averages over a whole grid say: main effects of its axes, and their interactions.

Axes are the network, the loss, and every field or factor in which the arms differ beside them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.answer.contrasts import UNKNOWN
from analysis.answer.scores import Scores
from analysis.records import Study
from analysis.statistics.factorial import INTERACTION, absent, crossed, factorial_weights, levels
from analysis.statistics.intervals import adjust, verdict
from study.record import Cell

COLUMNS = ["kind", "effect", "estimate", "low", "high", "p", "verdict"]


@dataclass(frozen=True)
class Crossing:
    """How the untuned arms cross their axes, and what keeps effects from being told."""

    axes: dict[str, Sequence[Hashable]]  # axis -> the level of each arm; two levels or more
    absent: tuple[tuple[str, ...], ...]  # combinations of levels that no arm has
    waiting: tuple[str, ...]  # arms without a finished run

    @property
    def n_cells(self) -> int:
        return math.prod(len(names) for names in levels(self.axes).values())

    @property
    def whole(self) -> bool:
        """Whether there are effects to tell beside the planned contrasts."""
        return len(self.axes) > 1 and not self.absent and not self.waiting


def crossing(study: Study, scores: Scores | None) -> Crossing:
    """The axes that the untuned arms of a study cross."""
    cells = study.untuned
    labels: dict[str, Sequence[Hashable]] = {
        "network": [cell.network for cell in cells],
        "loss": [cell.loss for cell in cells],
        **{axis: [_level(cell, axis) for cell in cells] for axis in study.varied},
    }
    axes = crossed(labels)
    finished = set(scores.arms) if scores else set()
    return Crossing(
        axes,
        tuple(tuple(map(str, cell)) for cell in absent(axes)) if axes else (),
        tuple(cell.arm for cell in cells if cell.arm not in finished),
    )


def _level(cell: Cell, axis: str) -> str:
    value = cell.levels.get(axis)
    return f"no {axis}" if value is None else f"{axis}={value}"


def effects(study: Study, scores: Scores | None, grid: Crossing, smallest: float) -> pd.DataFrame:
    """Main effects of the axes and their interactions, two axes at a time.

    Only where every combination of levels has one arm with a finished run. Exploratory: one family
    a kind. Returns: kind, effect, estimate, low, high, p, verdict.
    """
    if scores is None or not grid.whole:
        return pd.DataFrame(columns=COLUMNS)
    arms = [cell.arm for cell in study.untuned]
    found, rows = factorial_weights(grid.axes), []
    for kind in (*grid.axes, INTERACTION):
        names = [name for name in found if name[0] == kind]
        shares = [dict(zip(arms, found[name].tolist(), strict=True)) for name in names]
        family = adjust([scores.contrast(one).miou for one in shares])
        verdicts = verdict(family, smallest)
        for index, (_, a, b) in enumerate(names):
            one = family.at(index)
            word = str(verdicts[index]) if math.isfinite(one.low) else UNKNOWN
            text = _text(kind, a, b)
            rows.append((kind, text, one.estimate, one.low, one.high, one.p, word))
    return pd.DataFrame(rows, columns=COLUMNS)


def _text(kind: str, a: Hashable, b: Hashable) -> str:
    if kind == INTERACTION and isinstance(a, tuple) and isinstance(b, tuple):
        return f"{a[0]} minus {a[1]}: under {b[0]} minus under {b[1]}"
    return f"{a} minus {b}"
