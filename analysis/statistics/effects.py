"""Owns what a whole study answers beside single contrasts: main effects and interactions as
weights of its arms, who gains by class frequency, speed of convergence, score at equal cost.

Arrays in, numbers out; IoU as fractions. Must not know: runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import special

from analysis.statistics.intervals import Resampled
from analysis.statistics.seeds import ALPHA

FRACTIONS = (0.5, 0.75, 0.9)  # of the best final score: when is it reached?


def factorial_weights(
    networks: Sequence[Hashable], losses: Sequence[Hashable]
) -> dict[tuple, np.ndarray]:
    """Contrasts of cell means of a full grid of networks x losses, one arm per cell.

    Args: networks, losses: A labels each.
    Returns: weights (A,) by name, later label minus earlier in the order given:
        ("network", a, b): mean over losses of a minus b; ("loss", l, k): mean over networks;
        ("interaction", (a, b), (l, k)): a minus b under l, minus a minus b under k.
    Raises: ValueError if a cell is missing or double.
    """
    rows, columns = list(dict.fromkeys(networks)), list(dict.fromkeys(losses))
    cells = list(zip(networks, losses, strict=True))
    wrong = [(n, k) for n in rows for k in columns if cells.count((n, k)) != 1]
    if wrong:
        raise ValueError(
            f"every network must have every loss exactly once, got not so for "
            f"{wrong}; leave that network or loss out"
        )

    def sign(labels: Sequence[Hashable], a: Hashable, b: Hashable) -> np.ndarray:
        return np.array([(label == a) - float(label == b) for label in labels])

    found: dict[tuple, np.ndarray] = {}
    for b, a in combinations(rows, 2):
        found["network", a, b] = sign(networks, a, b) / len(columns)
    for k, l in combinations(columns, 2):  # noqa: E741
        found["loss", l, k] = sign(losses, l, k) / len(rows)
    for b, a in combinations(rows, 2):
        for k, l in combinations(columns, 2):  # noqa: E741
            weights = sign(networks, a, b) * sign(losses, l, k)
            found["interaction", (a, b), (l, k)] = weights
    return found


def group_means(values: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Means over groups of classes, (..., C) -> (..., G); NaN (absent) classes are left out.

    Args: groups: G lists of class indices, e.g. the terciles of frequency. NaN if none is present.
    """
    means = []
    for group in groups:
        part = values[..., list(group)]
        n, total = (~np.isnan(part)).sum(-1), np.nansum(part, axis=-1)
        means.append(np.where(n > 0, total / np.maximum(n, 1), np.nan))
    return np.stack(means, axis=-1)


def add_group_means(sample: Resampled, groups: Sequence[Sequence[int]]) -> Resampled:
    """The sample with a column per group of classes after the C classes (see `group_means`).

    `seed_variance` and `contrast` then give `per_class` C + G entries: groups get intervals as
    classes do. A group has as many units as its most common class.
    """

    def widen(scores: np.ndarray) -> np.ndarray:
        return np.concatenate([scores, group_means(scores[..., 1:], groups)], axis=-1)

    units = [sample.n_units[1:][list(group)].max() for group in groups]
    return replace(
        sample,
        observed=tuple(map(widen, sample.observed)),
        replicates=tuple(map(widen, sample.replicates)),
        n_units=np.r_[sample.n_units, units],
    )


@dataclass(frozen=True)
class Slope:
    """Change of a per-class difference per tenfold frequency, for these classes."""

    slope: float  # IoU fraction per decade; below 0: rare classes gain more
    low: float  # 95 %, classes as units
    high: float
    lowest: float  # over all ways to leave one class out
    highest: float
    n_classes: int


def imbalance_slope(differences: np.ndarray, frequencies: np.ndarray) -> Slope:
    """Least-squares slope of per-class differences on log10 of the train frequency.

    Classes are the units: the interval (t, n - 2 df) says how well a line fits these classes. They
    are no sample of all classes, and seeds and images are in it only as scatter.

    Args:
        differences: (C,) IoU differences, background left out by the caller; NaN is left out.
        frequencies: (C,) shares of the train pixels, above 0 (a class at 0 is left out).
    Returns: NaN bounds with fewer than 3 classes, NaN slope with fewer than 2 distinct shares.
    """
    differences, frequencies = np.asarray(differences, float), np.asarray(frequencies, float)
    if differences.ndim != 1 or differences.shape != frequencies.shape:
        raise ValueError(
            f"differences and frequencies must both be (C,), got {differences.shape} "
            f"and {frequencies.shape}"
        )
    kept = np.isfinite(differences) & (frequencies > 0)
    x, y = np.log10(frequencies[kept]), differences[kept]
    n = len(x)

    def fit(x: np.ndarray, y: np.ndarray) -> float:
        spread = ((x - x.mean()) ** 2).sum() if len(x) > 1 else 0.0
        return float(((x - x.mean()) * y).sum() / spread) if spread > 0 else np.nan

    slope, half = fit(x, y), np.nan
    left_out = [fit(np.delete(x, i), np.delete(y, i)) for i in range(n)] or [np.nan]
    if n > 2:
        residual = y - y.mean() - slope * (x - x.mean())
        se = np.sqrt((residual**2).sum() / (n - 2) / ((x - x.mean()) ** 2).sum())
        half = float(special.stdtrit(n - 2, 1 - ALPHA / 2) * se)
    return Slope(slope, slope - half, slope + half, min(left_out), max(left_out), n)


@dataclass(frozen=True, eq=False)
class Convergence:
    """How soon N dev curves get near one reference."""

    reference: float  # mIoU
    epochs: np.ndarray  # (N, fractions) first evaluated epoch at or above; inf: never
    area: np.ndarray  # (N,) mean height of the curve over its epochs, mIoU


def convergence(
    curves: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    reference: float | None = None,
    fractions: Sequence[float] = FRACTIONS,
) -> Convergence:
    """Epochs to fractions of the best final dev mIoU, and area under each dev curve.

    Args:
        curves: N pairs of epochs (E,), increasing, and dev mIoU (E,); NaN (no evaluation) left out.
        reference: None takes the best last value of the curves given: give all that are compared.
    """
    curves = [_curve(epochs, values) for epochs, values in curves]
    if reference is None:
        reference = max(float(values[-1]) for _, values in curves)
    reached = [
        [epochs[values >= f * reference].min(initial=np.inf) for f in fractions]
        for epochs, values in curves
    ]
    area = [
        np.trapezoid(values, epochs) / (epochs[-1] - epochs[0]) if len(epochs) > 1 else values[0]
        for epochs, values in curves
    ]
    return Convergence(reference, np.array(reached), np.array(area))


def score_at_cost(minutes: np.ndarray, values: np.ndarray, at: float | np.ndarray) -> np.ndarray:
    """Best dev score so far after `at` minutes, on the line between two evaluations.

    NaN before the first evaluation. After the last it stays: the run is over. Between two it is on
    the line, as arms of one speed differ by seconds, which must not cost one a whole evaluation.

    Args: minutes: (E,) since the start, increasing; values: (E,) dev score, NaN left out.
    """
    minutes, values = _curve(minutes, values)
    return np.interp(at, minutes, np.maximum.accumulate(values), left=np.nan)


def _curve(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(y).any() or (np.diff(x) <= 0).any():
        raise ValueError(
            f"a curve must be two arrays (E,), the first increasing, the second with "
            f"a finite value, got {x.tolist()} and {y.tolist()}"
        )
    return x[np.isfinite(y)], y[np.isfinite(y)]
