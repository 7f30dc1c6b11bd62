"""Owns the pictures of contrasts: intervals, differences per class, against frequency.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    COLOURS,
    GREY,
    NO_CONTRAST,
    PALE,
    Style,
    label_map,
    legend,
    message,
    plain,
    quiet,
)
from seglib.drawing import cut

MARKS = {"better": COLOURS[0], "worse": COLOURS[1], "equivalent": COLOURS[2]}  # else grey


def intervals(contrasts: pd.DataFrame, smallest: float) -> Figure:
    """Estimate and adjusted 95 % interval of each contrast, in mIoU points; the band is +-smallest.

    Args: contrasts: as `tables.contrasts.contrasts` gives it. smallest: a fraction.
    """
    rows = contrasts[contrasts["estimate"].notna()].to_dict("records")
    if not rows:
        return message(NO_CONTRAST)
    figure = Figure(figsize=(9, 0.42 * len(rows) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-100 * smallest, 100 * smallest, color=PALE, zorder=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for y, row in enumerate(rows):
        colour, known = MARKS.get(row["verdict"], GREY), np.isfinite(row["low"])
        if known:
            axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=colour, linewidth=2)
        mark, inside = ("o", colour) if known else ("D", "white")
        style: Style = {"color": colour, "markersize": 6, "markerfacecolor": inside}
        axes.plot(100 * row["estimate"], y, mark, **style)
    names = [f"{row['a']}\nminus {row['b']} (n={row['n_a']}, {row['n_b']})" for row in rows]
    axes.set_yticks(range(len(rows)), map(plain, names))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("difference in test mIoU, points", fontsize=8)
    quiet(axes)
    axes.tick_params(axis="y", labelsize=6.5)
    words = list(dict.fromkeys(row["verdict"] for row in rows))
    colours = [MARKS.get(word, GREY) for word in words]
    handles = [Line2D([], [], color=one, marker="o", linewidth=2) for one in colours]
    legend(figure, handles, words)
    return figure


def class_differences(classes: pd.DataFrame) -> Figure:
    """Heat map of per-class differences in points, contrasts x classes; a dot where it is told.

    Args: classes: as `tables.contrasts.classes` gives it; drawn from frequent to rare.
    """
    if not len(classes):
        return message(NO_CONTRAST)
    order = classes.drop_duplicates("class").sort_values("fit_pixel_share", ascending=False)
    names, pairs = order["class"].tolist(), _pairs(classes)
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
    for (y, x), value in np.ndenumerate(values):
        text, weight = (f"{value:+.1f}*", "bold") if told[y, x] else (f"{value:+.1f}", "normal")
        colour = "white" if abs(value) > 0.6 * far else "black"
        style: Style = {"ha": "center", "va": "center", "fontweight": weight, "color": colour}
        axes.text(x, y, text, fontsize=6.5, **style)
    colours, rows = ScalarMappable(scale, image.cmap), [f"{a}\nminus {b}" for a, b in pairs]
    names = [cut(name, 40) for name in names]
    label_map(axes, colours, rows, names, "points of test IoU", 7)
    return figure


def against_frequency(classes: pd.DataFrame, slopes: pd.DataFrame) -> Figure:
    """Per-class difference over the class's share of fit pixels (log), a panel per contrast."""
    pairs = _pairs(classes)
    if not pairs:
        return message(NO_CONTRAST)
    n_columns = min(3, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure = Figure(figsize=(3.5 * n_columns, 2.7 * n_rows + 0.3), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(pairs) :]:
        axes.set_visible(False)
    for axes, (a, b) in zip(panels.flat, pairs, strict=False):
        _by_share(axes, classes[(classes["a"] == a) & (classes["b"] == b)])
        slope = slopes.loc[(slopes["a"] == a) & (slopes["b"] == b), "slope"].iloc[0]
        told = f"\n{100 * slope:+.1f} points per tenfold pixels" if np.isfinite(slope) else ""
        axes.set_title(plain(f"{a}\nminus {b}{told}"), fontsize=6.5)
    for axes in panels[:, 0]:
        axes.set_ylabel("points of IoU", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("share of fit pixels", fontsize=7)
    return figure


def _by_share(axes: Axes, classes: pd.DataFrame) -> None:
    """Draw the classes of one contrast, each with its name."""
    rows = classes[classes["fit_pixel_share"] > 0]
    shares, points = rows["fit_pixel_share"], 100 * rows["estimate"]
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.plot(shares, points, "o", color=COLOURS[0], markersize=4)
    style: Style = {"xytext": (2, 2), "textcoords": "offset points", "color": GREY, "rotation": 35}
    for name, at in zip(rows["class"], zip(shares, points, strict=True), strict=True):
        axes.annotate(plain(cut(name, 24)), at, fontsize=5.5, **style)
    axes.set_xscale("log")
    axes.margins(0.12, 0.15)  # room for the names
    quiet(axes)
    axes.tick_params(labelsize=7)


def _pairs(classes: pd.DataFrame) -> list[tuple[str, str]]:
    """The contrasts of a table of classes, in order."""
    return list(dict.fromkeys(zip(classes["a"], classes["b"], strict=True)))
