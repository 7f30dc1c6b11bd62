"""Studies made of recalls and noise, and what a report says of them."""

import numpy as np

from analysis.answer import answer
from analysis.records import read_study
from analysis.report.sentences import sentences
from tests.analysis.studies import cell, confusions, contrast, ious_of, write_run, write_study

FOCAL = cell("unet-scratch", "focal_tversky")
PRETRAINED, SCRATCH = cell("resnetunet-pretrained", "bce"), cell("resnetunet-scratch", "bce")
CLAIMS = ("better", "worse", "best", "wins", "higher", "lower", "equivalent")


def make(path, arms, *, contrasts=None, **changes):
    """A study; `arms` maps a cell's index to (cell, seeds, recalls of 3 classes, noise of a seed).

    Runs differ by seed through a shift of all recalls, and by image a little.
    """
    cells = [arm[0] for arm in arms]
    pairs = contrasts or [contrast(cells[1], cells[0])]
    root = write_study(path, cells, contrasts=tuple(pairs), baseline=cells[0].arm, **changes)
    for number, (one, seeds, recalls, noise) in enumerate(arms):
        for seed in seeds:
            rng = np.random.default_rng([number, seed])
            shifted = np.clip(np.array(recalls) + noise * rng.standard_normal(), 0, 1)
            test = confusions(shifted, rng)
            write_run(root, one, seed, ious_of(test), test=test)
    return root


def said(root):
    """The study, its answer and the sentences made of it."""
    study = read_study(root)
    found = answer(study, n_boot=400)
    return study, found, sentences(study, found)


def about(lines, start):
    return next(line for line in lines if line.startswith(start))
