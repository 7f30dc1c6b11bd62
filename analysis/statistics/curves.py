"""Owns what a dev curve tells: speed of convergence, score at equal cost.

Arrays in, numbers out; IoU as fractions. Must not know: runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRACTIONS = (0.5, 0.75, 0.9)  # of the best final score: when is it reached?


@dataclass(frozen=True, eq=False)
class Convergence:
    """How soon N dev curves get near one reference."""

    reference: float  # mIoU
    epochs: np.ndarray  # (N, FRACTIONS) first evaluated epoch at or above; inf: never
    area: np.ndarray  # (N,) mean height of the curve over its epochs, mIoU


def convergence(curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Convergence:
    """Epochs to fractions of the best final dev mIoU, and area under each dev curve.

    Args:
        curves: N pairs of epochs (E,), increasing, and dev mIoU (E,); NaN (no evaluation) left out.
    """
    checked = [_curve(epochs, values) for epochs, values in curves]
    reference = max(float(values[-1]) for _, values in checked)
    reached = [
        [epochs[values >= f * reference].min(initial=np.inf) for f in FRACTIONS]
        for epochs, values in checked
    ]
    area = [
        np.trapezoid(values, epochs) / (epochs[-1] - epochs[0]) if len(epochs) > 1 else values[0]
        for epochs, values in checked
    ]
    return Convergence(reference, np.array(reached), np.array(area))


def score_at_cost(minutes: npt.ArrayLike, values: npt.ArrayLike, at: npt.ArrayLike) -> np.ndarray:
    """Best dev score so far after `at` minutes, on the line between two evaluations.

    NaN before the first evaluation. After the last it stays: the run is over. Between two it is on
    the line, as arms of one speed differ by seconds, which must not cost one a whole evaluation.

    Args: minutes: (E,) since the start, increasing; values: (E,) dev score, NaN left out.
    """
    minutes, values = _curve(minutes, values)
    best: np.ndarray = np.interp(
        np.asarray(at), minutes, np.maximum.accumulate(values), left=np.nan
    )
    return best


def _curve(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(y).any() or (np.diff(x) <= 0).any():
        raise ValueError(
            f"a curve must be two arrays (E,), the first increasing, the second with "
            f"a finite value, got {x.tolist()} and {y.tolist()}"
        )
    return x[np.isfinite(y)], y[np.isfinite(y)]
