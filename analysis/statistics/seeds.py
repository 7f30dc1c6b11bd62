"""Owns what training again changes: means over seeds, the variance between seeds.

Scores are fractions, (S, K): one row per seed, K columns (mIoU, then each class).
Must not know: images, counts, files.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

ALPHA = 0.05  # two-sided: 95 % intervals
EQUAL_VARIANCE_P = 0.05  # Bartlett's p below which arms do not share a seed variance
Part = tuple[np.ndarray, float]  # a variance (K,) and its degrees of freedom
Split = tuple[list[Part], list[Part], float]  # parts pooled, parts alone, what scales one arm's


class SeedVariance(NamedTuple):
    """Variance of one arm's score from seed to seed, as far as it does not cancel in a contrast."""

    variance: np.ndarray  # (K,); the contrast's is this times sum of w_a^2 / S_a
    df: np.ndarray  # (K,); 0: unknown
    p_equal: np.ndarray  # (K,) Bartlett's p of equal variances; not pooled where below 5 %


def mean_sd(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1) of finite values; NaN for none, s.d. NaN for one."""
    mean = float(np.mean(values)) if len(values) else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % t interval of a mean over two or more seeds, on these images."""
    mean, sd = mean_sd(values)
    half = float(special.stdtrit(len(values) - 1, 1 - ALPHA / 2)) * sd / math.sqrt(len(values))
    return mean - half, mean + half


def seed_variance(
    scores: Sequence[np.ndarray],
    weights: npt.ArrayLike,
    *,
    networks: Sequence[Hashable] | None = None,
    seeds: Sequence[Sequence[int]] | None = None,
) -> SeedVariance:
    """Variance between seeds for one contrast of arms, pooled over the arms of each network.

    Where all arms concerned have the same seeds, seeds are blocks: what a seed (its crops, its
    starting weights) does to all arms of a network alike cancels in a contrast within it and is not
    counted. The residual arm x seed of a network of L arms has (L - 1)(S - 1) degrees of freedom;
    a contrast across networks adds the variance over seeds of its networks' means, S - 1. Taking
    seeds as independent would win a few (3 for 2 with S = 2, L = 3), and covers too much as soon as
    seeds share variance (benchmarks/coverage.py). It is done where the seeds differ.
    Equal variances are checked by Bartlett's test over the arms of a network (Brown-Forsythe cannot
    work with two seeds: both are equally far from their median). Where it says no at 5 %, and with
    `networks` None, arms stand alone: S - 1 for blocks, else Welch. With 2 seeds it sees next to
    nothing.

    Args:
        scores: A arrays (S_a, K), *all* arms of every network the contrast uses.
        weights: (A,); 0 for arms that only lend their variance.
        networks: A labels: arms of one label share a seed variance.
        seeds: A lists, the seed of each row of `scores`; None: no seed is shared.
    Raises: ValueError if lengths disagree.
    Source: randomised blocks, Cochran & Cox 1957; Bartlett 1937; Satterthwaite 1946.
    """
    weights = np.asarray(weights, dtype=float)
    labels = list(range(len(scores)) if networks is None else networks)
    if not len(weights) == len(labels) == len(scores) or not weights.any():
        raise ValueError(
            f"weights (not all 0) and networks must have an entry per arm ({len(scores)}), "
            f"got {weights.tolist()} and {labels}"
        )
    n_rows = [len(arm) for arm in scores]
    if seeds is not None and [len(arm) for arm in seeds] != n_rows:
        raise ValueError(
            f"seeds must be one per row of scores, {n_rows}, got {[list(arm) for arm in seeds]}"
        )
    members = [[a for a, n in enumerate(labels) if n == label] for label in dict.fromkeys(labels)]
    members = [arms for arms in members if weights[arms].any()]
    lists = {tuple(seeds[a]) for arms in members for a in arms} if seeds is not None else set()
    split = _blocks if len(lists) == 1 else _independent
    pooled, alone, scale = split(scores, weights, members)
    (variance, df), (variance_alone, df_alone) = _total(pooled), _total(alone)
    p_equal = np.min([_bartlett([scores[a] for a in arms]) for arms in members], axis=0)
    refuted = p_equal < EQUAL_VARIANCE_P
    variance = np.where(refuted, variance_alone, variance) / scale
    return SeedVariance(variance, np.where(refuted, df_alone, df), p_equal)


