"""Known answers of the means, of groups of classes, and of nothing valid."""

import numpy as np
import pytest
import torch

from seglib.metrics import (
    frequency_weighted_iou,
    image_iou,
    mean_class_accuracy,
    mean_iou,
    mean_iou_by_group,
    mean_iou_images,
    mean_iou_of,
    mean_iou_pairs,
    terciles,
    worst_classes,
    worst_images,
)
from tests.seglib.metrics.cases import COUNTS, DATASET_WISE, IMAGE_WISE, KINDS


@KINDS
def test_known_answers_of_the_means(kind):
    counts = kind(COUNTS)
    assert mean_iou(counts) == pytest.approx((9 / 12 + 1 / 4 + 1 / 3) / 3)
    assert mean_iou_of(counts, [2, 1]) == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert mean_iou_by_group(counts, {"a": (0,), "b": np.array([1, 2])}) == pytest.approx(
        {"a": 9 / 12, "b": 7 / 24}
    )
    assert mean_class_accuracy(counts) == pytest.approx((9 / 11 + 1 / 2 + 1 / 2) / 3)
    assert frequency_weighted_iou(counts) == pytest.approx(
        (11 * 9 / 12 + 2 * 1 / 4 + 2 * 1 / 3) / 15
    )
    assert type(image_iou(counts)) is type(counts)
    assert np.allclose(image_iou(counts), [1 / 2, 5 / 8, np.nan], equal_nan=True)
    assert mean_iou_images(counts) == pytest.approx((1 / 2 + 5 / 8) / 2)
    assert mean_iou_pairs(counts) == pytest.approx(((3 / 4 + 3 / 4) / 2 + 1 / 4 + 1 / 2) / 3)


@KINDS
def test_worst_classes_are_chosen_among_those_in_the_truth(kind):
    counts = np.array([[[1, 0, 1], [0, 9, 0], [1, 2, 1], [1, 1, 0], [0, 0, 0]]])
    # 1/2; only predicted; 1/4; 1/2, after its equal 0; nowhere
    assert [worst_classes(kind(counts), k) for k in (1, 2, 3)] == [[2], [2, 0], [2, 0, 3]]
    for k in (0, 4):
        with pytest.raises(ValueError, match=rf"k must be in \[1, 3\].* got {k}"):
            worst_classes(kind(counts), k)


@KINDS
def test_classes_absent_from_the_truth_are_not_in_a_mean_of_classes(kind):
    counts = kind(np.array([[[1, 0, 1], [0, 9, 0], [0, 0, 0]]]))
    assert mean_iou_of(counts, (0, 1, 2)) == 0.5 == mean_iou(counts)
    assert np.isnan(mean_iou_of(counts, [1, 2])) and np.isnan(mean_iou_of(counts, []))


@pytest.mark.parametrize(
    "n_images, q_percent, n_lowest",
    [
        (10, 39, 3),
        (10, 40, 4),
        (10, 1, 1),
        (10, 100, 10),
        (1, 5, 1),
        (100, 29, 29),
        (1000, 32.3, 323),
        (1000, 0.1, 1),  # in floating point 28.99..., 322.99...
    ],
)
@KINDS
def test_worst_images(kind, n_images, q_percent, n_lowest):
    tp = np.random.default_rng(0).permutation(n_images)  # image IoU is tp / n_images
    counts = np.zeros((n_images + 3, 2, 3), int)  # and three images that are all void
    counts[:n_images, 0] = np.stack([tp, 0 * tp, n_images - tp], axis=-1)
    expected = (n_lowest - 1) / 2 / n_images  # the mean of 0, 1, ... n_lowest - 1
    assert worst_images(kind(counts), q_percent) == pytest.approx(expected)


@pytest.mark.parametrize("q_percent", [0, -1, 100.1, float("nan")])
def test_worst_images_needs_a_share(q_percent):
    with pytest.raises(ValueError, match=r"q_percent must be in \(0, 100\], got"):
        worst_images(COUNTS, q_percent)


@pytest.mark.parametrize(
    "share, exclude, rare, medium, frequent",
    [
        ([0.3, 0.1, 0.2, 0.4], [], [1], [2, 0], [3]),
        ([0.3, 0.1, 0.2, 0.4], [3], [1], [2], [0]),  # without the background
        ([0.3, 0.1, 0.0, 0.6], [], [1], [0], [3]),  # share 0: in no group
        ([0.25] * 4, [], [0], [1, 2], [3]),  # ties by index
        ([5, 5, 3, 9, 3], (), [2, 4], [0], [1, 3]),  # counts serve as well
        ([0.6, 0.4], [], [1], [], [0]),
        ([1.0, 0.0], [], [], [0], []),
        ([0.5, 0.5], [0, 1], [], [], []),
        (np.arange(1, 12), [], [0, 1, 2, 3], [4, 5, 6], [7, 8, 9, 10]),
        (
            torch.arange(21, 0, -1),
            [0],
            list(range(20, 13, -1)),
            list(range(13, 7, -1)),
            list(range(7, 0, -1)),
        ),
    ],
)
def test_terciles(share, exclude, rare, medium, frequent):
    assert terciles(share, exclude=exclude) == {
        "rare": rare,
        "medium": medium,
        "frequent": frequent,
    }


@pytest.mark.parametrize(
    "share, exclude, message",
    [
        ([0.5, -0.1], [], "train_pixel_share must be .* not negative"),
        ([0.5, np.nan], [], "train_pixel_share must be"),
        ([0.5, np.inf], [], "train_pixel_share must be"),
        ([[0.5, 0.5]], [], r"train_pixel_share must be \(C,\)"),
        ([0.5, 0.5], [2], r"exclude must be in \[0, 2\), got \[2\]"),
        ([0.5, 0.5], [-1], r"exclude must be in \[0, 2\), got \[-1\]"),
    ],
)
def test_terciles_need_shares(share, exclude, message):
    with pytest.raises(ValueError, match=message):
        terciles(share, exclude=exclude)


@pytest.mark.parametrize("classes", [[3], [-1], [1, 1]])
def test_a_mean_of_classes_needs_different_classes_that_exist(classes):
    with pytest.raises(ValueError, match=r"classes must be different and in \[0, 3\), got"):
        mean_iou_of(COUNTS, classes)


@KINDS
def test_nothing_valid_is_nan_and_nothing_else(kind):
    for counts in (kind(COUNTS[2:]), kind(COUNTS[:0])):
        for metric in (*DATASET_WISE, *IMAGE_WISE):
            assert np.isnan(np.asarray(metric(counts))).all()
        assert np.isnan(list(mean_iou_by_group(counts, {"all": range(3)}).values())).all()
    for metric in (*DATASET_WISE, *IMAGE_WISE):  # one pixel of one class is enough
        result = np.asarray(metric(kind(np.array([[[1, 0, 0], [0, 0, 0]]]))))
        assert result.flat[0] == 1 and (result.size == 1 or np.isnan(result.flat[1]))
