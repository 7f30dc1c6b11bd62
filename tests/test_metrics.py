"""Known answers of counts and ratios; batches of unequal size equal their union."""

import numpy as np
import pytest
import torch

from seglib.metrics import (
    class_counts,
    confusion,
    dice,
    iou,
    mean_iou,
    pixel_accuracy,
    precision,
    recall,
)

TRUTH = np.array([[[0, 0, 1, 1], [2, 2, 255, 255]]])
GUESS = np.array([[[0, 1, 1, 1], [2, 0, 2, 1]]])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_known_answers(kind):
    matrix = confusion(kind(GUESS), kind(TRUTH), n_classes=3)
    assert np.asarray(matrix).tolist() == [[[1, 1, 0], [0, 2, 0], [1, 0, 1]]]
    counts = class_counts(matrix)
    assert np.asarray(counts).tolist() == [[[1, 1, 1], [2, 1, 0], [1, 0, 1]]]
    assert np.allclose(iou(counts), [1 / 3, 2 / 3, 1 / 2])
    assert np.allclose(dice(counts), [2 / 4, 4 / 5, 2 / 3])
    assert np.allclose(precision(counts), [1 / 2, 2 / 3, 1])
    assert np.allclose(recall(counts), [1 / 2, 1, 1 / 2])
    assert mean_iou(counts) == pytest.approx(0.5)
    assert pixel_accuracy(counts) == pytest.approx(4 / 6)


def test_absent_class_is_nan_only_without_union_and_never_in_the_mean():
    # class 1: predicted, not in truth -> IoU 0, not in the mean; class 2: neither -> NaN
    counts = np.array([[[3, 0, 1], [0, 1, 0], [0, 0, 0]]])
    values = iou(counts)
    assert values[0] == 0.75 and values[1] == 0.0 and np.isnan(values[2])
    assert mean_iou(counts) == 0.75
    assert np.isnan(mean_iou(counts * 0))


def test_sums_before_dividing():
    counts = np.array([[[1, 0, 0]], [[1, 8, 0]]])  # per image 1 and 1/9, together 2/10
    assert iou(counts)[0] == pytest.approx(0.2)


def test_unequal_batches_equal_their_union():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (5, 6, 7))
    truth[rng.random(truth.shape) < 0.1] = 255
    guess = rng.integers(0, 4, (5, 6, 7))
    whole = class_counts(confusion(guess, truth, n_classes=4))
    parts = [class_counts(confusion(guess[s], truth[s], n_classes=4))
             for s in (slice(0, 1), slice(1, 5))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert mean_iou(np.concatenate(parts)) == mean_iou(whole)
    mean_of_means = np.mean([mean_iou(part) for part in parts])
    assert abs(mean_of_means - mean_iou(whole)) > 1e-3  # the test can tell them apart


def test_void_is_ignored_whatever_is_predicted_there():
    other = GUESS.copy()
    other[TRUTH == 255] = 99
    expected = confusion(GUESS, TRUTH, n_classes=3)
    assert np.array_equal(confusion(other, TRUTH, n_classes=3), expected)


@pytest.mark.parametrize("truth, guess, message", [
    (TRUTH, GUESS[:, :1], "must both be"),
    (TRUTH + 1, GUESS, r"masks must be in \[0, 3\)"),
    (TRUTH, GUESS + 2, r"predictions must be in \[0, 3\)"),
])
def test_bad_input(truth, guess, message):
    truth = np.where(truth == 256, 255, truth)
    with pytest.raises(ValueError, match=message):
        confusion(guess, truth, n_classes=3)
