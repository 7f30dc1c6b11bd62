"""Owns how figures look: colours, quiet axes, legends, names drawn as they are (`$` is no formula).

No pyplot and no global state. Must not know: studies, files, HTML.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from analysis.figures.fonts import escaped
from seglib.drawing import cut

# Okabe and Ito 2008, safe for colour-blind readers; its yellow is left out, too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
GREY, PALE, HATCHED = "#666666", "#eeeeee", "#aaaaaa"
MOST_LETTERS = 64  # of a line of a name
NO_CONTRAST = "no contrast has runs on both sides"
Style = dict[str, Any]  # how something is drawn, as matplotlib's functions take it
Choice = TypeVar("Choice")


def assign(names: Iterable[str], choices: Sequence[Choice]) -> dict[str, Choice]:
    """Each distinct name, in order of appearance, gets the next choice (round again at the end)."""
    return {name: choices[i % len(choices)] for i, name in enumerate(dict.fromkeys(names))}


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: no formulas; a leading _ would hide it from a legend.

    Each line is cut to `MOST_LETTERS`: longer ones would leave no room for the rest of a figure.
    """
    text = "\n".join(cut(line, MOST_LETTERS) for line in escaped(text).split("\n"))
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def count(n: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def wrap(text: str, n_letters: int, n_lines: int) -> list[str]:
    """Lines of at most `n_letters`, at most `n_lines` of them."""
    return textwrap.wrap(cut(text, n_letters * n_lines), n_letters)


def quiet(axes: Axes) -> None:
    """A pale grid behind, no frame above and to the right."""
    axes.grid(axis="x" if axes.yaxis_inverted() else "both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend below all panels, in as many columns as fit; for many lines the figure grows."""
    width = figure.get_figwidth()
    most = max(1, min(len(labels), int(width / 1.5)))
    n_columns = next((n for n in range(most, 1, -1) if _legend_width(labels, n) < width), 1)
    style: Style = {"loc": "outside lower center", "fontsize": 8, "frameon": False}
    figure.legend(handles, list(map(plain, labels)), ncols=n_columns, **style)
    n_lines = -(-len(labels) // n_columns)
    figure.set_figheight(figure.get_figheight() + 0.18 * max(0, n_lines - 2))


def _legend_width(labels: Sequence[str], n_columns: int) -> float:
    """About how wide a legend is, in inches: columns are filled one after the other."""
    columns = np.array_split([len(label) for label in labels], n_columns)
    return sum(0.5 + 0.065 * float(column.max(initial=0)) for column in columns)


def letters_on(value: float) -> str:
    """The colour of letters over a share drawn with cividis; at 0.47 both contrasts are equal."""
    return "white" if value < 0.47 else "black"


def percent_axis(axes: Axes) -> None:
    """Shares on the x axis as percents, without minor labels."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_map(
    axes: Axes,
    scale: ScalarMappable,
    rows: Sequence[str],
    columns: Sequence[str],
    meaning: str,
    size: float,
) -> None:
    """Names of rows and columns and the colour bar of a heat map; `size` of the names, points."""
    turned: Style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), map(plain, columns), **turned)
    axes.set_yticks(range(len(rows)), map(plain, rows))
    axes.tick_params(labelsize=size, length=0)
    axes.spines[:].set_visible(False)
    bar = axes.figure.colorbar(scale, ax=axes, pad=0.01, fraction=0.03)
    bar.set_label(meaning, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def message(text: str) -> Figure:
    """In place of a figure that has nothing to show."""
    figure = Figure(figsize=(6, 1))
    figure.text(0.5, 0.5, plain(text), ha="center", va="center", color=GREY)
    return figure
