"""Owns how arms vary together over resamples: sums of products, kept instead of the resamples.

Must not know: counts, runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np


class Arm(Protocol):
    """The counts of an arm's runs, each (n_images, C, 3)."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


class Covariances:
    """Covariances of arms over resamples that come a few at a time.

    A variance of any weighted sum of arms is weights @ covariance @ weights. Scores are taken from
    the observed ones, so that sums of squares lose no digits. A column is NaN in a resample for all
    runs or for none.
    """

    def __init__(self, observed: np.ndarray, sizes: Sequence[int]) -> None:
        """Args: observed: (R, K) scores of all runs, arm by arm; sizes: A, runs of each arm."""
        self.observed, self.sizes = observed, np.array(sizes)
        n_arms, n_columns = len(sizes), observed.shape[1]
        self.n = np.zeros(n_columns)
        self._starts = np.r_[0, np.cumsum(sizes)[:-1]]
        self._sums, self._run_sums = np.zeros((n_columns, n_arms)), np.zeros(observed.shape)
        self._means = np.zeros((n_columns, n_arms, n_arms))
        self._distances = np.zeros_like(self._means)

    def add(self, scores: np.ndarray) -> None:
        """Take the scores (B, R, K) of B resamples."""
        kept = ~np.isnan(scores[:, 0]) & ~np.isnan(self.observed[0])
        rest = np.where(kept[:, None], scores - self.observed, 0.0)
        means = np.add.reduceat(rest, self._starts, axis=1) / self.sizes[:, None]
        rest -= np.repeat(means, self.sizes, axis=1)
        self.n += kept.sum(0)
        self._sums += means.sum(0).T
        self._run_sums += rest.sum(0)
        by_column = np.ascontiguousarray(means.transpose(2, 0, 1))  # (K, B, A)
        self._means += by_column.transpose(0, 2, 1) @ by_column
        for arms, runs in self._alike():
            part = rest[:, runs].transpose(3, 0, 2, 1)  # (K, B, S, arms)
            part = np.ascontiguousarray(part).reshape(len(part), -1, len(arms))
            self._distances[:, arms[:, None], arms] += part.transpose(0, 2, 1) @ part

    def both(self) -> tuple[np.ndarray, np.ndarray]:
        """(K, A, A) covariances of the arms' means, and of the seeds' distances from them, summed
        over seeds: those between arms of equally many seeds."""
        distances = self._distances.copy()
        n = np.maximum(self.n, 1)[:, None, None]
        for arms, runs in self._alike():
            sums = self._run_sums[runs].transpose(2, 1, 0)  # (K, S, arms)
            distances[:, arms[:, None], arms] -= sums.transpose(0, 2, 1) @ sums / n
        means = self._means - self._sums[:, :, None] * self._sums[:, None] / n
        free = np.where(self.n > 1, self.n - 1, np.nan)[:, None, None]
        return means / free, distances / free

    def _alike(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Arms of equally many seeds, more than one, and (arms, S) their runs."""
        for size in np.unique(self.sizes[self.sizes > 1]):
            arms = np.flatnonzero(self.sizes == size)
            yield arms, self._starts[arms][:, None] + np.arange(size)


def variance_of(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K,) variance of a weighted sum of arms, from (K, A, A); what is rounding is 0."""
    used = np.flatnonzero(weights)
    part, w = covariance[:, used[:, None], used], weights[used]
    variance = np.einsum("a,kab,b->k", w, part, w)
    scale = np.einsum("a,kaa->k", w**2, part)
    return np.where(variance < 1e-13 * scale, 0.0, variance)


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
