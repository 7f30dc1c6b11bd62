"""Oracles from label maps: scikit-learn, torchmetrics, loops written from the definitions."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

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
    mean_iou_of,
    mean_iou_pairs,
    pixel_accuracy,
    precision,
    recall,
    worst_classes,
    worst_images,
)
from tests.seglib.metrics.cases import CASES, DATASET_WISE, IMAGE_WISE, KINDS, ORACLE, counts_of


def test_the_cases_are_what_they_are_called():
    def has(case, which):  # classes among the valid pixels of prediction (0) or truth (1)
        return set(CASES[case][which][CASES[case][1] != 255].tolist())

    five = set(range(5))
    assert has("predicted, not in the truth", 1) == five - {3}
    assert has("predicted, not in the truth", 0) == five
    assert has("in neither", 0) == has("in neither", 1) == five - {0}
    assert has("in the truth, not predicted", 0) == five - {2}
    assert has("in the truth, not predicted", 1) == five
    assert has("predicted in void only", 0) == has("predicted in void only", 1) == five - {4}
    assert 4 in CASES["predicted in void only"][0]
    valid_images = [(truth != 255).any((1, 2)) for _, truth, _ in CASES.values()]
    assert any(v.any() and not v.all() for v in valid_images)
    assert pixel_accuracy(counts_of("all right")) == 1 == mean_iou_pairs(counts_of("all right"))
    assert pixel_accuracy(counts_of("all wrong")) == 0 == mean_iou_images(counts_of("all wrong"))


@ORACLE
@pytest.mark.filterwarnings(  # scikit-learn's remarks on what the adversarial cases are about
    "ignore:y_pred contains classes not in y_true:UserWarning",
    "ignore:A single label was found in:UserWarning",
)
def test_scikit_learn_agrees(case):
    guess, truth, n_classes = CASES[case]
    y, p = truth[truth != 255], guess[truth != 255]
    every, present = list(range(n_classes)), sorted(set(y.tolist()))
    matrix = sk.confusion_matrix(y, p, labels=every)
    assert np.array_equal(confusion(guess, truth, n_classes=n_classes).sum(0), matrix)
    counts = counts_of(case)

    def same(ours, theirs):
        assert np.allclose(ours, theirs, rtol=1e-12, atol=0, equal_nan=True)

    union = np.isin(every, [*y, *p])
    theirs = sk.jaccard_score(y, p, labels=every, average=None, zero_division=0)
    same(iou(counts), np.where(union, theirs, np.nan))
    for ours, score in (
        (dice, sk.f1_score),
        (precision, sk.precision_score),
        (recall, sk.recall_score),
    ):
        same(ours(counts), score(y, p, labels=every, average=None, zero_division=np.nan))
    same(mean_iou(counts), sk.jaccard_score(y, p, labels=present, average="macro"))
    same(
        mean_iou_of(counts, present[:2]),
        sk.jaccard_score(y, p, labels=present[:2], average="macro"),
    )
    same(frequency_weighted_iou(counts), sk.jaccard_score(y, p, labels=present, average="weighted"))
    same(mean_class_accuracy(counts), sk.balanced_accuracy_score(y, p))
    same(pixel_accuracy(counts), sk.accuracy_score(y, p))


@ORACLE
def test_torchmetrics_agrees(case):
    import torchmetrics.functional.classification as tm

    guess, truth, n_classes = CASES[case]
    p, y = torch.from_numpy(guess).long(), torch.from_numpy(truth).long()
    valid = {"num_classes": n_classes, "ignore_index": 255}
    counts = torch.from_numpy(counts_of(case))
    matrix = tm.multiclass_confusion_matrix(p, y, **valid)
    assert torch.equal(class_counts(matrix), counts.sum(0))
    per_image = tm.multiclass_stat_scores(
        p, y, average=None, multidim_average="samplewise", **valid
    )  # TP, FP, TN, FN, support
    assert torch.equal(per_image[..., [0, 1, 3]], counts)

    def same(ours, theirs):  # theirs are float32 and say 0 for 0/0, except the mean over classes
        assert np.allclose(np.nan_to_num(np.asarray(ours)), theirs, rtol=1e-5)

    same(iou(counts), tm.multiclass_jaccard_index(p, y, average="none", **valid))
    same(dice(counts), tm.multiclass_f1_score(p, y, average="none", **valid))
    same(precision(counts), tm.multiclass_precision(p, y, average="none", **valid))
    same(recall(counts), tm.multiclass_accuracy(p, y, average="none", **valid))
    same(
        frequency_weighted_iou(counts),
        tm.multiclass_jaccard_index(p, y, average="weighted", **valid),
    )
    same(pixel_accuracy(counts), tm.multiclass_accuracy(p, y, average="micro", **valid))
    in_truth = counts[..., [0, 2]].sum((0, 2)) > 0
    if bool((in_truth | (counts.sum((0, 2)) == 0)).all()):  # theirs counts what is only predicted
        same(mean_iou(counts), tm.multiclass_jaccard_index(p, y, average="macro", **valid))
        same(mean_class_accuracy(counts), tm.multiclass_accuracy(p, y, average="macro", **valid))


def image_class_ious(case: str) -> list[dict[int, float]]:
    """Per image with a valid pixel: class in its truth -> IoU, from sets of pixels."""
    images = []
    for guess, truth in zip(*CASES[case][:2], strict=True):
        pixels = [xy for xy in np.ndindex(truth.shape) if truth[xy] != 255]
        values = {}
        for c in sorted({int(truth[xy]) for xy in pixels}):
            t = {xy for xy in pixels if truth[xy] == c}
            g = {xy for xy in pixels if guess[xy] == c}
            values[c] = len(t & g) / len(t | g)
        if values:
            images.append(values)
    return images


@ORACLE
@KINDS
def test_image_wise_means_follow_their_definitions(kind, case):
    counts, images = kind(counts_of(case)), image_class_ious(case)
    means = [sum(values.values()) / len(values) for values in images]
    ours = np.asarray(image_iou(counts))
    assert np.allclose(ours[~np.isnan(ours)], means) and (~np.isnan(ours)).sum() == len(means)
    assert mean_iou_images(counts) == pytest.approx(sum(means) / len(means))
    per_class = {}
    for values in images:
        for c, value in values.items():
            per_class.setdefault(c, []).append(value)
    means_c = [sum(values) / len(values) for values in per_class.values()]
    assert mean_iou_pairs(counts) == pytest.approx(sum(means_c) / len(means_c))
    for q_percent in (1, 30, 50, 100):
        lowest = sorted(means)[: max(1, q_percent * len(means) // 100)]
        assert worst_images(counts, q_percent) == pytest.approx(sum(lowest) / len(lowest))


@ORACLE
def test_worst_classes_are_the_lowest_of_all_choices(case):
    counts = counts_of(case)
    present = [c for c in range(counts.shape[1]) if counts[:, c, [0, 2]].sum()]
    for k in range(1, len(present) + 1):
        chosen = worst_classes(counts, k)
        assert set(chosen) <= set(present) and len(set(chosen)) == k
        assert all(iou(counts)[c] >= iou(counts)[chosen].max() for c in set(present) - set(chosen))


@ORACLE
def test_torch_answers_as_numpy_and_in_kind(case):
    guess, truth, n_classes = CASES[case]
    counts = counts_of(case)
    matrix = confusion(torch.from_numpy(guess), torch.from_numpy(truth), n_classes=n_classes)
    assert matrix.dtype == torch.int64
    assert np.array_equal(class_counts(matrix).numpy(), counts)
    for metric in (*DATASET_WISE, *IMAGE_WISE):
        ours, theirs = metric(counts), metric(class_counts(matrix))
        assert np.allclose(ours, theirs, rtol=1e-12, atol=0, equal_nan=True)
        assert isinstance(ours, float) == isinstance(theirs, float)
        assert isinstance(theirs, float | torch.Tensor)
