"""Owns the resampling of images: every run scored on the images as they are and on resamples.

Counts are TP, FP, FN of valid pixels per image and class, (n_images, C, 3); void is not in them.
Scores have K = 1 + C columns, mIoU then the IoU of each class, as fractions in [0, 1]. A class
absent from the truth of the split or replicate is NaN there and not in its mIoU, for every run.
Must not know: runs, files, wording.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.covariance import Arm, Covariances, group_means

CHUNK = 4_000_000  # numbers held at once while resampling


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of A arms on the images as they are, and how they vary over shared resamples.

    The resamples themselves are not kept: of 2,000 runs they would be 700 MB. Covariances are over
    the resamples that hold a column (ddof 1), NaN where fewer than two do.
    """

    observed: tuple[np.ndarray, ...]  # A arrays (S_a, K)
    means: np.ndarray  # (K, A, A) covariance of the arms' means over their seeds
    distances: np.ndarray  # (K, A, A) of seeds' distances from that mean, summed; for equal S_a
    n_units: np.ndarray  # (K,) images or groups; for a class those whose truth holds it


def resample(
    arms: Sequence[Arm],
    *,
    n_boot: int,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
    class_groups: Sequence[Sequence[int]] = (),
) -> Resampled:
    """Score every run on `n_boot` resamples of the images, the same ones for all runs.

    Args:
        arms: A times S_a runs, each (n_images, C, 3), pixel counts of the same images in the same
            order: arrays (S_a, n_images, C, 3), or what yields them one by one.
        groups: n_images labels; whole groups are then drawn, as many as there are.
        class_groups: G groups of classes; their means (see `group_means`) are columns after the
            classes, so that they get intervals as classes do.
    Raises: ValueError if shapes disagree or runs disagree about the truth (TP + FN).
    Source: Everingham et al., Assessing the significance of performance differences on the PASCAL
        VOC challenges via bootstrapping: counts are re-summed, ratios never averaged over images.
    """
    units = _units(arms, groups)
    sizes = [len(arm) for arm in arms]
    observed = _with_groups(units.scores(np.ones((1, units.n)))[0], class_groups)
    held = units.truth > 0
    n_units = np.r_[held.any(1).sum(), held.sum(0)]
    found = Covariances(observed, sizes)
    for scores in _replicates(units, n_boot, rng):
        found.add(_with_groups(scores, class_groups))
    return Resampled(
        tuple(np.split(observed, np.cumsum(sizes)[:-1])),
        *found.both(),
        np.r_[n_units, [n_units[1:][list(group)].max() for group in class_groups]].astype(int),
    )


def replicates(
    arms: Sequence[Arm],
    *,
    n_boot: int,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
) -> np.ndarray:
    """The scores themselves, (n_boot, number of runs, K), arm by arm; arguments as `resample`."""
    return np.concatenate(list(_replicates(_units(arms, groups), n_boot, rng)))


