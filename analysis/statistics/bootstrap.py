"""Owns the resampling of images: every run scored on the images as they are and on resamples.

Counts are TP, FP, FN of valid pixels per image and class, (n_images, C, 3); void is not in them.
Scores have K = 1 + C columns, mIoU then the IoU of each class, as fractions in [0, 1]. A class
absent from the truth of the split or replicate is NaN there and not in its mIoU, for every run.
Must not know: runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CHUNK = 4_000_000  # numbers held at once while resampling


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of A arms on the images as they are and on shared resamples of them."""

    observed: tuple[np.ndarray, ...]  # A arrays (S_a, K)
    replicates: tuple[np.ndarray, ...]  # A arrays (n_boot, S_a, K)
    n_units: np.ndarray  # (K,) images or groups; for a class those whose truth holds it


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
    if n_boot < 2:
        raise ValueError(f"n_boot must be at least 2, got {n_boot}")
    runs = _runs(arms)
    n_runs, _, n_classes, _ = runs.shape
    units = _units(runs, groups)
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
    )


def _runs(arms: Sequence[np.ndarray]) -> np.ndarray:
    """All runs of all arms, (n_runs, n_images, C, 3)."""
    arms = [checked(arm, "(S, n_images, C, 3)", 4) for arm in arms]
    for arm in arms:
        if arm.shape[1:] != arms[0].shape[1:]:
            raise ValueError(
                f"counts must be of the same images and classes, (S, n_images, C, 3) "
                f"like {arms[0].shape}, got {arm.shape}"
            )
    runs = np.concatenate(arms)
    truth = runs[..., 0] + runs[..., 2]
    if (truth != truth[0]).any():
        raise ValueError(
            "counts must share the truth, TP + FN of each image and class the same in "
            "all runs, got different ones; put the images in one order"
        )
    return runs


def _units(runs: np.ndarray, groups: Sequence[Hashable] | None) -> np.ndarray:
    """Pixel sums, a row per image or group: C of truth, TP of each run, FP of each run."""
    n_images = runs.shape[1]
    hits = runs[..., :2].transpose(1, 3, 0, 2).reshape(n_images, -1)
    images = np.hstack([runs[0, ..., 0] + runs[0, ..., 2], hits]).astype(np.float64)
    if groups is None:
        return images  # float64 is exact below 2^53
    if len(groups) != n_images:
        raise ValueError(f"groups must be {n_images} labels, one per image, got {len(groups)}")
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    units = np.zeros((len(labels), images.shape[1]))
    np.add.at(units, index, images)
    return units


def checked(counts: np.ndarray, shape: str, n_dims: int) -> np.ndarray:
    """Counts of that shape, whole numbers as int64."""
    counts = np.asarray(counts)
    if counts.ndim != n_dims or counts.shape[-1] != 3 or not counts.size:
        raise ValueError(f"counts must be {shape} and not empty, got {counts.shape}")
    return counts.astype(np.int64) if counts.dtype.kind in "ui" else counts


def _scores(totals: np.ndarray, n_runs: int, n_classes: int) -> np.ndarray:
    """Pixel sums (..., C + 2 n_runs C), as `_units` lays them out, -> scores (..., n_runs, K)."""
    lead, truth = totals.shape[:-1], totals[..., None, :n_classes]
    hits = totals[..., n_classes:].reshape(*lead, 2, n_runs, n_classes)
    tp, fp = hits[..., 0, :, :], hits[..., 1, :, :]
    present = np.broadcast_to(truth > 0, tp.shape)
    scores = np.full((*lead, n_runs, 1 + n_classes), np.nan)
    np.divide(tp, truth + fp, out=scores[..., 1:], where=present)
    total, n_present = np.where(present, scores[..., 1:], 0).sum(-1), present.sum(-1)
    np.divide(total, n_present, out=scores[..., 0], where=n_present > 0)
    return scores
