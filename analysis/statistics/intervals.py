"""Owns the intervals of a comparison: over images, over seeds and images, of a family; verdicts.

Two claims are kept apart. `paired_bootstrap` resamples images and speaks of *these weights*;
`contrast` and `recipe_interval` add the variance between seeds and speak of the *recipe*.
Counts are TP, FP, FN of valid pixels per image and class, (n_images, C, 3); void is not in them.
Scores have K = 1 + C columns, mIoU then the IoU of each class, as fractions in [0, 1]. A class
absent from the truth of the split or replicate is NaN there and not in its mIoU, for every run.
Must not know: runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from analysis.statistics.seeds import (
    ALPHA,
    SeedVariance,
    satterthwaite,
    seed_variance,
    variance_over,
)

MIN_GROUPS = 5  # with fewer groups, or images, nothing is said about other images
CHUNK = 4_000_000  # numbers held at once while resampling


@dataclass(frozen=True, eq=False)
class Interval:
    """Estimates with 95 % intervals: numbers, or arrays of one shape. NaN bounds: no claim."""

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    se: float | np.ndarray
    df: float | np.ndarray  # of t at this level; NaN for percentile intervals
    p: float | np.ndarray  # two-sided, of no difference: the level at which the interval ends at 0
    seed_variance: float | np.ndarray  # se^2 = seed_variance + image_variance
    seed_df: float | np.ndarray
    image_variance: float | np.ndarray
    image_df: float | np.ndarray


@dataclass(frozen=True, eq=False)
class Difference:
    """A contrast of arms: mIoU, and (C,) arrays per class (NaN where the truth lacks the class)."""

    miou: Interval
    per_class: Interval
    n_units: int  # images, or groups where given, with any truth
    images_fixed: bool = False  # True: seeds alone, so "on these images"

    @property
    def df(self) -> float:
        return self.miou.df


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of A arms on the images as they are and on shared resamples of them."""

    observed: tuple[np.ndarray, ...]  # A arrays (S_a, K)
    replicates: tuple[np.ndarray, ...]  # A arrays (n_boot, S_a, K)
    n_units: np.ndarray  # (K,) images or groups; for a class those whose truth holds it
    grouped: bool


