"""Owns the pictures of an answer: intervals, classes, frequencies, confusions.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.figures import COLOURS, GREY, PALE, _message, _quiet, label_map, legend, plain

MARKS = {"better": COLOURS[0], "worse": COLOURS[1], "equivalent": COLOURS[2]}  # else grey


def intervals(contrasts: pd.DataFrame, smallest: float) -> Figure:
    """Estimate and adjusted 95 % interval of each contrast, in mIoU points; the band is +-smallest.

    Args: contrasts: as `comparisons.contrasts` gives it. smallest: a fraction.
    """
    rows = contrasts[contrasts["estimate"].notna()].to_dict("records")
    if not rows:
        return _message("no contrast has runs on both sides")
    figure = Figure(figsize=(9, 0.42 * len(rows) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-100 * smallest, 100 * smallest, color=PALE, zorder=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for y, row in enumerate(rows):
        colour = MARKS.get(row["verdict"], GREY)
        known = np.isfinite(row["low"])
        if known:
            axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=colour, linewidth=2)
        axes.plot(
            100 * row["estimate"],
            y,
            "o" if known else "D",
            color=colour,
            markersize=6,
            markerfacecolor=colour if known else "white",
        )
    axes.set_yticks(
        range(len(rows)),
        [plain(f"{row['a']}\nminus {row['b']} (n={row['n_a']}, {row['n_b']})") for row in rows],
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("difference in test mIoU, points", fontsize=8)
    _quiet(axes)
    axes.tick_params(axis="y", labelsize=6.5)
    words = dict.fromkeys(row["verdict"] for row in rows)
    handles = [
        Line2D([], [], color=MARKS.get(word, GREY), marker="o", linewidth=2) for word in words
    ]
    legend(figure, handles, list(words))
    return figure


def class_differences(classes: pd.DataFrame) -> Figure:
    """Heat map of per-class differences in points, contrasts x classes; a dot where it is told.

    Args: classes: as `comparisons.classes` gives it; classes are drawn from frequent to rare.
    """
    if not len(classes):
        return _message("no contrast has runs on both sides")
    order = classes.drop_duplicates("class").sort_values("fit_pixel_share", ascending=False)
    names = order["class"].tolist()
    pairs = list(dict.fromkeys(zip(classes["a"], classes["b"], strict=True)))
    values = np.full((len(pairs), len(names)), np.nan)
    told = np.zeros(values.shape, bool)
    for row in classes.to_dict("records"):
        at = pairs.index((row["a"], row["b"])), names.index(row["class"])
        values[at] = 100 * row["estimate"]
        told[at] = row["verdict"] in ("better", "worse")
    size = (0.55 * len(names) + 4.2, 0.42 * len(pairs) + 1.7)
    figure = Figure(figsize=(max(size[0], 6.5), size[1]), layout="constrained")
    axes = figure.subplots()
    far = max(1.0, float(np.nanmax(np.abs(values))))
    scale = Normalize(-far, far)
    image = axes.imshow(values, cmap="RdBu", norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        strong = abs(value) > 0.6 * far
        axes.text(
            column,
            row,
            f"{value:+.1f}" + ("*" if told[row, column] else ""),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if strong else "black",
            fontweight="bold" if told[row, column] else "normal",
        )
    label_map(
        axes,
        ScalarMappable(scale, image.cmap),
        [f"{a}\nminus {b}" for a, b in pairs],
        names,
        "points of test IoU",
        7,
    )
    return figure


def against_frequency(classes: pd.DataFrame, slopes: pd.DataFrame) -> Figure:
    """Per-class difference over the class's share of fit pixels (log), a panel per contrast."""
    pairs = list(dict.fromkeys(zip(classes["a"], classes["b"], strict=True)))
    if not pairs:
        return _message("no contrast has runs on both sides")
    n_columns = min(3, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure = Figure(figsize=(3.5 * n_columns, 2.7 * n_rows + 0.3), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(pairs) :]:
        axes.set_visible(False)
    for axes, (a, b) in zip(panels.flat, pairs, strict=False):
        rows = classes[(classes["a"] == a) & (classes["b"] == b) & (classes["fit_pixel_share"] > 0)]
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.plot(
            rows["fit_pixel_share"], 100 * rows["estimate"], "o", color=COLOURS[0], markersize=4
        )
        for row in rows.to_dict("records"):
            axes.annotate(
                plain(row["class"]),
                (row["fit_pixel_share"], 100 * row["estimate"]),
                fontsize=5.5,
                xytext=(2, 2),
                textcoords="offset points",
                color=GREY,
                rotation=35,
            )
        slope = slopes.loc[(slopes["a"] == a) & (slopes["b"] == b), "slope"].iloc[0]
        title = f"{a}\nminus {b}" + (
            f"\n{100 * slope:+.1f} points per tenfold pixels" if np.isfinite(slope) else ""
        )
        axes.set_title(plain(title), fontsize=6.5)
        axes.set_xscale("log")
        axes.margins(0.12, 0.15)  # room for the names
        _quiet(axes)
        axes.tick_params(labelsize=7)
    for axes in panels[:, 0]:
        axes.set_ylabel("points of IoU", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("share of fit pixels", fontsize=7)
    return figure


def confusions(parts: dict[str, np.ndarray], names: tuple[str, ...]) -> Figure:
    """Confusion matrices side by side, each row a class of the truth as shares of its pixels.

    Args: parts: title -> (C, C) pixel counts, rows truth. Rows without pixels stay empty.
    """
    n = len(names)
    side = max(3.2, 0.3 * n + 1.6)
    figure = Figure(figsize=(side * len(parts) + 0.6, side + 0.5), layout="constrained")
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    scale = Normalize(0, 1)
    for axes, (title, counts) in zip(panels, parts.items(), strict=True):
        totals = counts.sum(1, keepdims=True)
        shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
        image = axes.imshow(shares, cmap="cividis", norm=scale)
        for (row, column), value in np.ndenumerate(shares):
            if value >= 0.005 and n <= 12:
                axes.text(
                    column,
                    row,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=5.5,
                    color="white" if value < 0.47 else "black",
                )
        axes.set_xticks(
            range(n), map(plain, names), rotation=60, ha="right", rotation_mode="anchor", fontsize=6
        )
        axes.set_yticks(range(n), map(plain, names), fontsize=6)
        axes.set_title(plain(title), fontsize=8)
        axes.set_xlabel("predicted", fontsize=7)
    panels[0].set_ylabel("truth", fontsize=7)
    bar = figure.colorbar(ScalarMappable(scale, image.cmap), ax=list(panels), fraction=0.03)
    bar.set_label("share of the class's pixels", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return figure
