"""Ratios of counts that are summed over all images first: IoU, Dice, their means, accuracies."""

from __future__ import annotations

from seglib.metrics.counts import Array, mean_where, ratio, totals


def iou(counts: Array) -> Array:
    """Intersection over union TP / (TP + FP + FN) per class.

    Args: counts: (B, C, 3) TP, FP, FN per image; summed over images first.
    Returns: (C,) float64, NaN only where a class has no truth and no prediction.
    Source: Everingham et al. 2010, the VOC segmentation measure.
    """
    tp, fp, fn = totals(counts)
    return ratio(tp, tp + fp + fn)


def dice(counts: Array) -> Array:
    """Dice (F1) 2 TP / (2 TP + FP + FN) per class; shapes as `iou`."""
    tp, fp, fn = totals(counts)
    return ratio(2 * tp, 2 * tp + fp + fn)


def precision(counts: Array) -> Array:
    """TP / (TP + FP) per class; shapes as `iou`, NaN where the class is never predicted."""
    tp, fp, _ = totals(counts)
    return ratio(tp, tp + fp)


def recall(counts: Array) -> Array:
    """TP / (TP + FN) per class; shapes as `iou`, NaN where the class has no truth."""
    tp, _, fn = totals(counts)
    return ratio(tp, tp + fn)


def mean_iou(counts: Array) -> float:
    """Mean IoU over the classes present in the truth (TP + FN > 0); NaN if there is none.

    Args: counts: (B, C, 3) TP, FP, FN per image; summed over images first.
    """
    tp, _, fn = totals(counts)
    return mean_where(iou(counts), tp + fn > 0)


def frequency_weighted_iou(counts: Array) -> float:
    """IoU weighted by each class's share of the valid pixels; counts and NaN as `mean_iou`.

    Source: Long et al. 2015, section 5.
    """
    tp, fp, fn = totals(counts)
    total = float((tp + fn).sum())
    weighted = (tp + fn) * tp / (tp + fp + fn).clip(1)  # an empty union has weight 0
    return float(weighted.sum()) / total if total else float("nan")


def mean_class_accuracy(counts: Array) -> float:
    """Mean recall over the classes present in the truth; counts and NaN as `mean_iou`.

    Source: Long et al. 2015, section 5, "mean accuracy"; elsewhere "balanced accuracy".
    """
    tp, _, fn = totals(counts)
    return mean_where(recall(counts), tp + fn > 0)


def pixel_accuracy(counts: Array) -> float:
    """Share of valid pixels whose class is right; counts and NaN as `mean_iou`."""
    tp, _, fn = totals(counts)
    total = float((tp + fn).sum())
    return float(tp.sum()) / total if total else float("nan")
