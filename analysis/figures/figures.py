"""Owns every picture of a report: tables and arrays in, a matplotlib Figure out.

No pyplot and no global state; names are drawn as they are (`$` starts no formula).
Must not know: studies, files, HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

# Okabe and Ito 2008, safe for colour-blind readers; its yellow is left out, too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
GREY, PALE = "#666666", "#eeeeee"


def learning_curves(
    history: pd.DataFrame, losses: Sequence[str], metric: str = "dev/miou"
) -> Figure:
    """One thin line per run over epochs, coloured by loss, one panel per network, shared y axis.

    Args:
        history: long form as `tables.history` gives it; the dot marks a run's best epoch.
        losses: every declared loss in order, so that a loss has one colour in all figures.
    """
    history = history[history["metric"] == metric]
    networks = list(dict.fromkeys(history["network"]))
    if not networks:
        return _message(f"no finished run has {metric}")
    colours = _assign(losses, COLOURS)
    dashes = _assign(history["variant"], DASHES)
    n_columns = min(len(networks), 3)
    n_rows = math.ceil(len(networks) / n_columns)
    figure = Figure(figsize=(max(3.6 * n_columns, 5), 3.1 * n_rows + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).flat
    handles: dict[str, Line2D] = {}
    for axes, network in zip(grid, networks, strict=False):
        lines = history[history["network"] == network]
        for (_, seed), line in lines.groupby(["arm", "seed"], sort=False):
            name, colour = line["variant"].iloc[0], colours[line["loss"].iloc[0]]
            style = {"color": colour, "linestyle": dashes[name], "linewidth": 1.1, "alpha": 0.85}
            axes.plot(line["epoch"], line["value"], **style, gid=f"seed {seed}")
            best = line[line["epoch"] == line["best_epoch"]]
            axes.plot(best["epoch"], best["value"], ".", color=colour, markersize=6)
            handles.setdefault(name, Line2D([], [], **style | {"linewidth": 2}))
        n_runs = len(lines[["arm", "seed"]].drop_duplicates())
        axes.set_title(plain(f"{network} ({_count(n_runs, 'run')})"), fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _quiet(axes)
    for axes in list(figure.axes)[len(networks) :]:
        axes.set_visible(False)
    for axes in list(figure.axes)[::n_columns]:
        axes.set_ylabel("dev mIoU" if metric == "dev/miou" else plain(metric), fontsize=8)
    legend(figure, list(handles.values()), list(handles))
    return figure


def summary_dots(
    summary: pd.DataFrame, runs: pd.DataFrame, floor: tuple[str, float] | None = None
) -> Figure:
    """Test mIoU of every finished run, one row per arm; the bar is the arm's mean.

    Args:
        summary, runs: as `tables.summary` and `tables.runs` give them.
        floor: class and test mIoU of the best constant prediction, drawn as a dashed line.
    """
    colours = _assign(summary["loss"], COLOURS)
    figure = Figure(figsize=(8, 0.34 * len(summary) + 1.4), layout="constrained")
    axes = figure.subplots()
    runs = runs[runs["state"] == "finished"]
    arms = summary.to_dict("records")
    for row, arm in enumerate(arms):
        values = runs.loc[runs["arm"] == arm["arm"], "test_miou"].to_numpy()
        offsets = (
            np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(len(values))
        )
        axes.plot(values, row + offsets, "o", color=colours[arm["loss"]], markersize=5, alpha=0.85)
        axes.plot(
            [arm["test/miou mean"]] * 2, [row - 0.32, row + 0.32], color="black", linewidth=1.6
        )
        if not len(values):
            axes.text(
                0.5,
                row,
                arm["status"],
                transform=axes.get_yaxis_transform(),
                fontsize=8,
                ha="center",
                va="center",
                color=GREY,
                style="italic",
            )
    axes.set_yticks(range(len(arms)), [plain(f"{arm['arm']} (n={arm['n']})") for arm in arms])
    axes.set_ylim(len(summary) - 0.4, -0.6)
    axes.set_xlabel("test mIoU", fontsize=8)
    handles = [Line2D([], [], color=c, marker="o", linestyle="") for c in colours.values()]
    handles.append(Line2D([], [], color="black", marker="|", linestyle="", markersize=10))
    labels = [*colours, "mean"]
    if floor is not None:
        handles.append(axes.axvline(floor[1], color=GREY, linestyle="--", linewidth=1))
        labels.append(f"always {floor[0]}: {floor[1]:.3f}")
    _quiet(axes)
    legend(figure, handles, labels)
    return figure


def per_class_map(per_class: pd.DataFrame, n_finished: Mapping[str, int]) -> Figure:
    """Heat map of mean test IoU, arms x classes; classes absent from the test truth are hatched.

    Args:
        per_class: as `tables.per_class` gives it; its row order is the column order here.
        n_finished: the n of each arm's means; its keys are the rows.
    """
    values = per_class[list(n_finished)].to_numpy(dtype=float).T  # (arms, classes)
    size = (0.5 * len(per_class) + 3.6, 0.36 * len(values) + 1.7)
    figure = Figure(figsize=(max(size[0], 6), size[1]), layout="constrained")
    axes = figure.subplots()
    scale = Normalize(0, 1)
    image = axes.imshow(values, cmap="cividis", norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            absent = not per_class["in_test"].iloc[column]
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=PALE,
                    linewidth=0,
                    edgecolor="#aaaaaa",
                    hatch="////" if absent else "",
                )
            )
        else:
            colour = "white" if value < 0.47 else "black"  # where their contrasts are equal
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour
            )
    names = [
        name if in_test else f"{name} (not in test)"
        for name, in_test in zip(per_class["class"], per_class["in_test"], strict=True)
    ]
    arms = [f"{arm} (n={n})" for arm, n in n_finished.items()]
    label_map(axes, ScalarMappable(scale, image.cmap), arms, names, "mean test IoU", 8)
    return figure


def label_map(
    axes: Axes,
    scale: ScalarMappable,
    rows: Sequence[str],
    columns: Sequence[str],
    meaning: str,
    size: float,
) -> None:
    """Names of rows and columns and the colour bar of a heat map; `size` of the names, points."""
    axes.set_xticks(
        range(len(columns)), map(plain, columns), rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(rows)), map(plain, rows))
    axes.tick_params(labelsize=size, length=0)
    axes.spines[:].set_visible(False)
    bar = axes.figure.colorbar(scale, ax=axes, pad=0.01, fraction=0.03)
    bar.set_label(meaning, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def class_frequencies(table: pd.DataFrame, split: str = "fit") -> Figure:
    """Share of pixels and of images per class on a log axis, in the table's order.

    Args: table: as `tables.class_frequencies` gives it. A class with share 0 is named so.
    """
    figure = Figure(figsize=(8, 0.38 * len(table) + 1.3), layout="constrained")
    axes = figure.subplots()
    kinds = {"pixels": (f"{split}_pixel_share", -0.2), "images": (f"{split}_image_share", 0.2)}
    shares = table[[column for column, _ in kinds.values()]].to_numpy()
    lowest = shares[shares > 0].min(initial=1.0) / 4
    bars = []
    for (column, offset), colour in zip(kinds.values(), COLOURS, strict=False):
        at = np.arange(len(table)) + offset
        bars.append(axes.barh(at, table[column], height=0.38, color=colour))
        for y, share in zip(at, table[column], strict=True):
            text = f"{100 * share:.3g}%" if share else f"none in {split}"
            axes.text(max(share, lowest) * 1.05, y, text, va="center", fontsize=7, color=GREY)
    axes.set_xscale("log")
    axes.set_xlim(lowest, 2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(table)), map(plain, table["class"]))
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel(f"share of valid pixels / of images in {split} (log scale)", fontsize=8)
    _quiet(axes)
    legend(figure, bars, list(kinds))
    return figure


def _assign(names: Iterable[str], choices: Sequence) -> dict:
    """Each distinct name, in order of appearance, gets the next choice (round again at the end)."""
    return {name: choices[i % len(choices)] for i, name in enumerate(dict.fromkeys(names))}


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: no formulas; a leading _ would hide it from a legend."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _quiet(axes: Axes) -> None:
    axes.grid(axis="x" if axes.yaxis_inverted() else "both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def legend(figure: Figure, handles: list, labels: list[str]) -> None:
    """One legend below all panels."""
    n_columns = max(1, min(len(labels), int(figure.get_figwidth() / 1.5)))
    figure.legend(
        handles,
        map(plain, labels),
        loc="outside lower center",
        fontsize=8,
        frameon=False,
        ncols=n_columns,
    )


def _message(text: str) -> Figure:
    figure = Figure(figsize=(6, 1))
    figure.text(0.5, 0.5, plain(text), ha="center", va="center", color=GREY)
    return figure