def resample(
    arms: Sequence[np.ndarray],
    *,
    n_boot: int,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
) -> Resampled:
    """Score every run on `n_boot` resamples of the images, the same ones for all runs.

    Args:
        arms: A arrays (S_a, n_images, C, 3), pixel counts of the same images in the same order.
        groups: n_images labels; whole groups are then drawn, as many as there are.
    Raises: ValueError if shapes disagree or runs disagree about the truth (TP + FN).
    Source: Everingham et al., Assessing the significance of performance differences on the PASCAL
        VOC challenges via bootstrapping: counts are re-summed, ratios never averaged over images.
    """
    arms = [_checked(arm, "(S, n_images, C, 3)", 4) for arm in arms]
    for arm in arms:
        if arm.shape[1:] != arms[0].shape[1:]:
            raise ValueError(
                f"counts must be of the same images and classes, (S, n_images, C, 3) "
                f"like {arms[0].shape}, got {arm.shape}"
            )
    if n_boot < 2:
        raise ValueError(f"n_boot must be at least 2, got {n_boot}")
    runs = np.concatenate(arms)
    n_runs, n_images, n_classes, _ = runs.shape
    truth = runs[..., 0] + runs[..., 2]
    if (truth != truth[0]).any():
        raise ValueError(
            "counts must share the truth, TP + FN of each image and class the same in "
            "all runs, got different ones; put the images in one order"
        )
    # Rows of pixel sums: C of truth, TP of each run, FP of each run. float64 is exact below 2^53.
    hits = runs[..., :2].transpose(1, 3, 0, 2).reshape(n_images, -1)
    units = np.hstack([truth[0], hits]).astype(np.float64)
    if groups is not None:
        if len(groups) != n_images:
            raise ValueError(f"groups must be {n_images} labels, one per image, got {len(groups)}")
        labels, index = np.unique(np.asarray(groups), return_inverse=True)
        images, units = units, np.zeros((len(labels), units.shape[1]))
        np.add.at(units, index, images)
    n_units, step = len(units), max(1, CHUNK // max(units.shape))
    parts = []
    for start in range(0, n_boot, step):
        draws = rng.integers(n_units, size=(min(step, n_boot - start), n_units))
        cells = draws + n_units * np.arange(len(draws))[:, None]
        times = np.bincount(cells.ravel(), minlength=draws.size).reshape(draws.shape)
        parts.append(_scores(times.astype(np.float64) @ units, n_runs, n_classes))
    cuts = np.cumsum([len(arm) for arm in arms])[:-1]
    held = units[:, :n_classes] > 0
    return Resampled(
        tuple(np.split(_scores(units.sum(0), n_runs, n_classes), cuts)),
        tuple(np.split(np.concatenate(parts), cuts, axis=1)),
        np.r_[held.any(1).sum(), held.sum(0)],
        groups is not None,
    )


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
    pair = [_checked(counts, "(n_images, C, 3)", 3)[None] for counts in (counts_a, counts_b)]
    sample = resample(pair, n_boot=n_boot, rng=rng, groups=groups)
    drawn = sample.replicates[0][:, 0] - sample.replicates[1][:, 0]
    low, high = np.full((2, drawn.shape[1]), np.nan)
    for column, values in enumerate(drawn.T):
        kept = values[~np.isnan(values)]  # replicates that hold the class
        if len(kept):
            low[column], high[column] = np.quantile(kept, (ALPHA / 2, 1 - ALPHA / 2))
    variance, none = variance_over(drawn), np.full_like(low, np.nan)
    estimate = sample.observed[0][0] - sample.observed[1][0]
    columns = Interval(
        estimate, low, high, np.sqrt(variance), none, none, none, none, variance, none
    )
    return _difference(columns, sample.n_units, images_fixed=False)


def recipe_interval(
    counts_a: np.ndarray,
    counts_b: np.ndarray,
    *,
    n_boot: int,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
    pooled: SeedVariance | tuple[object, object] | None = None,
) -> Difference:
    """t interval of a minus b for the *recipe*: seeds and images are both random; see `contrast`.

    Args:
        counts_a, counts_b: (S_a, n_images, C, 3), (S_b, n_images, C, 3): a row per seed, shared
            seeds in the same rows. The rest as in `resample` and `contrast`.
    """
    sample = resample([counts_a, counts_b], n_boot=n_boot, rng=rng, groups=groups)
    return contrast(sample, (1, -1), pooled=pooled)


def contrast(
    sample: Resampled,
    weights: Sequence[float],
    *,
    pooled: SeedVariance | tuple[object, object] | None = None,
) -> Difference:
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
    n_columns = len(sample.n_units)
    if weights.shape != (len(sample.observed),) or not weights.any():
        raise ValueError(
            f"weights must be {len(sample.observed)} numbers, one per arm and not all "
            f"0, got {weights.tolist()}"
        )
    if pooled is None or not np.ndim(pooled[0]):
        variance, df, _ = seed_variance(sample.observed, weights)
        if pooled is not None:
            variance[0], df[0] = pooled[:2]
    else:
        variance, df = (np.asarray(part, dtype=float) for part in pooled[:2])
        if not variance.shape == df.shape == (n_columns,):
            raise ValueError(
                f"pooled must be two numbers or two arrays ({n_columns},), got "
                f"{variance.shape} and {df.shape}"
            )
    used = weights != 0
    n_seeds = np.array([len(scores) for scores in sample.observed])[used]
    estimate = _sum(weights, [scores.mean(0) for scores in sample.observed])
    seeds = variance * (weights[used] ** 2 / n_seeds).sum()
    images, image_df = np.zeros(n_columns), np.full(n_columns, np.inf)
    fixed = sample.n_units[0] < MIN_GROUPS
    if not fixed:
        images = variance_over(_sum(weights, [arm.mean(1) for arm in sample.replicates]))
        n = n_seeds[0]
        if n > 1 and (n_seeds == n).all():
            rows = _sum(weights, sample.replicates)  # (n_boot, S, K)
            distances = variance_over(rows - rows.mean(1, keepdims=True))
            images = np.maximum(images - distances.sum(0) / (n * (n - 1)), 0)
        image_df = np.maximum(sample.n_units - 1.0, 0)
        images = images * (image_df + 1) / np.maximum(image_df, 1)
    columns = t_interval(estimate, seeds, df, images, image_df)
    return _difference(columns, sample.n_units, images_fixed=bool(fixed))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p (m,); NaN (not tested) stays NaN and does not count. Source: Holm 1979."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    adjusted = np.full(p.shape, np.nan)
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def adjust(family: Interval | Sequence[Interval]) -> Interval:
    """Family-wise 95 % intervals and Holm's p of a family of m contrasts.

    Bounds are Bonferroni's, level 1 - 0.05 / m: they hold for all m at once. Where Holm rejects and
    Bonferroni does not, the bound beyond 0 is set to 0, so an interval never contradicts Holm,
    whose claims of sign are wrong in at most 5 % of families.

    Args: family: m intervals of numbers, or one of arrays (m,), e.g. `per_class`.
    Returns: arrays (m,); entries without a test (NaN) stay so and do not count in m.
    """
    if not isinstance(family, Interval):
        family = Interval(*map(np.array, zip(*(vars(one).values() for one in family), strict=True)))
    n_tested = max(np.isfinite(family.p).sum(), 1)
    wide = t_interval(
        family.estimate,
        family.seed_variance,
        family.seed_df,
        family.image_variance,
        family.image_df,
        ALPHA / n_tested,
    )
    p = holm(family.p)
    up, down = (p < ALPHA) & (wide.estimate > 0), (p < ALPHA) & (wide.estimate < 0)
    low = np.where(up, np.maximum(wide.low, 0), wide.low)
    return replace(wide, low=low, high=np.where(down, np.minimum(wide.high, 0), wide.high), p=p)


def verdict(interval: Interval, smallest: float) -> np.ndarray:
    """Reads intervals against the smallest difference of interest (a fraction, as the scores).

    "equivalent": wholly within +-smallest, even where it excludes 0 (real, too small to matter);
    else "better" or "worse": excludes 0, though part of it may lie within +-smallest;
    else "cannot be told", also without bounds. A bound at exactly 0 (see `adjust`) excludes 0.
    """
    low, high = np.asarray(interval.low), np.asarray(interval.high)
    equivalent = (-smallest < low) & (high < smallest)
    better, worse = (low >= 0) & (high > 0), (high <= 0) & (low < 0)
    names = ["equivalent", "better", "worse"]
    return np.select([equivalent, better, worse], names, "cannot be told")


def _checked(counts: np.ndarray, shape: str, n_dims: int) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != n_dims or counts.shape[-1] != 3 or not counts.size:
        raise ValueError(f"counts must be {shape} and not empty, got {counts.shape}")
    return counts.astype(np.int64) if counts.dtype.kind in "ui" else counts


def _scores(totals: np.ndarray, n_runs: int, n_classes: int) -> np.ndarray:
    """Pixel sums (..., C + 2 n_runs C), as `resample` lays them out, -> scores (..., n_runs, K)."""
    lead, truth = totals.shape[:-1], totals[..., None, :n_classes]
    hits = totals[..., n_classes:].reshape(*lead, 2, n_runs, n_classes)
    tp, fp = hits[..., 0, :, :], hits[..., 1, :, :]
    present = np.broadcast_to(truth > 0, tp.shape)
    scores = np.full((*lead, n_runs, 1 + n_classes), np.nan)
    np.divide(tp, truth + fp, out=scores[..., 1:], where=present)
    total, n_present = np.where(present, scores[..., 1:], 0).sum(-1), present.sum(-1)
    np.divide(total, n_present, out=scores[..., 0], where=n_present > 0)
    return scores


def _sum(weights: np.ndarray, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Weighted sum over arms; those of weight 0 may have another shape."""
    return sum(w * array for w, array in zip(weights, arrays, strict=True) if w)


def t_interval(estimate, seeds, seed_df, images, image_df, alpha: float = ALPHA) -> Interval:
    """Bounds at level 1 - alpha, and p, from two variances and their df, (K,) each.

    Satterthwaite's df with one change: in its formula a part counts v (t / z)^1.5, t and z the
    quantiles at this level. A part known from 1 or 2 df is often far too small by chance; with v
    alone the other part then makes df large and the interval short: 95 % intervals cover 87-95 %,
    Bonferroni's less (the Monte Carlo of benchmarks/coverage.py).
    """
    variances, dfs = np.array([seeds, images], float), np.array([seed_df, image_df], float)
    se = np.sqrt(variances.sum(0))

    def df_at(level) -> np.ndarray:
        t, z = special.stdtrit(dfs, 1 - level / 2), special.ndtri(1 - level / 2)
        return satterthwaite(variances * (t / z) ** 1.5, dfs)

    df = df_at(alpha)
    half = special.stdtrit(df, 1 - alpha / 2) * se
    sure = np.where(np.abs(estimate) > 0, np.inf, 0.0)  # without any variance p is 0 or 1
    t = np.divide(np.abs(estimate), se, out=sure, where=se != 0)
    p = np.full(se.shape, ALPHA)
    for half_step in (*[True] * 8, False):  # p sets the df that it is read from: settle
        read = 2 * special.stdtr(df_at(np.clip(p, 1e-12, 0.5)), -t)
        p = np.sqrt(p * read) if half_step else read
    return Interval(
        estimate, estimate - half, estimate + half, se, df, p, seeds, seed_df, images, image_df
    )


def _difference(columns: Interval, n_units: np.ndarray, *, images_fixed: bool) -> Difference:
    """Intervals of K columns as one of mIoU and one of the classes."""
    parts = vars(columns).values()
    return Difference(
        Interval(*(float(part[0]) for part in parts)),
        Interval(*(part[1:] for part in parts)),
        int(n_units[0]),
        images_fixed,
    )
