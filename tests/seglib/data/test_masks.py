"""What is counted in one mask, and which masks of a set are called suspicious for it."""

import io

import numpy as np
import pytest
from PIL import Image

from seglib.data import masks as masks_module
from seglib.data.findings import suspicions
from seglib.data.masks import look_at, numbering

CLASSES = [f"class{i}" for i in range(21)]
BETWEEN = "pass through a value between, as after interpolation or a JPEG"


def boxes(seed, labels=(5, 15), height=96, width=128):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for label in labels:
        y, x = rng.integers(2, height * 2 // 3), rng.integers(2, width * 2 // 3)
        mask[y : y + height // 3, x : x + width // 3] = label
    return mask


def discs(seed, labels=(5, 15), side=96):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for label in labels:
        cy, cx, r = *rng.integers(24, side - 24, 2), rng.integers(10, 22)
        mask[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = label
    return mask


def resized(mask, height, width, how):
    small = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(small.resize(mask.shape[::-1], how))


def turned(mask):
    return np.asarray(Image.fromarray(mask).rotate(20, Image.Resampling.BILINEAR))


def jpeg(mask, quality):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "JPEG", quality=quality)
    found = np.array(Image.open(buffer))
    return np.where(found < len(CLASSES), found, mask)


def found(masks, classes=CLASSES):
    return suspicions(classes, [look_at(mask) for mask in masks])


def test_edges_through_one_value_between_are_counted_along_each_axis():
    row = np.array([[0, 0, 1, 2, 2, 2, 255, 1, 1, 1, 0, 0]], np.uint8)
    # edges 0-1-2, 2-void, void-1, 1-0; the first passes through a value between
    for marks, along, across in (
        (seen := look_at(row), seen.rows, seen.columns),
        (seen := look_at(row.T.copy()), seen.columns, seen.rows),
    ):
        assert along.n == 4 and along.thin.sum() == along.thin[1, 1] == 1 and along.blends == 0
        assert across.n == across.thin.sum() == 0
        assert marks.pixels[[0, 1, 2, 255]].tolist() == [4, 4, 3, 1]
        assert marks.narrow[[0, 1, 2, 255]].tolist() == [0, 1, 0, 1]
    ramps = look_at(np.array([[0, 1, 2, 3, 3, 9, 6, 2, 0, 0]], np.uint8)).rows
    assert (ramps.n, ramps.stairs.tolist(), ramps.blends) == (3, [0, 1], 1)
    for shape in ((5, 5), (5, 1), (1, 1), (1, 2), (2, 2)):
        seen = look_at(np.zeros(shape, np.uint8))
        assert seen.rows.n == seen.columns.n == seen.narrow.sum() == 0


@pytest.mark.parametrize("strip", [1, 7, 200, 1000])
def test_strips_change_no_count(monkeypatch, strip):
    mask = np.random.default_rng(0).integers(0, 5, (40, 31), dtype=np.uint8)
    whole = look_at(mask)
    monkeypatch.setattr(masks_module, "STRIP_PIXELS", strip)
    parts = look_at(mask)
    for a, b in ((whole.rows, parts.rows), (whole.columns, parts.columns)):
        assert (a.n, a.blends) == (b.n, b.blends)
        assert np.array_equal(a.thin, b.thin) and np.array_equal(a.stairs, b.stairs)
    assert np.array_equal(whole.pixels, parts.pixels)
    assert np.array_equal(whole.narrow, parts.narrow) and whole.narrow.sum() > 100


SOFT = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@pytest.mark.parametrize("how", SOFT)
@pytest.mark.parametrize("draw", [boxes, discs])
@pytest.mark.parametrize("height, width", [(2, 1), (1, 2), (2, 2), (4, 4)])
def test_interpolation_along_either_axis_is_found_in_every_mask(how, draw, height, width):
    masks = [draw(seed) for seed in range(8)]
    size = masks[0].shape[0] // height, masks[0].shape[1] // width
    bad = [resized(mask, *size, how).clip(0, 20) for mask in masks[:5]]
    assert all(BETWEEN in what for what in found([*bad, *masks[5:]])[:5])
    assert not any(found([*bad, *masks[5:]])[5:])


def test_a_turn_with_interpolation_is_found():
    assert all(BETWEEN in what for what in found([turned(boxes(seed)) for seed in range(8)]))


@pytest.mark.parametrize("quality", [50, 75, 90])
@pytest.mark.parametrize("draw", [boxes, discs])
def test_a_mask_that_was_a_jpeg_once_is_found(draw, quality):
    masks = [draw(seed, (5, 15, 10)) for seed in range(12)]
    told = found([*(jpeg(mask, quality) for mask in masks[:6]), *masks[6:]])
    assert not any(told[6:])
    assert sum("JPEG" in what or BETWEEN in what for what in told[:6]) >= 5


def sliver(seed, between=1):
    mask = np.zeros((40, 60), np.uint8)
    x = 10 + seed
    mask[:, x], mask[:, x + 1 :] = between, 2
    return mask


def outline(seed):
    mask = discs(seed, (2,))
    inside = mask > 0
    edge = inside & ~(np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1))
    mask[edge | (inside & ~np.roll(inside, -1, 1))] = 1
    return mask


def diagonal(seed):
    y, x = np.mgrid[:50, :50]
    mask = np.where(x > y + seed, 2, 0).astype(np.uint8)
    mask[x == y + seed] = 1
    return mask


def stairs(seed):
    x = np.arange(60) - 10 - seed
    return np.tile(np.clip(x, 0, 4).astype(np.uint8), (40, 1))


def void_border(seed):
    mask = boxes(seed, (5, 15)).copy()
    solid = mask > 0
    edge = solid & ~np.roll(solid, 2, 0) | solid & ~np.roll(solid, 1, 1)
    mask[edge] = 255
    return mask


def lines(seed):
    mask = np.zeros((64, 64), np.uint8)
    mask[seed::16] = 1
    mask[:, seed::16] = 2
    return mask


def lanes(seed):
    mask = np.full((96, 96), 1, np.uint8)
    mask[:40], mask[40], mask[60:62, ::3], mask[41:, 40 + seed] = 0, 3, 4, 5
    return mask


def dots(seed):
    mask = boxes(seed)
    rng = np.random.default_rng(seed)
    mask[rng.integers(0, 96, 60), rng.integers(0, 128, 60)] = 7
    return mask


@pytest.mark.parametrize(
    "draw", [sliver, outline, diagonal, stairs, void_border, lines, lanes, dots, boxes, discs]
)
def test_what_is_drawn_one_pixel_wide_is_no_noise(draw):
    assert not any(found([draw(seed) for seed in range(8)]))


@pytest.mark.parametrize("draw", [sliver, diagonal, stairs])
def test_a_sliver_in_one_mask_of_many_is_no_noise(draw):
    assert not any(found([draw(3), *(boxes(seed, (1, 2)) for seed in range(8))]))


def test_a_thin_class_does_not_hide_interpolation():
    blurred = [resized(boxes(seed), 48, 64, Image.Resampling.BILINEAR) for seed in range(4)]
    told = found([*blurred, *(lines(seed) for seed in range(4))])
    assert all(BETWEEN in what for what in told[:4]) and not any(told[4:])


def test_masks_that_hold_0_and_255_or_one_class_are_named():
    good = [np.minimum(boxes(seed, (1,)), 1) for seed in range(6)]
    told = found([*good, good[0] * 255, np.zeros((4, 4), np.uint8)], ["background", "crack"])
    assert told[:6] == [""] * 6 and told[6].startswith("a 0/255 mask: ")
    assert told[7] == "only background"
    assert found([np.full((3, 3), 255, np.uint8)]) == ["all void"]


@pytest.mark.parametrize("n_bad", [1, 2])
def test_a_mask_with_0_and_1_exchanged_is_named(n_bad):
    masks = [boxes(seed, (1,)) for seed in range(8)]
    told = found([1 - mask if seed < n_bad else mask for seed, mask in enumerate(masks)])
    assert [bool(what) for what in told] == [True] * n_bad + [False] * (8 - n_bad)
    assert "0 and 1 look exchanged" in told[0]
    half = np.zeros((10, 10), np.uint8)
    half[:5] = 1  # masks of every kind: large things are no mistake
    assert not any(found([*masks, 1 - masks[0], half]))


@pytest.mark.parametrize(
    "labels, n_classes, word",
    [
        ([0, 128, 255], 3, "grey levels"),
        ([0, 127, 255], 2, "grey levels"),
        ([0, 38, 75, 113], 21, "grey levels"),
        ([1, 2, 3], 3, "labels begin at 0"),
        ([0, *range(40, 60)], 5, "a JPEG"),
        ([0, 1, 2, 5], 3, ""),
        ([0, 3, 255], 2, ""),
    ],
)
def test_labels_that_are_no_classes_are_explained(labels, n_classes, word):
    advice = numbering(labels, n_classes)
    assert word in advice and bool(advice) == bool(word)
