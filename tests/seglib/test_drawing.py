"""Colours of classes, names that cannot be drawn, the sheet of predictions."""

import numpy as np
import pytest
from PIL import ImageFont

from benchmarks.palette import SIGHTS, ciede2000, distances, lab
from seglib import drawing
from seglib.drawing import BACKGROUND, VOC_CLASSES, VOID_COLOUR, called, cut, palette, sheet

ROCK = ("background", "crack", "spall")


def test_vocs_classes_alone_have_vocs_colours():
    voc = palette(VOC_CLASSES)
    assert voc[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    for other in (ROCK, VOC_CLASSES[:20], (*VOC_CLASSES, "more"), VOC_CLASSES[::-1]):
        assert palette(other)[1:21].tolist() != voc[1:21].tolist()


def test_a_class_added_at_the_end_changes_no_other_colour():
    many = palette([f"c{i}" for i in range(250)])
    assert (palette(["c0", "c1"]) == many).all()
    assert (palette(ROCK) == palette((*ROCK, "rust", "背景"))).all()
    assert palette(ROCK)[0].tolist() == list(BACKGROUND)
    assert palette(ROCK)[1].tolist() == many[0].tolist()  # the first colour that is none's
    assert many[255].tolist() == list(VOID_COLOUR)


@pytest.mark.parametrize("classes", [ROCK, ("a", "b")])
def test_no_two_labels_have_one_colour(classes):
    assert len({tuple(colour) for colour in palette(classes).tolist()}) == 256


def test_colours_can_be_told_apart_by_the_colour_blind_too():
    """As measured when the table was made; a colour changed for a nearer one fails."""
    found = distances(np.array(drawing.COLOURS, np.uint8))
    assert {n: [round(value, 1) for value in of.values()] for n, of in found.items()} == {
        12: [21.6, 14.9, 15.0],
        21: [13.8, 9.3, 9.2],
        40: [9.4, 6.7, 6.4],
        64: [7.1, 4.8, 5.0],
    }
    apart = {
        sight: ciede2000(
            lab(np.array(drawing.COLOURS), sight)[:, None],
            lab(np.array([BACKGROUND, VOID_COLOUR, (255, 255, 255)]), sight),
        ).min()
        for sight in SIGHTS
    }
    assert min(apart.values()) > 4.7  # from background, void and paper


def test_ciede2000_is_that_of_its_authors():
    """Pairs 1, 4, 7, 13, 17 and 34 of Sharma et al. 2005, table 1."""
    rows = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ]
    for one, other, expected in rows:
        assert ciede2000(np.array(one, float), np.array(other, float)) == pytest.approx(
            expected, abs=6e-5
        )


def test_names_without_letters_are_numbered():
    names = ["crack", "裂缝", "  two\nlines ", "x\u202ey", "شق", "दरार", "e\u0301", "", "\x1b[31m"]
    assert called(names, lambda text: all(map(drawing.simple, text)) and "裂" not in text) == [
        "crack",
        "class 1",
        "two lines",
        "class 3",
        "class 4",
        "class 5",
        "é",
        "class 7",
        "class 8",
    ]


def test_pillows_own_font_has_no_letters_beyond_ascii():
    """It draws a box for them and says nothing."""
    own = [ImageFont.load_default(13)]
    assert drawing.font_for("crack (3)", own) is own[0]
    assert [drawing.font_for(text, own) for text in ("Ж", "ö", "裂", "\x1b")] == [None] * 4


def test_long_names_keep_start_and_end():
    assert cut("a" * 30 + "xyz", 9) == "aaaa…xyz" and cut("short", 9) == "short"


def rows(side: int, labels=(0, 1, 2, 255)):
    image = np.full((side, side, 3), 90, np.uint8)
    mask = np.repeat(np.array(labels, np.uint8), side // len(labels))[None].repeat(side, 0)
    return {"image": [image] * 2, "truth": [mask] * 2, "prediction": [mask * 0 + 1] * 2}


def test_the_sheet_has_titles_pictures_and_a_legend():
    drawn = sheet(rows(160), ROCK)
    at = np.asarray(drawn)
    line, step = drawing.FONT_PX + 6, 160 + drawing.GAP_PX
    colours = palette(ROCK)
    assert drawn.width == 3 * step
    assert at[line + 80, 80].tolist() == [90, 90, 90]
    assert at[line + 80, step + 60].tolist() == colours[1].tolist()
    assert at[line + step + 80, step + 100].tolist() == colours[2].tolist()
    assert at[line + 80, step + 155].min() >= 205  # void
    assert at[line + 80, 2 * step + 80].tolist() == colours[1].tolist()
    for column in range(3):
        assert at[:line, column * step : (column + 1) * step].min() < 128  # a title
    legend = at[line + 2 * step :].reshape(-1, 3).tolist()
    for label in (0, 1, 2):
        assert legend.count(colours[label].tolist()) >= 100  # a swatch
    assert at[line + 2 * step :].min() < 60 and drawn.height > line + 2 * step + line


@pytest.mark.parametrize("side", [8, 32, 400])
@pytest.mark.parametrize(
    "name", ["裂缝", "شق", "crack " * 20, "\x1b]0;x\x07", "\u202eevil", "😀", ""]
)
def test_any_size_and_any_name_gives_a_sheet(side, name):
    drawn = sheet(rows(side), ("background", name, "c"))
    assert drawn.width >= 3 * 160 if side < 160 else drawn.width == 3 * (side + drawing.GAP_PX)


def test_labels_without_a_class_are_drawn():
    assert sheet(rows(32, (0, 77)), ROCK).height > 32
