"""Owns a difference of arms with its interval: over images alone, or over seeds and images.

Two claims are kept apart. `paired_bootstrap` resamples images and speaks of *these weights*;
`contrast` adds the variance between seeds and speaks of the *recipe*.
Counts and scores are those of `bootstrap`. Must not know: runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from analysis.statistics.bootstrap import Resampled, checked, replicates, resample
from analysis.statistics.covariance import variance_of
from analysis.statistics.intervals import Interval, Intervals, t_interval
from analysis.statistics.seeds import ALPHA, SeedVariance, seed_variance, variance_over

MIN_GROUPS = 5  # with fewer groups, or images, nothing is said about other images
Lent = SeedVariance | tuple[npt.ArrayLike, npt.ArrayLike] | None


@dataclass(frozen=True, eq=False)
class Difference:
    """A contrast of arms: mIoU, and (C,) arrays per class (NaN where the truth lacks the class)."""

    miou: Interval
    per_class: Intervals
    n_units: int  # images, or groups where given, with any truth
    images_fixed: bool = False  # True: seeds alone, so "on these images"

    @property
    def df(self) -> float:
        return self.miou.df


def paired_bootstrap(
    counts_a: np.ndarray,
    counts_b: np.ndarray,
    *,
    n_boot: int,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
) -> Difference:
    """Percentile interval of a minus b for *these weights*: images are random, seeds are not.

    It says nothing about training again. With few images or groups (`n_units`) it is too narrow.
    Args: counts_a, counts_b: (n_images, C, 3); the rest as in `resample`.
    """
    pair = [checked(counts, "(n_images, C, 3)", 3)[None] for counts in (counts_a, counts_b)]
    state = rng.bit_generator.state
    sample = resample(pair, n_boot=n_boot, rng=rng, groups=groups)
    rng.bit_generator.state = state  # the same resamples
    scores = replicates(pair, n_boot=n_boot, rng=rng, groups=groups)
    drawn = scores[:, 0] - scores[:, 1]
    low, high = np.full((2, drawn.shape[1]), np.nan)
    for column, values in enumerate(drawn.T):
        kept = values[~np.isnan(values)]  # replicates that hold the class
        if len(kept):
            low[column], high[column] = np.quantile(kept, (ALPHA / 2, 1 - ALPHA / 2))
    variance, none = variance_over(drawn), np.full_like(low, np.nan)
    estimate = sample.observed[0][0] - sample.observed[1][0]
    columns = Intervals(
        estimate, low, high, np.sqrt(variance), none, none, none, none, variance, none
    )
    return _difference(columns, sample.n_units, images_fixed=False)


def contrast(sample: Resampled, weights: npt.ArrayLike, *, pooled: Lent = None) -> Difference:
    """t interval of a weighted sum of arms' means over seeds, in the unit of the scores.

    Its variance adds two parts:
    seeds: `pooled` x sum of w_a^2 / S_a, how means over S_a seeds scatter on *these* images. It
        holds the interaction of seeds and images too.
    images: the bootstrap variance of the contrast of the means, less the part of it that is
        interaction (bootstrap variance of each seed's distance from the mean), which `seeds` has
        counted; at least 0. Rows of the arms are taken together, so what a shared seed does to all
        arms alike is in neither part. With unequal S nothing is taken off (too wide, if anything).
        n units (for a class those that hold it) give the factor n / (n - 1) and n - 1 df.
    With under 5 groups there is no image part and `images_fixed` is set.

    Args:
        weights: (A,).
        pooled: (variance, df) of one arm's score between seeds, as fractions squared: arrays (K,)
            from `seed_variance`, or two numbers for mIoU alone. None: each arm's own, seeds taken
            as independent (Welch). Without df for seeds, e.g. one seed on a side, no bounds.
    Source: variance components of a crossed design, Searle, Casella & McCulloch 1992, chapter 4.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (len(sample.observed),) or not weights.any():
        raise ValueError(
            f"weights must be {len(sample.observed)} numbers, one per arm and not all "
            f"0, got {weights.tolist()}"
        )
    variance, df = _seeds(sample, weights, pooled)
    used = weights != 0
    n_seeds = np.array([len(scores) for scores in sample.observed])[used]
    estimate = _sum(weights, [scores.mean(0) for scores in sample.observed])
    fixed = bool(sample.n_units[0] < MIN_GROUPS)
    images, image_df = np.zeros(len(sample.n_units)), np.full(len(sample.n_units), np.inf)
    if not fixed:
        images, image_df = _images(sample, weights, n_seeds)
    seeds = variance * (weights[used] ** 2 / n_seeds).sum()
    columns = t_interval(estimate, seeds, df, images, image_df)
    return _difference(columns, sample.n_units, images_fixed=fixed)


def _seeds(sample: Resampled, weights: np.ndarray, pooled: Lent) -> tuple[np.ndarray, np.ndarray]:
    """Variance of one arm's score between seeds, (K,), and its degrees of freedom."""
    n_columns = len(sample.n_units)
    if pooled is None or not np.ndim(pooled[0]):
        variance, df, _ = seed_variance(sample.observed, weights)
        if pooled is not None:
            variance[0], df[0] = pooled[:2]
        return variance, df
    variance, df = (np.asarray(part, dtype=float) for part in pooled[:2])
    if not variance.shape == df.shape == (n_columns,):
        raise ValueError(
            f"pooled must be two numbers or two arrays ({n_columns},), got "
            f"{variance.shape} and {df.shape}"
        )
    return variance, df


def _images(
    sample: Resampled, weights: np.ndarray, n_seeds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the variance that is due to images, (K,), and its degrees of freedom."""
    images = variance_of(sample.means, weights)
    n = n_seeds[0]
    if n > 1 and (n_seeds == n).all():
        distances = variance_of(sample.distances, weights)
        images = np.maximum(images - distances / (n * (n - 1)), 0)
    image_df = np.maximum(sample.n_units - 1.0, 0)
    return images * (image_df + 1) / np.maximum(image_df, 1), image_df


def _sum(weights: np.ndarray, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Weighted sum over arms; those of weight 0 may have another shape."""
    return reduce(np.add, (w * array for w, array in zip(weights, arrays, strict=True) if w))


def _difference(columns: Intervals, n_units: np.ndarray, *, images_fixed: bool) -> Difference:
    """Intervals of K columns as one of mIoU and those of the classes."""
    return Difference(columns.at(0), columns.part(slice(1, None)), int(n_units[0]), images_fixed)
