"""Figures of runs and classes."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import classes as class_figures
from analysis.figures import runs as run_figures
from analysis.figures.panel import prediction_panel
from analysis.report.blocks import picture
from analysis.tables import arms, classes, runs


def test_figures_are_figures(study):
    per_class, n = classes.per_class(study), arms.n_finished(study)
    figure = class_figures.per_class_map(per_class, n)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert isinstance(figure, Figure) and labels[2] == "ring (not in test)"
    curves = run_figures.learning_curves(runs.history(study), ["bce", "dice_bce"])
    assert len(curves.axes) == 1  # only one network has finished runs
    of_arm = {one.get_gid(): one.get_segments() for one in curves.axes[0].collections}
    assert sum(map(len, of_arm.values())) == len(study.finished()) == 6
    run = study.finished()[-1]
    values = run.curve("dev/miou")
    there = ~np.isnan(values)
    assert of_arm[run.arm][-1].tolist() == [
        [epoch, value] for epoch, value in zip(run.told.epochs[there], values[there], strict=True)
    ]


def test_a_legend_of_many_classes_leaves_room_for_the_pictures():
    masks = [np.arange(40, dtype=np.uint8).reshape(5, 8)] * 2
    images = [np.zeros((5, 8, 3), np.uint8)] * 2
    heights = []
    for names in ([f"c{i}" for i in range(40)], [f"a name of a class {i} " * 9 for i in range(40)]):
        figure = prediction_panel(images, masks, {"arm": masks}, names, rows=["a", "b"])
        picture("a", figure, "", "")
        heights.append(figure.axes[0].get_window_extent().height / figure.dpi)
    assert min(heights) > 0.6  # inches
