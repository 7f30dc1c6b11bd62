"""Label maps and counts that the metrics are asked about."""

import numpy as np
import pytest
import torch

from seglib.metrics import (
    class_counts,
    confusion,
    dice,
    frequency_weighted_iou,
    image_iou,
    iou,
    mean_class_accuracy,
    mean_iou,
    mean_iou_images,
    mean_iou_pairs,
    pixel_accuracy,
    precision,
    recall,
    worst_images,
)

KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


COUNTS = np.array(
    [  # TP, FP, FN of three classes in three images
        [[6, 0, 2], [1, 2, 1], [0, 1, 0]],  # 3/4, 1/4; class 2 only predicted: mean 1/2
        [[3, 1, 0], [0, 0, 0], [1, 0, 1]],  # 3/4, 1/2; class 1 nowhere: mean 5/8
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],  # all void
    ]
)  # together 9/12, 1/4, 1/3 with 11, 2, 2 pixels of truth


DATASET_WISE = [
    iou,
    dice,
    precision,
    recall,
    mean_iou,
    mean_class_accuracy,
    pixel_accuracy,
    frequency_weighted_iou,
]


IMAGE_WISE = [image_iou, mean_iou_images, mean_iou_pairs, lambda counts: worst_images(counts, 10)]


def _cases() -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """name -> predictions, masks (n, H, W) uint8, number of classes."""
    rng = np.random.default_rng(7)

    def draw(n_images, height, width, n_classes, right=0.6, void=0.1):
        truth = rng.integers(0, n_classes, (n_images, height, width), dtype=np.uint8)
        guess = rng.integers(0, n_classes, truth.shape, dtype=np.uint8)
        guess = np.where(rng.random(truth.shape) < right, truth, guess)
        truth[rng.random(truth.shape) < void] = 255
        return guess, truth, n_classes

    cases = {
        "random": draw(5, 9, 11, 6),
        "two classes": draw(4, 8, 8, 2),
        "one image": draw(1, 12, 10, 5),
        "one pixel": draw(1, 1, 1, 3, void=0),
        "one pixel each": draw(6, 1, 1, 3),
        "without void": draw(4, 6, 7, 4, void=0),
    }
    guess, truth, _ = draw(4, 9, 11, 5)
    cases["imbalanced"] = (np.where(guess > 2, 0, guess), np.where(truth < 4, 0, truth), 5)
    cases["predicted, not in the truth"] = (guess, np.where(truth == 3, 0, truth), 5)
    cases["in neither"] = (np.where(guess == 0, 1, guess), np.where(truth == 0, 1, truth), 5)
    cases["in the truth, not predicted"] = (np.where(guess == 2, 1, guess), truth, 5)
    cases["predicted in void only"] = (
        np.where(truth == 255, 4, np.where(guess == 4, 0, guess)),
        np.where(truth == 4, 0, truth),
        5,
    )
    cases["an image all void"] = (
        guess,
        np.where(np.arange(4)[:, None, None] == 1, np.uint8(255), truth),
        5,
    )
    labels = np.where(truth == 255, 0, truth)
    cases["all right"] = (labels, truth, 5)
    cases["all wrong"] = ((labels + 1) % 5, truth, 5)
    return {name: (g.astype(np.uint8), t.astype(np.uint8), c) for name, (g, t, c) in cases.items()}


CASES = _cases()


ORACLE = pytest.mark.parametrize("case", CASES)


def counts_of(case: str) -> np.ndarray:
    guess, truth, n_classes = CASES[case]
    return class_counts(confusion(guess, truth, n_classes=n_classes))
