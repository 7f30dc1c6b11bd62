"""Segmentation metrics: counts first, ratios second.

Every number derives from per-image confusion matrices over valid pixels; counts are summed over
images before any division, so a set gives the same answer however it was cut into batches; only
the image-wise means, `image_iou` and the three after it, divide first. Every mean runs over the
classes present in the truth. Functions take NumPy arrays or torch tensors and answer in kind.
"""

from seglib.metrics.classes import mean_iou_by_group, mean_iou_of, terciles, worst_classes
from seglib.metrics.counts import CONTRACT, VOID, class_counts, confusion
from seglib.metrics.images import image_iou, mean_iou_images, mean_iou_pairs, worst_images
from seglib.metrics.pooled import (
    dice,
    frequency_weighted_iou,
    iou,
    mean_class_accuracy,
    mean_iou,
    pixel_accuracy,
    precision,
    recall,
)
from seglib.metrics.signs import Predicted, Sign, listed, predicted, signs
from seglib.metrics.sparse import Confusions

__all__ = [
    "CONTRACT",
    "VOID",
    "Confusions",
    "Predicted",
    "Sign",
    "class_counts",
    "confusion",
    "dice",
    "frequency_weighted_iou",
    "image_iou",
    "iou",
    "listed",
    "mean_class_accuracy",
    "mean_iou",
    "mean_iou_by_group",
    "mean_iou_images",
    "mean_iou_of",
    "mean_iou_pairs",
    "pixel_accuracy",
    "precision",
    "predicted",
    "recall",
    "signs",
    "terciles",
    "worst_classes",
    "worst_images",
]
