"""Owns the picture of predictions beside images and truth.

Must not know: studies, files, HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from analysis.figures.fonts import called
from analysis.figures.style import GREY, HATCHED, legend, plain, wrap
from seglib.drawing import colourize, cut, palette
from seglib.metrics import VOID


def prediction_panel(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    classes: Sequence[str],
    *,
    rows: Sequence[str],
    notes: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Image, truth and one column of predicted class maps per arm; one row per image.

    Args:
        images: n of (H, W, 3) uint8. masks: n of (H, W) class ids, 255 = void (pale stripes).
        predictions: column title, of one or more lines -> n of (H, W) class ids.
        rows: n labels, of one or more lines. notes: column title -> n texts under its maps.
    """
    columns = {"image": images, "truth": masks, **predictions}
    ratios = [mask.shape[0] / mask.shape[1] for mask in masks]
    size = (1.25 * len(columns) + 1, 1.25 * sum(ratios) + 1.5 + 0.15 * len(masks) * bool(notes))
    figure = Figure(
        figsize=(max(size[0], 5), size[1]),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0),
    )
    grid = figure.subplots(len(masks), len(columns), squeeze=False, height_ratios=ratios)
    for column, (title, maps) in enumerate(columns.items()):
        for axes, shown in zip(grid[:, column], maps, strict=True):
            rgb = shown if shown.ndim == 3 else colourize(shown, classes)
            axes.imshow(rgb, interpolation="antialiased" if shown.ndim == 3 else "nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for axes, note in zip(grid[:, column], (notes or {}).get(title, ()), strict=False):
            axes.set_xlabel(note, fontsize=7, labelpad=1)
        grid[0, column].set_title(plain(_wrapped(title, 18)), fontsize=7, va="bottom")
    for axes, label in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(plain(_wrapped(label, 16)), rotation=0, ha="right", va="center", fontsize=7)
    _legend(figure, [m for maps in columns.values() for m in maps if m.ndim == 2], classes)
    return figure


def _legend(figure: Figure, maps: Sequence[np.ndarray], classes: Sequence[str]) -> None:
    """A legend of the classes in these maps."""
    seen = sorted(set().union(*map(np.unique, maps)) - {VOID})
    names, colours = [cut(name, 28) for name in called(classes)], palette(classes) / 255
    patches = [Patch(facecolor=colours[index], edgecolor=GREY) for index in seen]
    patches.append(Patch(facecolor="white", edgecolor=HATCHED, hatch="////"))
    legend(figure, patches, [*(names[index] for index in seen), "void (never scored)"])


def _wrapped(text: str, width: int) -> str:
    """Lines of a width, at most four for each line of a text."""
    return "\n".join(part for line in text.split("\n") for part in wrap(line, width, 4))
