"""Owns the picture of scores against costs, with the Pareto front of each.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figures.style import COLOURS, GREY, Style, assign, legend, quiet

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h")
FRONT: Style = {"markeredgecolor": "black", "markeredgewidth": 1.6}


def score_against_cost(table: pd.DataFrame, costs: dict[str, str]) -> Figure:
    """Mean test mIoU against each cost, a panel each: a shape a network, a colour a variant.

    Args:
        table: as `tables.pareto.pareto` gives it.
        costs: column -> what its axis says.
    """
    shapes, colours = assign(table["network"], MARKERS), assign(table["variant"], COLOURS)
    figure = Figure(figsize=(3.2 * len(costs), 3.6), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, (cost, label) in zip(panels, costs.items(), strict=True):
        on_front = table[table[f"front: {cost}"]].sort_values("test/miou mean")
        axes.plot(on_front[cost], on_front["test/miou mean"], color=GREY, linewidth=1, zorder=1)
        for one in table.to_dict("records"):
            look: Style = {"color": colours[one["variant"]], "markersize": 8, "alpha": 0.85}
            look |= FRONT if one[f"front: {cost}"] else {"markeredgewidth": 0}
            at = [one[cost]], [one["test/miou mean"]]
            axes.plot(*at, shapes[one["network"]], **look, gid=one["arm"])
        axes.set_xlabel(label, fontsize=8)
        _scale(axes, table[cost])
        axes.margins(0.08)
        quiet(axes)
    panels[0].set_ylabel("test mIoU, mean of n seeds", fontsize=8)
    handles = [Line2D([], [], color=GREY, marker=m, linestyle="") for m in shapes.values()]
    names = list(shapes)
    if len(colours) > 1:
        handles += [Line2D([], [], color=c, linewidth=5) for c in colours.values()]
        names += list(colours)
    ring: Style = {"marker": "o", "markerfacecolor": "white", **FRONT}
    legend(figure, [*handles, Line2D([], [], color=GREY, **ring)], [*names, "Pareto front"])
    return figure


def _scale(axes: Axes, costs: pd.Series) -> None:
    """Logarithmic where the costs lie far apart; labels at 1, 2, 5 of a few decades, 1 of many."""
    apart = costs.max() / costs.min() if costs.min() > 0 else 1.0
    if apart < 4:
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if apart < 100 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
