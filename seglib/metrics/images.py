"""Image-wise means, which divide before they average: mIoU-I, its worst images, mIoU-C."""

from __future__ import annotations

import numpy as np

from seglib.metrics.counts import Array, mean_where, ratio


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
    return ratio(values.sum(-1), present.sum(-1))


def mean_iou_images(counts: Array) -> float:
    """mIoU-I: the mean `image_iou` of the images with a valid pixel; NaN if there is none."""
    values = image_iou(counts)
    return mean_where(values, values == values)


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
    return mean_where(ratio(values.sum(0), present.sum(0)), present.any(0))
