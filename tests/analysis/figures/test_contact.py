"""The contact sheet of a data check."""

import numpy as np
import pytest

from analysis.figures.contact import contact_sheet, overlay
from seglib.drawing import VOC_CLASSES
from study.record import Sample
from tests.analysis.report.inspections import CLASSES, sample

ORANGE, PALE, WHITE = (213, 94, 0), (238, 238, 238), (255, 255, 255)


def test_overlay_mixes_half_and_draws_outlines():
    image = np.full((3, 6, 3), 100, np.uint8)
    mask = np.tile(np.array([1, 1, 1, 255, 255, 0], np.uint8), (3, 1))
    disc, void = (128, 0, 0), (224, 224, 192)
    half_disc, none = (114, 50, 50), (100, 100, 100)
    drawn = overlay(image, mask, VOC_CLASSES, background=True)[1].tolist()
    assert list(map(tuple, drawn)) == [half_disc, half_disc, disc, void, void, none]
    assert tuple(overlay(image, mask * 0, VOC_CLASSES, background=False)[1, 1]) == (50, 50, 50)


def test_contact_sheet_has_the_mixed_colour_at_its_place():
    sheet = [
        sample([1, 255]),
        sample([0], (300, 600), name="large"),
        sample([2], (100, 10), name="high", note="odd"),
        sample([1], (40, 44), split="test"),
    ]
    drawn = contact_sheet(sheet, VOC_CLASSES, True)
    at = drawn.getpixel
    assert at((10 + 75, 10 + 150)) == (114, 50, 50)  # class 1 over grey
    assert at((10 + 225, 10 + 299)) == (162, 162, 146)  # void is cream
    assert at((10 + 149, 100)) == (128, 0, 0) and at((10 + 150, 100)) == (224, 224, 192)
    assert at((330 + 150, 10 + 149)) == (100, 100, 100)  # background stays as it is
    assert at((330 + 150, 10 + 150)) == WHITE  # half as high as wide
    assert at((650 + 10, 100)) == PALE and at((650 + 150, 10 + 449)) == (50, 114, 50)
    assert at((645, 100)) == ORANGE and at((5, 100)) == WHITE  # only the third is framed
    assert drawn.width == 4 * 320
    one = contact_sheet([sample([1])], VOC_CLASSES, True)
    assert one.getpixel((15, 10 + 300 + 20 + 2 * 24 + 8)) == (128, 0, 0)  # the legend, below all


def test_a_mask_of_no_known_class_is_still_drawn():
    contact_sheet([sample([0, 77])] * 7, CLASSES, False)


def test_sample_refuses_a_mask_of_another_size():
    with pytest.raises(ValueError, match=r"image of fit/a must be .* got \(40, 40, 3\) and mask"):
        Sample("fit", "a", np.zeros((40, 40, 3), np.uint8), np.zeros((4, 4), np.uint8))
