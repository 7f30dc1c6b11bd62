"""Counts, which every metric derives from: confusion matrices, and TP, FP, FN of each class."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from seglib.lazy import torch

Array = TypeVar("Array", npt.NDArray[Any], "torch.Tensor")
VOID = 255
# What mIoU means here: stored with every study and run, so that unlike numbers never mix.
CONTRACT = {
    "void": "pixels labelled 255 are never scored",
    "resolution": "predictions are scored at the size of the stored label, one scale, no flip",
    "classes": "IoU is undefined only where a class has neither truth nor prediction",
    "reduction": "counts are summed over all images of the split, then divided; mIoU is the mean "
    "over the classes present in the truth",
    "background": "class 0 counts as a class in mIoU where it is named background",
}


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
    if not isinstance(
        masks, np.ndarray
    ):  # a tensor; NumPy is faster here: one thread, no waiting for others
        arrays = (labels.cpu().numpy() for labels in (predictions, masks))
        counts = confusion(*arrays, n_classes=n_classes, void=void)
        return torch.from_numpy(counts).to(masks.device)
    valid = masks != void
    truth, guess = masks * valid, predictions * valid  # void counts as (0, 0), taken off below
    for name, labels in (("masks", truth), ("predictions", guess)):
        if labels.size and not 0 <= labels.min() <= labels.max() < n_classes:
            low, high = labels[valid].min(), labels[valid].max()
            raise ValueError(f"{name} must be in [0, {n_classes}) where valid, got {low} to {high}")
    cells = truth.astype(np.uint16 if n_classes <= 256 else np.int64)  # narrow: less to move
    cells *= n_classes
    cells += guess.astype(cells.dtype)
    counts = np.zeros((len(masks), n_classes, n_classes), np.int64)
    for matrix, image_cells, image_valid in zip(counts, cells, valid, strict=True):
        matrix[:] = np.bincount(image_cells.ravel(), minlength=matrix.size).reshape(matrix.shape)
        matrix[0, 0] -= image_valid.size - np.count_nonzero(image_valid)
    return counts


def class_counts(confusions: Array) -> Array:
    """True positives, false positives and false negatives of each class.

    Args: confusions: (..., C, C) integers, rows truth.
    Returns: (..., C, 3) integers: TP, FP, FN.
    Raises: ValueError if the last two dimensions differ.
    """
    if confusions.ndim < 2 or confusions.shape[-1] != confusions.shape[-2]:
        raise ValueError(f"confusions must be (..., C, C), got {tuple(confusions.shape)}")
    if isinstance(confusions, np.ndarray):
        counts = confusions.astype(np.int64)
        hit = counts.diagonal(axis1=-2, axis2=-1)
        return np.stack([hit, counts.sum(-2) - hit, counts.sum(-1) - hit], axis=-1)
    tp = confusions.diagonal(dim1=-2, dim2=-1)
    fp = confusions.sum(-2) - tp
    fn = confusions.sum(-1) - tp
    return torch.stack([tp, fp, fn], dim=-1)


def totals(counts: Array) -> tuple[Array, Array, Array]:
    """TP, FP, FN as float64 (C,), summed over all leading dimensions of (..., C, 3)."""
    if counts.ndim < 2 or counts.shape[-1] != 3:
        raise ValueError(f"counts must be (B, C, 3), got {tuple(counts.shape)}")
    flat = counts.reshape(-1, *counts.shape[-2:]).sum(0)
    flat = flat.astype(np.float64) if isinstance(flat, np.ndarray) else flat.double()
    return flat[:, 0], flat[:, 1], flat[:, 2]


def ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, NaN only where the denominator is 0."""
    if isinstance(numerator, np.ndarray):
        nan = np.full_like(numerator, np.nan)
        return np.asarray(np.divide(numerator, denominator, out=nan, where=denominator != 0))
    return torch.where(denominator != 0, numerator / denominator, torch.nan)


def mean_where(values: Array, where: Array) -> float:
    """Mean of the values chosen by the boolean `where`; NaN if there is none."""
    return float(values[where].mean()) if bool(where.any()) else float("nan")
