"""Owns the pictures of classes: how rare they are, their test IoU by arm, confusions.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.style import (
    COLOURS,
    GREY,
    HATCHED,
    PALE,
    Style,
    label_map,
    legend,
    letters_on,
    percent_axis,
    plain,
    quiet,
    wrap,
)
from seglib.drawing import cut
from study.record import SPLITS

MOST_LETTERS = 40  # of a class name


def per_class_map(per_class: pd.DataFrame, n_finished: Mapping[str, int]) -> Figure:
    """Heat map of mean test IoU, arms x classes; classes absent from the test truth are hatched.

    Args:
        per_class: as `tables.classes.per_class` gives it; its row order is the column order here.
        n_finished: the n of each arm's means; its keys are the rows.
    """
    values = per_class[list(n_finished)].to_numpy(dtype=float).T  # (arms, classes)
    size = (0.5 * len(per_class) + 3.6, 0.36 * len(values) + 1.7)
    figure = Figure(figsize=(max(size[0], 6), size[1]), layout="constrained")
    axes = figure.subplots()
    scale = Normalize(0, 1)
    image = axes.imshow(values, cmap="cividis", norm=scale, aspect="auto")
    in_test = per_class["in_test"].tolist()
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            hatch = "" if in_test[column] else "////"
            style: Style = {"facecolor": PALE, "edgecolor": HATCHED, "linewidth": 0, "hatch": hatch}
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))
        else:
            style = {"ha": "center", "va": "center", "color": letters_on(value)}
            axes.text(column, row, f"{value:.2f}", fontsize=7, **style)
    names = [
        cut(name, MOST_LETTERS) + ("" if there else " (not in test)")
        for name, there in zip(per_class["class"], in_test, strict=True)
    ]
    arms = [f"{arm} (n={n})" for arm, n in n_finished.items()]
    label_map(axes, ScalarMappable(scale, image.cmap), arms, names, "mean test IoU", 8)
    return figure


def class_frequencies(table: pd.DataFrame) -> Figure:
    """Share of pixels and of images per class in fit on a log axis, in the table's order.

    Args: table: as `tables.classes.class_frequencies` gives it. A class with share 0 is named so.
    """
    figure = Figure(figsize=(8, 0.38 * len(table) + 1.3), layout="constrained")
    axes = figure.subplots()
    kinds = {"pixels": ("fit_pixel_share", -0.2), "images": ("fit_image_share", 0.2)}
    shares = table[[column for column, _ in kinds.values()]].to_numpy()
    lowest = shares[shares > 0].min(initial=1.0) / 4
    bars = []
    for (column, offset), colour in zip(kinds.values(), COLOURS, strict=False):
        at = np.arange(len(table)) + offset
        bars.append(axes.barh(at, table[column], height=0.38, color=colour))
        for y, share in zip(at, table[column], strict=True):
            text = f"{100 * share:.3g}%" if share else "none in fit"
            axes.text(max(share, lowest) * 1.05, y, text, va="center", fontsize=7, color=GREY)
    axes.set_xscale("log")
    axes.set_xlim(lowest, 2)
    percent_axis(axes)
    names = [plain(cut(name, MOST_LETTERS)) for name in table["class"]]
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlabel("share of valid pixels / of images in fit (log scale)", fontsize=8)
    quiet(axes)
    legend(figure, bars, list(kinds))
    return figure


def frequency_bars(table: pd.DataFrame, n_images: Mapping[str, int]) -> Figure:
    """Pixel share (log) and image share of each class in fit, dev and test, in the table's order.

    Args: table: as `tables.classes.class_frequencies` gives it. n_images: of each split.
    """
    figure = Figure(figsize=(10, 0.5 * len(table) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    pixels = table[[f"{split}_pixel_share" for split in SPLITS]].to_numpy()  # (classes, 3)
    lowest = pixels[pixels > 0].min(initial=1.0) / 4
    style: Style = {"va": "center", "fontsize": 6.5, "color": GREY}
    bars = []
    for number, (split, colour) in enumerate(zip(SPLITS, COLOURS, strict=False)):
        at, n = np.arange(len(table)) + 0.27 * (number - 1), n_images[split]
        images = table[f"{split}_image_share"]
        bars.append(left.barh(at, pixels[:, number], height=0.26, color=colour))
        right.barh(at, images, height=0.26, color=colour)
        for y, pixel, image in zip(at, pixels[:, number], images, strict=True):
            text = f"{100 * pixel:.3g}%" if pixel else f"none in {split}"
            left.text(max(pixel, lowest) * 1.05, y, text, **style)
            right.text(image + 0.01, y, f"{round(image * n)} of {n}", **style)
    left.set_xscale("log")
    left.set_xlim(lowest, 3)
    right.set_xlim(0, 1.25)
    right.set_xticks(np.linspace(0, 1, 5))
    left.set_yticks(range(len(table)), [plain("\n".join(wrap(n, 26, 2))) for n in table["class"]])
    left.set_ylim(len(table) - 0.4, -0.6)
    for axes, label in ((left, "share of valid pixels (log scale)"), (right, "share of images")):
        axes.set_xlabel(label, fontsize=8)
        percent_axis(axes)
        quiet(axes)
    legend(figure, bars, list(SPLITS))
    return figure


def confusions(parts: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Confusion matrices side by side, each row a class of the truth as shares of its pixels.

    Args: parts: title -> (C, C) pixel counts, rows truth. Rows without pixels stay empty.
    """
    side = max(3.2, 0.3 * len(names) + 1.6)
    figure = Figure(figsize=(side * len(parts) + 0.6, side + 0.5), layout="constrained")
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (title, counts) in zip(panels, parts.items(), strict=True):
        image = _confusion(axes, counts, names)
        axes.set_title(plain(title), fontsize=8)
        axes.set_xlabel("predicted", fontsize=7)
    panels[0].set_ylabel("truth", fontsize=7)
    bar = figure.colorbar(image, ax=list(panels), fraction=0.03)
    bar.set_label("share of the class's pixels", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return figure


def _confusion(axes: Axes, counts: np.ndarray, names: Sequence[str]) -> ScalarMappable:
    """Draw one matrix; returns its scale of colours."""
    totals, at = counts.sum(1, keepdims=True), range(len(names))
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    image = axes.imshow(shares, cmap="cividis", norm=Normalize(0, 1))
    for (row, column), value in np.ndenumerate(shares):
        if value >= 0.005 and len(names) <= 12:
            style: Style = {"ha": "center", "va": "center", "color": letters_on(value)}
            axes.text(column, row, f"{100 * value:.0f}", fontsize=5.5, **style)
    turned: Style = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    short = [plain(cut(name, 30)) for name in names]
    axes.set_xticks(at, short, fontsize=6, **turned)
    axes.set_yticks(at, short, fontsize=6)
    return ScalarMappable(image.norm, image.cmap)
