"""Segmentation metrics: counts first, ratios second.

Every number derives from per-image confusion matrices over valid pixels; counts are summed over
images before any division, so a set gives the same answer however it was cut into batches.
Functions take NumPy arrays or torch tensors and answer in kind.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)
VOID = 255


def confusion(predictions: Array, masks: Array, *, n_classes: int, void: int = VOID) -> Array:
    """Per-image confusion matrices over the valid pixels.

    Args:
        predictions: (B, H, W) integers in [0, n_classes); ignored where the mask is void.
        masks: (B, H, W) integers in [0, n_classes), or `void`.
    Returns: (B, n_classes, n_classes) int64, rows truth, columns prediction.
    Raises: ValueError if shapes disagree or a label lies outside its range.
    """
    if predictions.shape != masks.shape or masks.ndim != 3:
        raise ValueError(
            "predictions and masks must both be (B, H, W), got "
            f"{tuple(predictions.shape)} and {tuple(masks.shape)}"
        )
    if isinstance(masks, np.ndarray):
        counts = confusion(
            torch.from_numpy(np.ascontiguousarray(predictions)),
            torch.from_numpy(np.ascontiguousarray(masks)),
            n_classes=n_classes,
            void=void,
        )
        return counts.numpy()
    truth, guess = masks.long(), predictions.long()
    valid = truth != void
    for name, labels in (("masks", truth[valid]), ("predictions", guess[valid])):
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
            raise ValueError(
                f"{name} must be in [0, {n_classes}) where valid, got "
                f"{int(labels.min())} to {int(labels.max())}"
            )
    n_images, n_cells = masks.shape[0], n_classes * n_classes
    image = torch.arange(n_images, device=truth.device).view(-1, 1, 1).expand_as(truth)
    cell = (image * n_cells + truth * n_classes + guess)[valid]
    return torch.bincount(cell, minlength=n_images * n_cells).view(n_images, n_classes, n_classes)


def class_counts(confusions: Array) -> Array:
    """True positives, false positives and false negatives of each class.

    Args: confusions: (..., C, C) integers, rows truth.
    Returns: (..., C, 3) integers: TP, FP, FN.
    """
    if isinstance(confusions, np.ndarray):
        return class_counts(torch.from_numpy(confusions.astype(np.int64))).numpy()
    tp = confusions.diagonal(dim1=-2, dim2=-1)
    fp = confusions.sum(-2) - tp
    fn = confusions.sum(-1) - tp
    return torch.stack([tp, fp, fn], dim=-1)


def _totals(counts: Array) -> tuple[Array, Array, Array]:
    """TP, FP, FN as float64 (C,), summed over all leading dimensions of (..., C, 3)."""
    if counts.ndim < 2 or counts.shape[-1] != 3:
        raise ValueError(f"counts must be (B, C, 3), got {tuple(counts.shape)}")
    flat = counts.reshape(-1, *counts.shape[-2:]).sum(0)
    flat = flat.astype(np.float64) if isinstance(flat, np.ndarray) else flat.double()
    return flat[:, 0], flat[:, 1], flat[:, 2]


def _ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, NaN only where the denominator is 0."""
    if isinstance(numerator, np.ndarray):
        nan = np.full_like(numerator, np.nan)
        return np.divide(numerator, denominator, out=nan, where=denominator != 0)
    return torch.where(denominator != 0, numerator / denominator, torch.nan)


def iou(counts: Array) -> Array:
    """Intersection over union TP / (TP + FP + FN) per class.

    Args: counts: (B, C, 3) TP, FP, FN per image; summed over images first.
    Returns: (C,) float64, NaN only where a class has no truth and no prediction.
    Source: Everingham et al. 2010, the VOC segmentation measure.
    """
    tp, fp, fn = _totals(counts)
    return _ratio(tp, tp + fp + fn)


def dice(counts: Array) -> Array:
    """Dice (F1) 2 TP / (2 TP + FP + FN) per class; shapes as `iou`."""
    tp, fp, fn = _totals(counts)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def precision(counts: Array) -> Array:
    """TP / (TP + FP) per class; shapes as `iou`, NaN where the class is never predicted."""
    tp, fp, _ = _totals(counts)
    return _ratio(tp, tp + fp)


def recall(counts: Array) -> Array:
    """TP / (TP + FN) per class; shapes as `iou`, NaN where the class has no truth."""
    tp, _, fn = _totals(counts)
    return _ratio(tp, tp + fn)


def mean_iou(counts: Array) -> float:
    """Mean IoU over the classes present in the truth (TP + FN > 0); NaN if there is none.

    Args: counts: (B, C, 3) TP, FP, FN per image; summed over images first.
    """
    tp, _, fn = _totals(counts)
    present = (tp + fn) > 0
    return float(iou(counts)[present].mean()) if bool(present.any()) else float("nan")


def pixel_accuracy(counts: Array) -> float:
    """Share of valid pixels whose class is right; NaN if there is none.

    Args: counts: (B, C, 3) TP, FP, FN per image; summed over images first.
    """
    tp, _, fn = _totals(counts)
    total = float((tp + fn).sum())
    return float(tp.sum()) / total if total else float("nan")
