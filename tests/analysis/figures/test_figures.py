"""Figures of runs and classes."""

from matplotlib.figure import Figure

from analysis.figures import classes as class_figures
from analysis.figures import runs as run_figures
from analysis.tables import arms, classes, runs


def test_figures_are_figures(study):
    per_class, n = classes.per_class(study), arms.n_finished(study)
    figure = class_figures.per_class_map(per_class, n)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert isinstance(figure, Figure) and labels[2] == "ring (not in test)"
    curves = run_figures.learning_curves(runs.history(study), ["bce", "dice_bce"])
    assert len(curves.axes) == 1  # only one network has finished runs
    assert sum(str(line.get_gid()).startswith("seed") for line in curves.axes[0].lines) == 6
