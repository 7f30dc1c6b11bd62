"""Images and masks whose names begin differently."""

import numpy as np
import pytest
from PIL import Image

from seglib.data.convert import convert
from seglib.data.folder import open_folder
from seglib.data.lists import DataError
from tests.seglib.data.convert import made

BEGINNINGS = (
    ("img_{i:03d}", "mask_{i:03d}"),
    ("{i:03d}", "gt_{i:03d}"),
    ("image{i:02d}", "mask{i:02d}"),
    ("img_left_{i}", "gt_left_{i}"),
    ("2008_{i:04d}", "gt_2008_{i:04d}"),
    ("walk_{i}_left", "mask_walk_{i}_left"),
)


@pytest.mark.parametrize("image, mask", BEGINNINGS)
def test_what_all_names_begin_with_is_left_out_to_pair_them(tmp_path, image, mask):
    source = made.pairs(tmp_path / "in", image=f"images/{image}.jpg", mask=f"masks/{mask}.png")
    convert(source, tmp_path / "out")
    folder = open_folder(tmp_path / "out")
    assert len(folder.images) == 10
    for i in range(10):
        with Image.open(folder.mask_path(image.format(i=i))) as written:
            assert np.array_equal(np.asarray(written), made.scene(i)[1])


def test_beginnings_that_differ_are_not_guessed(tmp_path):
    source = made.pairs(tmp_path / "in", image="images/{i:03d}.jpg", mask="masks/m{i:03d}.png")
    (source / "masks/m003.png").rename(source / "masks/n003.png")
    with pytest.raises(DataError, match=r"each image must have a mask of its name .*as with mask_"):
        convert(source, tmp_path / "out")


def test_a_class_that_no_mask_shows_is_said_once(tmp_path):
    source = made.pairs(tmp_path / "in")
    (source / "classes.txt").write_text("a\nb\nc\nunseen\n")
    lines = [line for line in convert(source, tmp_path / "out").lines if "unseen" in line]
    assert lines[0] == "no pixel of: unseen" and not any("unseen 0.0%" in line for line in lines)


@pytest.mark.parametrize(
    "content, got",
    [(b"", "an empty file; copy it again"), (b"BM\0\0", "a damaged BMP; copy or save it again")],
)
def test_what_is_no_picture_is_named(tmp_path, content, got):
    source = made.pairs(tmp_path / "in")
    (source / "images/003.jpg").write_bytes(content)
    with pytest.raises(DataError, match=f"003.jpg must be a picture .*, got {got}"):
        convert(source, tmp_path / "out")
