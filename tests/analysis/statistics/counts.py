"""Pixel counts and intervals for the tests of the statistics."""

import numpy as np
import scipy.stats

from analysis.statistics.bootstrap import resample
from analysis.statistics.contrasts import Difference, contrast
from analysis.statistics.intervals import Interval

N, NAN = 12, np.nan


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def runs(n_runs: int, seed: int = 0, n_images: int = N) -> np.ndarray:
    """Runs on one truth: class 1 in every third image, class 2 in one, class 3 only predicted."""
    draw = rng(seed)
    truth = draw.integers(50, 100, (n_images, 4)) * [1, 1, 1, 0]
    truth[:, 1] *= np.arange(n_images) % 3 == 0
    truth[:, 2] *= np.arange(n_images) == 4
    tp = (truth * draw.random((n_runs, n_images, 4))).astype(int)
    fp = draw.integers(0, 40, tp.shape)
    return np.stack([tp, fp, truth - tp], axis=-1)


def with_scores(scores, n_images: int = N) -> np.ndarray:
    """A row per seed whose mIoU is the given score, in each image alike."""
    tp = np.rint(1000 * np.asarray(scores))[:, None, None] * np.ones((1, n_images, 1))
    return np.stack([tp, 0 * tp, 1000 - tp], axis=-1).astype(int)


def single(estimate, low, high, variance=1.0, df=10.0) -> Interval:
    p = 2 * scipy.stats.t.sf(abs(estimate) / np.sqrt(variance), df)
    return Interval(estimate, low, high, np.sqrt(variance), df, p, variance, df, 0.0, np.inf)


def recipe_interval(counts_a, counts_b, *, n_boot, rng, groups=None, pooled=None) -> Difference:
    """a minus b from counts (S_a, n_images, C, 3) and (S_b, n_images, C, 3)."""
    sample = resample([counts_a, counts_b], n_boot=n_boot, rng=rng, groups=groups)
    return contrast(sample, (1, -1), pooled=pooled)