def _blocks(scores: Sequence[np.ndarray], weights: np.ndarray, members: list[list[int]]) -> Split:
    """Parts of a contrast's variance at one seed: pooled, and from its own values alone."""
    free = len(scores[members[0][0]]) - 1
    own = reduce(np.add, (weights[a] * scores[a] for arms in members for a in arms))
    means, pooled = np.zeros(()), list[Part]()
    for arms in members:
        block, w = np.stack([scores[a] for a in arms]), weights[arms]  # (L, S, K)
        means = means + w.sum() * block.mean(0)
        rest = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean((0, 1))
        share, df = (w**2).sum() - w.sum() ** 2 / len(arms), (len(arms) - 1) * free
        if share > 1e-12:  # else nothing of the residual is in the contrast
            pooled.append((share * (rest**2).sum((0, 1)) / max(df, 1), df))
    if any(abs(weights[arms].sum()) > 1e-12 for arms in members):
        pooled.append((variance_over(means), free))
    return pooled, [(variance_over(own), free)], (weights**2).sum()


def _independent(
    scores: Sequence[np.ndarray], weights: np.ndarray, members: list[list[int]]
) -> Split:
    """Parts of the variance of a contrast of means, each arm's seeds its own."""
    pooled, alone, scale = list[Part](), list[Part](), 0.0
    for arms in members:
        dfs = np.array([len(scores[a]) - 1 for a in arms])
        squares = sum(df * variance_over(scores[a]) for a, df in zip(arms, dfs, strict=True) if df)
        within = squares / max(dfs.sum(), 1) * np.ones(scores[0].shape[1:])
        shares = weights[arms] ** 2 / (dfs + 1)
        pooled.append((shares.sum() * within, dfs.sum()))
        alone += [
            (s * variance_over(scores[a]), df)
            for a, s, df in zip(arms, shares, dfs, strict=True)
            if s
        ]
        scale += shares.sum()
    return pooled, alone, scale


def _total(parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    variances = np.array([variance for variance, _ in parts])
    df = satterthwaite(variances, np.array([np.full(len(v), df, float) for v, df in parts]))
    return np.where(df > 0, variances.sum(0), np.nan), df


def satterthwaite(variances: np.ndarray, dfs: np.ndarray) -> np.ndarray:
    """Degrees of freedom of a sum of M independent variance estimates, (M, ...) -> (...).

    (sum v)^2 / sum(v^2 / df); 0 if a part has none, the fewest if all v are 0.
    Source: Satterthwaite 1946, An approximate distribution of estimates of variance components.
    """
    variances, dfs = np.broadcast_arrays(np.asarray(variances, float), np.asarray(dfs, float))
    spread = np.divide(variances**2, dfs, out=np.zeros(dfs.shape), where=dfs > 0).sum(0)
    known, fewest = (dfs > 0).all(0), np.array(dfs.min(0))
    np.divide(variances.sum(0) ** 2, spread, out=fewest, where=known & (spread > 0))
    return fewest


def variance_over(values: np.ndarray) -> np.ndarray:
    """Sample variance (ddof 1) over the first axis, NaN left out; NaN from under two values."""
    kept = ~np.isnan(values)
    n = kept.sum(0)
    filled = np.where(kept, values, 0)
    mean = filled.sum(0) / np.maximum(n, 1)
    squares = np.where(kept, (filled - mean) ** 2, 0).sum(0)
    return np.where(n > 1, squares / np.maximum(n - 1, 1), np.nan)


def _bartlett(arms: Sequence[np.ndarray]) -> np.ndarray:
    """p (K,) of equal variances over arms (S_a, K); 1 where fewer than two arms have two seeds."""
    n_columns = arms[0].shape[1:]
    arms = [scores for scores in arms if len(scores) > 1]
    if len(arms) < 2:
        return np.ones(n_columns)
    variances = np.array([variance_over(scores) for scores in arms])
    dfs = np.array([[len(scores) - 1] for scores in arms], dtype=float)
    n, pooled = dfs.sum(), (dfs * variances).sum(0) / dfs.sum()
    with np.errstate(divide="ignore", invalid="ignore"):  # one variance of 0: log 0, refuted
        logs = n * np.log(pooled) - (dfs * np.log(variances)).sum(0)
    statistic = logs / (1 + ((1 / dfs).sum() - 1 / n) / (3 * (len(arms) - 1)))
    p = special.chdtrc(len(arms) - 1, np.maximum(statistic, 0))
    return np.where(pooled > 0, p, 1.0)
