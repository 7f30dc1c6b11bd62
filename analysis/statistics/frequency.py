"""Owns who gains by class frequency: the slope of gains on the frequency.

Arrays in, numbers out; IoU as fractions. Must not know: runs, files, wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.statistics.seeds import ALPHA


@dataclass(frozen=True)
class Slope:
    """Change of a per-class difference per tenfold frequency, for these classes."""

    slope: float  # IoU fraction per decade; below 0: rare classes gain more
    low: float  # 95 %, classes as units
    high: float
    lowest: float  # over all ways to leave one class out
    highest: float
    n_classes: int


def imbalance_slope(differences: npt.ArrayLike, frequencies: npt.ArrayLike) -> Slope:
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
