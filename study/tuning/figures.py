"""The figures of a tuning: the history of its trials, and a slice per parameter."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Callable
from functools import partial

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optuna.visualization.matplotlib as optuna_figures
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from study.record.files import atomic_write
from study.tuning.search import Tuning

FIGURES: dict[str, Callable[..., typing.Any]] = {
    "history": optuna_figures.plot_optimization_history,
    "slice": optuna_figures.plot_slice,
}


def draw(tuning: Tuning) -> None:
    """Write the figures, as PNG files beside the tuning's runs."""
    matplotlib.use("Agg")
    for name, function in FIGURES.items():
        with warnings.catch_warnings(), matplotlib.rc_context({"figure.autolayout": False}):
            warnings.simplefilter("ignore")
            axes = function(tuning.optuna, target_name=f"dev {tuning.options.objective}")
            figure = np.ravel(axes)[0].figure
            for one in figure.axes:
                _label(one)
            save = partial(figure.savefig, format="png", dpi=100, bbox_inches="tight")
            atomic_write(tuning.place.runs / f"{name}.png", save)
        plt.close(figure)


def _label(axes: Axes) -> None:
    """On a log scale, label few ticks: labels of the minor ones would overlap."""
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
