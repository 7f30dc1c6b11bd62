"""Known predictions and known curves, and what they are signs of."""

import math

import numpy as np
import pytest

from seglib.metrics import class_counts, predicted, signs

CLASSES = ("background", "square", "star", "wheel")
WHOLE = np.diag([90, 6, 3, 1])
NAN = math.nan
FALLS = np.geomspace(1, 0.1, 20)


def confusion(*columns):
    """The truth of WHOLE, the first class's row predicted as itself, each other one as given."""
    matrix = np.zeros((4, 4), int)
    for row, column in enumerate(columns):
        matrix[row, column] = WHOLE[row, row]
    return matrix


def seen(dev=WHOLE, test=None, *, miou=(0.1, 0.2, 0.3), loss=(3, 2, 1), **more):
    counts = {"dev": class_counts(dev)} | ({} if test is None else {"test": class_counts(test)})
    epochs = range(1, 1 + len(miou))
    found = signs(counts, CLASSES, epochs=epochs, dev_miou=miou, train_loss=loss, **more)
    return [(sign.kind, sign.text) for sign in found]


ALONE = confusion(0, 0, 0, 0)
NO_STAR = confusion(0, 1, 0, 3)
NO_STAR_NO_WHEEL = confusion(0, 1, 1, 0)


@pytest.mark.parametrize(
    "dev, test, wanted",
    [
        (WHOLE, WHOLE, []),
        (ALONE, None, ["collapsed: predicted only background on dev"]),
        (confusion(3, 3, 3, 3), ALONE, ["predicted only wheel on dev", "only background on test"]),
        (ALONE, ALONE, ["collapsed: predicted only background on dev and test"]),
        (NO_STAR, NO_STAR, ["never predicted star, in the truth of dev and test"]),
        (
            NO_STAR,
            NO_STAR_NO_WHEEL,
            ["star, in the truth of dev", "star, wheel, in the truth of t"],
        ),
        (np.diag([90, 6, 0, 1]), NO_STAR, ["never predicted star, in the truth of test"]),
        (np.diag([90, 0, 0, 0]), np.zeros((4, 4), int), []),  # all there is to predict
        (confusion(0, 2, 1, 3), WHOLE, []),  # star predicted, if nowhere right
    ],
)
def test_predictions(dev, test, wanted):
    found = seen(dev, test)
    assert len(found) == len(wanted)
    assert all(part in text for (_, text), part in zip(found, wanted, strict=True))
    kinds = {"one class" if "only" in part else "never predicted" for part in wanted}
    assert {kind for kind, _ in found} == kinds


def test_images_are_counted_together():
    one_each = np.stack([np.diag(row) for row in np.eye(4, dtype=int)])  # an image shows one class
    assert predicted(class_counts(one_each)).never == ()
    assert predicted(class_counts(ALONE)) == predicted(np.array([[90, 10, 0]] + [[0, 0, 1]] * 3))


def test_many_names_are_cut_short():
    names, n = tuple("abcdefghi"), 9
    counts = np.zeros((n, 3), int)
    counts[:, 2], counts[:2, 0] = 5, 5
    (sign,) = signs({"dev": counts}, names, epochs=[], dev_miou=[], train_loss=[])
    assert sign.text == "never predicted c, d, e, f, g, h and 1 more, in the truth of dev"


@pytest.mark.parametrize(
    "miou, told",
    [
        ((0.3, 0.2, 0.1), True),
        ((NAN, 0.3, NAN, 0.2, 0.3), True),  # the first of equals is the best
        ((0.3, 0.2, 0.31), False),
        ((0.3, 0.2), False),
        ((NAN, NAN), False),
    ],
)
def test_a_dev_curve_that_never_rose(miou, told):
    found = seen(miou=miou, loss=[NAN] * len(miou))
    assert [kind for kind, _ in found] == ["no rise"] * told
    if told:
        first = 1 + int(np.flatnonzero(~np.isnan(miou))[0])
        assert found[0][1] == (
            f"dev mIoU never rose above the first of its 3 evaluations, epoch {first}"
        )


NOISE = 1 + 0.01 * np.random.default_rng(0).standard_normal(20)


@pytest.mark.parametrize(
    "loss, told",
    [
        (np.full(8, 0.7), True),
        (np.full(7, 0.7), False),  # too few to tell
        (FALLS, False),
        (FALLS[:8] * 1e-6, False),  # of any scale
        (FALLS * NOISE, False),
        (np.linspace(1, 0.9, 20) * NOISE, False),  # slowly, in noise: 5 %
        (np.r_[1, np.full(19, 0.4)] * NOISE, True),  # fell in its first epoch alone
        (np.r_[FALLS[:-1], 50], False),  # one epoch that went wrong
        (np.r_[np.full(5, 0.7), 0.01, np.full(14, 0.7)], True),
        (FALLS[::-1], True),
        (np.r_[np.linspace(0.2, 0.9, 5), np.linspace(0.9, 0.5, 15)], False),  # a ramp, then a fall
        (np.r_[FALLS[:-1], NAN], False),
    ],
)
def test_a_loss_that_stands_still(loss, told):
    rises = np.linspace(0.1, 0.5, len(loss))
    found = seen(miou=rises, loss=loss)
    assert [kind for kind, _ in found] == ["plateau"] * told
    assert seen(miou=rises, loss=loss, ramp=0.5) == []  # the loss itself changed meanwhile
    if told:
        assert "train loss did not fall by 2 % from the second to the last quarter" in found[0][1]
