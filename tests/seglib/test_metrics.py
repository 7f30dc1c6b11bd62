"""Known answers of counts, ratios and means; oracles from label maps; batches equal their union.

The oracles are scikit-learn, torchmetrics and, for the image-wise means, loops written from the
definitions.
"""

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
    mean_iou_by_group,
    mean_iou_images,
    mean_iou_of,
    mean_iou_pairs,
    pixel_accuracy,
    precision,
    recall,
    terciles,
    worst_classes,
    worst_images,
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


# --- known answers of the means -----------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
COUNTS = np.array(
    [  # TP, FP, FN of three classes in three images
        [[6, 0, 2], [1, 2, 1], [0, 1, 0]],  # 3/4, 1/4; class 2 only predicted: mean 1/2
        [[3, 1, 0], [0, 0, 0], [1, 0, 1]],  # 3/4, 1/2; class 1 nowhere: mean 5/8
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],  # all void
    ]
)  # together 9/12, 1/4, 1/3 with 11, 2, 2 pixels of truth


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


@KINDS
def test_nothing_valid_is_nan_and_nothing_else(kind):
    for counts in (kind(COUNTS[2:]), kind(COUNTS[:0])):
        for metric in (*DATASET_WISE, *IMAGE_WISE):
            assert np.isnan(np.asarray(metric(counts))).all()
        assert np.isnan(list(mean_iou_by_group(counts, {"all": range(3)}).values())).all()
    for metric in (*DATASET_WISE, *IMAGE_WISE):  # one pixel of one class is enough
        result = np.asarray(metric(kind(np.array([[[1, 0, 0], [0, 0, 0]]]))))
        assert result.flat[0] == 1 and (result.size == 1 or np.isnan(result.flat[1]))


# --- oracles ------------------------------------------------------------------------------------


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


def test_a_refused_label_is_told_by_the_range_of_the_valid_pixels():
    masks, predictions = np.array([[[3, 5, 255]]]), np.array([[[4, 9, 0]]])
    with pytest.raises(ValueError, match=r"masks must be in \[0, 3\) where valid, got 3 to 5"):
        confusion(predictions, masks, n_classes=3)
    with pytest.raises(ValueError, match=r"predictions must be in .* where valid, got 4 to 9"):
        confusion(predictions, np.where(masks < 255, 1, 255), n_classes=3)


def test_confusion_of_nothing_is_empty():
    assert confusion(GUESS[:0], TRUTH[:0], n_classes=3).shape == (0, 3, 3)
    assert not confusion(GUESS[:, :0], TRUTH[:, :0], n_classes=3).any()