def _replicates(units: _Units, n_boot: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Scores (B, n_runs, K) on resamples of the units, a few at a time."""
    if n_boot < 2:
        raise ValueError(f"n_boot must be at least 2, got {n_boot}")
    n_units, step = units.n, max(1, CHUNK // max(units.n, units.n_numbers))
    for start in range(0, n_boot, step):
        draws = rng.integers(n_units, size=(min(step, n_boot - start), n_units))
        cells = draws + n_units * np.arange(len(draws))[:, None]
        times = np.bincount(cells.ravel(), minlength=draws.size).reshape(draws.shape)
        yield units.scores(times.astype(np.float64))


def _with_groups(scores: np.ndarray, class_groups: Sequence[Sequence[int]]) -> np.ndarray:
    if not class_groups:
        return scores
    return np.concatenate([scores, group_means(scores[..., 1:], class_groups)], axis=-1)


@dataclass(frozen=True, eq=False)
class _Units:
    """Pixel sums of U images or groups, float64, which is exact below 2^53.

    `hits` and `false` hold for each class the units in which any of the R runs has TP (or FP), and
    (R, that many) its pixels: a class has hits only where the truth shows it.
    """

    truth: np.ndarray  # (U, C)
    hits: Sequence[tuple[np.ndarray, np.ndarray]]
    false: Sequence[tuple[np.ndarray, np.ndarray]]

    @property
    def n(self) -> int:
        return len(self.truth)

    @property
    def n_numbers(self) -> int:
        """Sums of a resample."""
        return self.truth.shape[1] * (1 + 2 * len(self.hits[0][1]))

    def scores(self, times: np.ndarray) -> np.ndarray:
        """Scores (B, R, K) where each unit counts so many times, (B, U)."""
        truth, n_runs = times @ self.truth, len(self.hits[0][1])
        scores = np.full((len(times), n_runs, 1 + truth.shape[1]), np.nan)
        for index, ((where, tp), (other, fp)) in enumerate(zip(self.hits, self.false, strict=True)):
            union = truth[:, index, None] + times[:, other] @ fp.T
            present = np.broadcast_to(truth[:, index, None] > 0, union.shape)
            np.divide(times[:, where] @ tp.T, union, out=scores[..., 1 + index], where=present)
        n_present = (truth > 0).sum(-1)[:, None]
        total = np.nansum(scores[..., 1:], axis=-1)
        np.divide(total, n_present, out=scores[..., 0], where=n_present > 0)
        return scores


def _units(arms: Sequence[Arm], groups: Sequence[Hashable] | None) -> _Units:
    """The counts of all runs, summed over the images of a group."""
    nothing: np.ndarray = np.zeros(0)
    truth = tp = fp = nothing
    labels, number = 0, 0
    index: np.ndarray | None = None
    for arm in arms:
        if isinstance(arm, np.ndarray):
            checked(arm, "(S, n_images, C, 3)", 4)
    for counts in itertools.chain.from_iterable(arms):
        counts = checked(counts, "(n_images, C, 3)", 3)
        if not number:
            truth = counts[..., 0] + counts[..., 2]
            labels, index = _labels(groups, len(counts))
            tp, fp = np.empty((2, counts.shape[1], sum(map(len, arms)), labels))
        if counts.shape[:2] != truth.shape:
            raise ValueError(
                f"counts must be of the same images and classes, {truth.shape} as the first run "
                f"has, got {counts.shape[:2]}"
            )
        if (counts[..., 0] + counts[..., 2] != truth).any():
            raise ValueError(
                "counts must share the truth, TP + FN of each image and class the same in "
                "all runs, got different ones; put the images in one order"
            )
        tp[:, number], fp[:, number] = _summed(counts[..., :2], index, labels).transpose(2, 1, 0)
        number += 1
    held = [[_held(pixels) for pixels in part] for part in (tp, fp)]
    return _Units(_summed(truth, index, labels), *held)


def _summed(counts: np.ndarray, index: np.ndarray | None, n_labels: int) -> np.ndarray:
    """Sums over the images (n_images, ...) of a label, float64; as they are without labels."""
    if index is None:
        return counts.astype(np.float64)
    sums = np.zeros((n_labels, *counts.shape[1:]))
    np.add.at(sums, index, counts)
    return sums


def _held(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns (units) of (R, U) that are not all 0, and these columns."""
    where = np.flatnonzero(pixels.any(0))
    return where, np.ascontiguousarray(pixels[:, where])


def _labels(groups: Sequence[Hashable] | None, n_images: int) -> tuple[int, np.ndarray | None]:
    """How many units there are, and (n_images,) the unit of each image; None: one each."""
    if groups is None:
        return n_images, None
    if len(groups) != n_images:
        raise ValueError(f"groups must be {n_images} labels, one per image, got {len(groups)}")
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    return len(labels), index


def checked(counts: np.ndarray, shape: str, n_dims: int) -> np.ndarray:
    """Counts of that shape, whole numbers as int64."""
    counts = np.asarray(counts)
    if counts.ndim != n_dims or counts.shape[-1] != 3 or not counts.size:
        raise ValueError(f"counts must be {shape} and not empty, got {counts.shape}")
    return counts.astype(np.int64) if counts.dtype.kind in "ui" else counts
