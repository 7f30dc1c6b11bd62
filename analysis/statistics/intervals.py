"""Owns intervals: one or many, from variances and their degrees of freedom, of a family; verdicts.

Must not know: counts, runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.statistics.seeds import ALPHA, satterthwaite

Value = TypeVar("Value", float, np.ndarray)


@dataclass(frozen=True, eq=False)
class _Parts(Generic[Value]):
    estimate: Value
    low: Value
    high: Value
    se: Value
    df: Value  # of t at this level; NaN for percentile intervals
    p: Value  # two-sided, of no difference: the level at which the interval ends at 0
    seed_variance: Value  # se^2 = seed_variance + image_variance
    seed_df: Value
    image_variance: Value
    image_df: Value


class Interval(_Parts[float]):
    """An estimate with its 95 % interval; NaN bounds: no claim."""


class Intervals(_Parts[np.ndarray]):
    """Estimates with their 95 % intervals: arrays of one shape."""

    @classmethod
    def of(cls, rows: Sequence[Interval]) -> Intervals:
        return cls(*map(np.array, zip(*(vars(one).values() for one in rows), strict=True)))

    def at(self, index: int) -> Interval:
        return Interval(*(float(part[index]) for part in vars(self).values()))

    def part(self, chosen: slice) -> Intervals:
        return Intervals(*(part[chosen] for part in vars(self).values()))


def t_interval(
    estimate: np.ndarray,
    seeds: np.ndarray,
    seed_df: np.ndarray,
    images: np.ndarray,
    image_df: np.ndarray,
    alpha: float = ALPHA,
) -> Intervals:
    """Bounds at level 1 - alpha, and p, from two variances and their df, (K,) each.

    Satterthwaite's df with one change: in its formula a part counts v (t / z)^1.5, t and z the
    quantiles at this level. A part known from 1 or 2 df is often far too small by chance; with v
    alone the other part then makes df large and the interval short: 95 % intervals cover 87-95 %,
    Bonferroni's less (the Monte Carlo of benchmarks/coverage.py).
    """
    variances, dfs = np.array([seeds, images], float), np.array([seed_df, image_df], float)
    se = np.sqrt(variances.sum(0))

    def df_at(level: npt.ArrayLike) -> np.ndarray:
        tail = 1 - np.asarray(level) / 2
        t, z = special.stdtrit(dfs, tail), special.ndtri(tail)
        return satterthwaite(variances * (t / z) ** 1.5, dfs)

    df = df_at(alpha)
    half = special.stdtrit(df, 1 - alpha / 2) * se
    sure = np.where(np.abs(estimate) > 0, np.inf, 0.0)  # without any variance p is 0 or 1
    t = np.divide(np.abs(estimate), se, out=sure, where=se != 0)
    p = np.full(se.shape, ALPHA)
    for half_step in (*[True] * 8, False):  # p sets the df that it is read from: settle
        read = 2 * special.stdtr(df_at(np.clip(p, 1e-12, 0.5)), -t)
        p = np.sqrt(p * read) if half_step else read
    return Intervals(
        estimate, estimate - half, estimate + half, se, df, p, seeds, seed_df, images, image_df
    )


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p (m,); NaN (not tested) stays NaN and does not count. Source: Holm 1979."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    adjusted = np.full(p.shape, np.nan)
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def adjust(family: Intervals | Sequence[Interval]) -> Intervals:
    """Family-wise 95 % intervals and Holm's p of a family of m contrasts.

    Bounds are Bonferroni's, level 1 - 0.05 / m: they hold for all m at once. Where Holm rejects and
    Bonferroni does not, the bound beyond 0 is set to 0, so an interval never contradicts Holm,
    whose claims of sign are wrong in at most 5 % of families.

    Returns: arrays (m,); entries without a test (NaN) stay so and do not count in m.
    """
    if not isinstance(family, Intervals):
        family = Intervals.of(family)
    n_tested = max(int(np.isfinite(family.p).sum()), 1)
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
    high = np.where(down, np.minimum(wide.high, 0), wide.high)
    return Intervals(**{**vars(wide), "low": low, "high": high, "p": p})


def verdict(interval: Interval | Intervals, smallest: float) -> np.ndarray:
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
