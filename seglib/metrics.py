"""Segmentation metrics: counts first, ratios second.

Every number derives from per-image confusion matrices over valid pixels; counts are summed over
images before any division, so a set gives the same answer however it was cut into batches; only
the image-wise means, `image_iou` and the three after it, divide first. Every mean runs over the
classes present in the truth. Functions take NumPy arrays or torch tensors and answer in kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)
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
    if isinstance(masks, torch.Tensor):  # NumPy is faster here: one thread, no waiting for others
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


def _mean(values: Array, where: Array) -> float:
    """Mean of the values chosen by the boolean `where`; NaN if there is none."""
    return float(values[where].mean()) if bool(where.any()) else float("nan")


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
    return _mean(iou(counts), tp + fn > 0)


def mean_iou_of(counts: Array, classes: Iterable[int]) -> float:
    """Mean IoU of the given classes, those absent from the truth left out; NaN if none is left.

    Args: counts: as `mean_iou`. classes: different class indices in [0, C), or none.
    Raises: ValueError if a class is repeated or does not exist.
    """
    tp, _, fn = _totals(counts)
    chosen = [int(c) for c in classes]
    if len(set(chosen)) < len(chosen) or not all(0 <= c < len(tp) for c in chosen):
        raise ValueError(f"classes must be different and in [0, {len(tp)}), got {chosen}")
    return _mean(iou(counts)[chosen], (tp + fn > 0)[chosen])


def mean_iou_by_group(counts: Array, groups: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """`mean_iou_of` each named group of classes, such as `terciles` makes."""
    return {name: mean_iou_of(counts, classes) for name, classes in groups.items()}


def frequency_weighted_iou(counts: Array) -> float:
    """IoU weighted by each class's share of the valid pixels; counts and NaN as `mean_iou`.

    Source: Long et al. 2015, section 5.
    """
    tp, fp, fn = _totals(counts)
    total = float((tp + fn).sum())
    weighted = (tp + fn) * tp / (tp + fp + fn).clip(1)  # an empty union has weight 0
    return float(weighted.sum()) / total if total else float("nan")


def mean_class_accuracy(counts: Array) -> float:
    """Mean recall over the classes present in the truth; counts and NaN as `mean_iou`.

    Source: Long et al. 2015, section 5, "mean accuracy"; elsewhere "balanced accuracy".
    """
    tp, _, fn = _totals(counts)
    return _mean(recall(counts), tp + fn > 0)


def pixel_accuracy(counts: Array) -> float:
    """Share of valid pixels whose class is right; counts and NaN as `mean_iou`."""
    tp, _, fn = _totals(counts)
    total = float((tp + fn).sum())
    return float(tp.sum()) / total if total else float("nan")


def _image_class_iou(counts: Array) -> tuple[Array, Array]:
    """(n, C) float64 IoU of each class in each image, 0 where absent; (n, C) bool, present."""
    if counts.ndim != 3 or counts.shape[-1] != 3:
        raise ValueError(f"counts must be (n, C, 3), got {tuple(counts.shape)}")
    values = counts.astype(np.float64) if isinstance(counts, np.ndarray) else counts.double()
    tp, fp, fn = values[..., 0], values[..., 1], values[..., 2]
    return tp / (tp + fp + fn).clip(1), tp + fn > 0


def image_iou(counts: Array) -> Array:
    """Mean IoU of each image over the classes present in that image's truth.

    A class that an image only predicts does not enter; it costs those whose pixels it takes.

    Args: counts: (n, C, 3) TP, FP, FN per image.
    Returns: (n,) float64, NaN only for an image without a valid pixel.
    Source: Wang et al. 2023 (NeurIPS). For C = 2 their code scores the foreground alone, ours both.
    """
    values, present = _image_class_iou(counts)
    return _ratio(values.sum(-1), present.sum(-1))


def mean_iou_images(counts: Array) -> float:
    """mIoU-I: the mean `image_iou` of the images with a valid pixel; NaN if there is none."""
    values = image_iou(counts)
    return _mean(values, values == values)


def worst_images(counts: Array, q_percent: float) -> float:
    """mIoU-I^q: mean of the lowest floor(q n / 100), but at least one, of n values of `image_iou`.

    Images without a valid pixel are left out of n; NaN if none is left. 100 % is `mean_iou_images`.

    Args: counts: (n, C, 3) TP, FP, FN per image. q_percent: in (0, 100].
    """
    if not 0 < q_percent <= 100:
        raise ValueError(f"q_percent must be in (0, 100], got {q_percent}")
    values = sorted(value for value in image_iou(counts).tolist() if value == value)
    n_worst = max(1, int(q_percent * len(values) / 100 + 1e-9))  # 32.3 % of 1000 is 323
    return sum(values[:n_worst]) / n_worst if values else float("nan")


def mean_iou_pairs(counts: Array) -> float:
    """mIoU-C: per class the mean IoU over the images that show it, then the mean over classes.

    Only classes that some image shows count; NaN if there is none. Counts, source as `image_iou`.
    """
    values, present = _image_class_iou(counts)
    return _mean(_ratio(values.sum(0), present.sum(0)), present.any(0))


def worst_classes(counts_dev: Array, k: int) -> list[int]:
    """The k classes of lowest IoU among those in the truth, worst first; ties: lower index first.

    Choose on dev, report `mean_iou_of` them on test: the lowest k of the data that is reported are
    a minimum over noise. Counts as `mean_iou`.

    Raises: ValueError if the truth does not hold k classes, or k is below 1.
    """
    tp, _, fn = _totals(counts_dev)
    values = iou(counts_dev).tolist()
    present = [c for c, n_pixels in enumerate((tp + fn).tolist()) if n_pixels]
    if not 1 <= k <= len(present):
        raise ValueError(f"k must be in [1, {len(present)}], the classes in the truth, got {k}")
    return sorted(present, key=lambda c: values[c])[:k]


def terciles(train_pixel_share: Array, *, exclude: Iterable[int] = ()) -> dict[str, list[int]]:
    """Class indices by frequency in training: "rare", "medium", "frequent", each rarest first.

    Of n classes the first round(n / 3) are rare and those from round(2 n / 3) on frequent: 20 are
    7, 6, 7; 11 are 4, 3, 4; 2 are 1, 0, 1; 1 is 0, 1, 0. Equal shares are ordered by class index.
    A class of share 0 is in no group: it cannot be learnt, so it says nothing about rare classes
    (`mean_iou` still counts it where the truth shows it).

    Args:
        train_pixel_share: (C,) shares of the valid pixels; counts serve too, only order matters.
        exclude: classes in no group, such as the background.
    Raises: ValueError if a share is negative or not finite, or an excluded class does not exist.
    """
    share, left_out = np.asarray(train_pixel_share, np.float64), {int(c) for c in exclude}
    if share.ndim != 1 or not (np.isfinite(share) & (share >= 0)).all():
        raise ValueError(f"train_pixel_share must be (C,), finite and not negative, got {share}")
    if not left_out <= set(range(len(share))):
        raise ValueError(f"exclude must be in [0, {len(share)}), got {sorted(left_out)}")
    order = np.argsort(share, kind="stable").tolist()
    ranked = [c for c in order if share[c] > 0 and c not in left_out]
    low, high = round(len(ranked) / 3), round(2 * len(ranked) / 3)
    return {"rare": ranked[:low], "medium": ranked[low:high], "frequent": ranked[high:]}
