"""Owns the sections on what a whole study tells: effects of its axes, what its seeds can tell.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

from analysis.answer import Answer
from analysis.report.blocks import Block, Columns, Section, Text, as_is, grid, grid_or
from analysis.report.contrasts import INTERVAL
from analysis.report.sentences import axes_named, effects_sentence
from analysis.report.wording import POINTS, smallest_points


def effects(answer: Answer) -> Section:
    """Main effects and interactions, or why there are none."""
    crossing = answer.grid
    named = axes_named(crossing) if len(crossing.axes) > 1 else "network and loss"
    title = f"Effects of {named}"
    if not crossing.whole:
        return Section(title, [Text(effects_sentence(crossing))])
    others = "the other axis" if len(crossing.axes) == 2 else "the other axes"
    differs = {"network and loss": "the effect of a loss differs between networks"}
    caption = (
        f"Exploratory, not declared before the runs: means over {others}, and how much "
        f"{differs.get(named, 'the effect of one axis differs between levels of another')} "
        "(interaction). Intervals adjusted within a kind. "
        "Where an interaction is told, the main effects are averages over unlike things."
    )
    columns: Columns = {**as_is("kind", "effect"), **INTERVAL, **as_is("verdict")}
    return Section(title, [grid(answer.effects, columns, caption)])


def noise(answer: Answer) -> list[Block]:
    """The smallest detectable difference in each network."""
    smallest = smallest_points(answer.smallest)
    columns: Columns = {
        **as_is("network"),
        "a": ("between a", str),
        "b": ("and b", str),
        "n": ("seeds", str),
        "seed sd": ("s.d. between seeds, points", _one_decimal),
        "image sd": ("s.d. over images, points", _one_decimal),
        "detectable": ("told 4 times in 5, points", _one_decimal),
        "seeds needed": (f"seeds for {smallest} points", lambda v: f"{v:.0f}"),
    }
    caption = (
        "One contrast within each network (the one of median precision), without adjustment: the "
        "true difference that would be told 4 times in 5 at two-sided 5 %, and the seeds per arm "
        "for the smallest difference of interest. The s.d. between seeds is of one arm, as far as "
        "it does not cancel in the contrast; over images, of the difference. inf: the images alone "
        "spread too much, or over 1000 seeds."
    )
    none = "No network has two arms with finished runs."
    return [grid_or(none, answer.noise, columns, caption)]


def _one_decimal(value: float) -> str:
    return f"{POINTS * value:.1f}"
