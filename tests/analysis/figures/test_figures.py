"""Figures of runs and classes; the class colours."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import classes as class_figures
from analysis.figures import runs as run_figures
from analysis.figures.panel import colourize
from analysis.figures.style import voc_palette
from analysis.tables import arms, classes, runs
from seglib.data import shapes


def test_class_colours_are_those_of_the_stored_masks():
    """Written twice because analysis may not import seglib.data: the two must stay one table."""
    assert voc_palette().ravel().tolist() == shapes.voc_palette()


def test_figures_are_figures(study):
    per_class, n = classes.per_class(study), arms.n_finished(study)
    figure = class_figures.per_class_map(per_class, n)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert isinstance(figure, Figure) and labels[2] == "ring (not in test)"
    curves = run_figures.learning_curves(runs.history(study), ["bce", "dice_bce"])
    assert len(curves.axes) == 1  # only one network has finished runs
    assert sum(str(line.get_gid()).startswith("seed") for line in curves.axes[0].lines) == 6


def test_voc_colours():
    assert voc_palette()[[0, 1, 2, 15, 20]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
    ]
    assert colourize(np.full((4, 4), 255, np.uint8)).min() >= 200
