"""Owns the pictures of runs: dev curves, test scores by arm.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    COLOURS,
    DASHES,
    GREY,
    Style,
    assign,
    count,
    legend,
    message,
    plain,
    quiet,
)


def learning_curves(history: pd.DataFrame, losses: Sequence[str]) -> Figure:
    """Dev mIoU over epochs: a thin line per run, coloured by loss, a panel per network.

    Args:
        history: long form as `tables.runs.history` gives it; the dot marks a run's best epoch.
        losses: every declared loss in order, so that a loss has one colour in all figures.
    """
    history = history[history["metric"] == "dev/miou"]
    networks = list(dict.fromkeys(history["network"]))
    if not networks:
        return message("no finished run has dev/miou")
    colours, dashes = assign(losses, COLOURS), assign(history["variant"], DASHES)
    n_columns = min(len(networks), 3)
    n_rows = math.ceil(len(networks) / n_columns)
    figure = Figure(figsize=(max(3.6 * n_columns, 5), 3.1 * n_rows + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    handles: dict[str, Line2D] = {}
    for axes, network in zip(grid.flat, networks, strict=False):
        lines = history[history["network"] == network]
        for name, handle in _curves(axes, lines, colours, dashes).items():
            handles.setdefault(name, handle)
        n_runs = len(lines[["arm", "seed"]].drop_duplicates())
        axes.set_title(plain(f"{network} ({count(n_runs, 'run')})"), fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        quiet(axes)
    for axes in grid.flat[len(networks) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("dev mIoU", fontsize=8)
    legend(figure, list(handles.values()), list(handles))
    return figure


def _curves(
    axes: Axes, lines: pd.DataFrame, colours: Mapping[str, str], dashes: Mapping[str, Hashable]
) -> dict[str, Line2D]:
    """Draw the runs of one network; what a legend shows of each of its arms, by variant."""
    handles: dict[str, Line2D] = {}
    for arm, mine in lines.groupby("arm", sort=False):
        name, colour = mine["variant"].iloc[0], colours[mine["loss"].iloc[0]]
        style: Style = {"color": colour, "linestyle": dashes[name], "alpha": 0.85}
        points = mine[["epoch", "value"]].to_numpy(float)
        runs = np.split(points, np.flatnonzero(np.diff(mine["seed"])) + 1)
        lines_of = LineCollection(runs, **style, linewidth=1.1, joinstyle="round", gid=str(arm))
        axes.add_collection(lines_of)
        best = points[(mine["epoch"] == mine["best_epoch"]).to_numpy()]
        axes.plot(*best.T, ".", color=colour, markersize=6)
        handles.setdefault(name, Line2D([], [], **style, linewidth=2))
    axes.autoscale_view()
    return handles


def summary_dots(summary: pd.DataFrame, runs: pd.DataFrame, floor: tuple[str, float]) -> Figure:
    """Test mIoU of every finished run, one row per arm; the bar is the arm's mean.

    Args:
        summary, runs: as `tables.arms.summary` and `tables.runs.runs` give them.
        floor: class and test mIoU of the best constant prediction, drawn as a dashed line.
    """
    colours = assign(summary["loss"], COLOURS)
    figure = Figure(figsize=(8, 0.34 * len(summary) + 1.4), layout="constrained")
    axes = figure.subplots()
    runs = runs[runs["state"] == "finished"]
    arms = summary.to_dict("records")
    for row, arm in enumerate(arms):
        values = runs.loc[runs["arm"] == arm["arm"], "test_miou"].to_numpy()
        _dots(axes, row, values, colours[arm["loss"]])
        mean, ends = arm["test/miou mean"], [row - 0.32, row + 0.32]
        axes.plot([mean] * 2, ends, color="black", linewidth=1.6)
        if not len(values):
            style: Style = {"fontsize": 8, "ha": "center", "va": "center", "style": "italic"}
            at = axes.get_yaxis_transform()
            axes.text(0.5, row, arm["status"], transform=at, color=GREY, **style)
    axes.set_yticks(range(len(arms)), [plain(f"{arm['arm']} (n={arm['n']})") for arm in arms])
    axes.set_ylim(len(summary) - 0.4, -0.6)
    axes.set_xlabel("test mIoU", fontsize=8)
    handles = [Line2D([], [], color=c, marker="o", linestyle="") for c in colours.values()]
    handles.append(Line2D([], [], color="black", marker="|", linestyle="", markersize=10))
    handles.append(axes.axvline(floor[1], color=GREY, linestyle="--", linewidth=1))
    quiet(axes)
    legend(figure, handles, [*colours, "mean", f"always {floor[0]}: {floor[1]:.3f}"])
    return figure


def _dots(axes: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """A dot per run around the height of its arm."""
    apart = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(len(values))
    axes.plot(values, row + apart, "o", color=colour, markersize=5, alpha=0.85)
