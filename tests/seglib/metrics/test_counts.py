"""Counts and ratios of them: known answers; batches equal their union; bad labels."""

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
from tests.seglib.metrics.cases import COUNTS, DATASET_WISE, IMAGE_WISE, KINDS

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
    parts = [
        class_counts(confusion(guess[s], truth[s], n_classes=4)) for s in (slice(0, 1), slice(1, 5))
    ]
    assert np.array_equal(np.concatenate(parts), whole)
    assert mean_iou(np.concatenate(parts)) == mean_iou(whole)
    mean_of_means = np.mean([mean_iou(part) for part in parts])
    assert abs(mean_of_means - mean_iou(whole)) > 1e-3  # the test can tell them apart


def test_void_is_ignored_whatever_is_predicted_there():
    other = GUESS.copy()
    other[TRUTH == 255] = 99
    expected = confusion(GUESS, TRUTH, n_classes=3)
    assert np.array_equal(confusion(other, TRUTH, n_classes=3), expected)


@pytest.mark.parametrize(
    "truth, guess, message",
    [
        (TRUTH, GUESS[:, :1], "must both be"),
        (TRUTH + 1, GUESS, r"masks must be in \[0, 3\)"),
        (TRUTH, GUESS + 2, r"predictions must be in \[0, 3\)"),
    ],
)
def test_bad_input(truth, guess, message):
    truth = np.where(truth == 256, 255, truth)
    with pytest.raises(ValueError, match=message):
        confusion(guess, truth, n_classes=3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("n_classes, void", [(3, 255), (3, -1), (3, 300), (256, 300), (300, 255)])
def test_confusion_counts_pixel_by_pixel(dtype, n_classes, void):
    rng = np.random.default_rng(1)
    top = min(n_classes, 256)
    truth, guess = rng.integers(0, top, (2, 3, 8, 5)).astype(dtype)
    truth[0, 0, :2] = guess[0, 0, :2] = top - 1  # the last cell is hit
    if np.iinfo(dtype).min <= void <= np.iinfo(dtype).max:
        truth[1, 2:4] = void
    expected = np.zeros((3, n_classes, n_classes), int)
    for i, y, x in np.ndindex(truth.shape):
        if truth[i, y, x] != void:
            expected[i, truth[i, y, x], guess[i, y, x]] += 1
    views = guess.transpose(0, 2, 1), truth.transpose(0, 2, 1)  # not contiguous
    for g, t in ((guess, truth), views, (guess[:, ::-1], truth[:, ::-1])):
        assert np.array_equal(confusion(g, t, n_classes=n_classes, void=void), expected)
    tensors = torch.from_numpy(guess), torch.from_numpy(truth)
    assert np.array_equal(confusion(*tensors, n_classes=n_classes, void=void), expected)


def test_confusion_sees_labels_that_a_narrow_type_would_hide():
    for label in (2**16, 2**32, -(2**16)):  # 0 in 16 bits
        wild = np.where(TRUTH == 0, label, TRUTH)
        with pytest.raises(ValueError, match="masks must be in"):
            confusion(GUESS, wild, n_classes=3)
        with pytest.raises(ValueError, match=f"predictions must be in .*{label}"):
            confusion(np.where(GUESS == 0, label, GUESS), TRUTH, n_classes=3)


def test_confusion_of_nothing_is_empty():
    assert confusion(GUESS[:0], TRUTH[:0], n_classes=3).shape == (0, 3, 3)
    assert not confusion(GUESS[:, :0], TRUTH[:, :0], n_classes=3).any()


def test_a_refused_label_is_told_by_the_range_of_the_valid_pixels():
    masks, predictions = np.array([[[3, 5, 255]]]), np.array([[[4, 9, 0]]])
    with pytest.raises(ValueError, match=r"masks must be in \[0, 3\) where valid, got 3 to 5"):
        confusion(predictions, masks, n_classes=3)
    with pytest.raises(ValueError, match=r"predictions must be in .* where valid, got 4 to 9"):
        confusion(predictions, np.where(masks < 255, 1, 255), n_classes=3)


@KINDS
def test_counts_of_another_shape_are_refused(kind):
    for metric in (*DATASET_WISE, *IMAGE_WISE):
        for shape in [(3,), (2, 4, 4), (2, 3, 2)]:
            with pytest.raises(ValueError, match=r"counts must be .*, 3\), got \("):
                metric(kind(np.ones(shape, int)))
    for metric in IMAGE_WISE:  # one total has no images
        with pytest.raises(ValueError, match=r"counts must be \(n, C, 3\), got \(3, 3\)"):
            metric(kind(COUNTS.sum(0)))
    for shape in [(3,), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"confusions must be \(..., C, C\), got"):
            class_counts(kind(np.ones(shape, int)))
