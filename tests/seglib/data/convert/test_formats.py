"""Each format that people have becomes the same labels, in the one format of a study."""

import numpy as np
import pytest
from PIL import Image

from seglib.data import open_folder
from seglib.data.convert import convert
from seglib.data.decode import decode
from seglib.drawing import palette
from tests.seglib.data.convert import made

CSV = "name,r,g,b\nbackground,0,0,0\nsquare,128,0,0\nstripe,0,128,0\n"
CVAT = "# label:color_rgb:parts:actions\nstripe:0,128,0::\nbackground:0,0,0::\nsquare:128,0,0::\n"
NAMED = made.NAMES
NUMBERED = ("class_0", "class_1", "class_2")
BINARY = ("background", "foreground")


def csv(root):
    (root / "class_dict.csv").write_text(CSV)
    return root


def rgb(labels, path):
    return made.save(made.coloured(labels), path)


def grey(labels, path):
    return made.save(labels, path)


def sixteen(labels):
    return labels.astype(np.uint16)


def rgb_of_grey(labels):
    return np.repeat(made.binary(labels)[..., None], 3, 2)


def with_values(root):
    """Roboflow's table, beside the masks."""
    text = "Pixel Value, Class\n3, background\n10, square\n17, stripe\n"
    (root / "masks/_classes.csv").write_text(text)
    (root / "other.csv").write_text(CSV)  # not the name of a table
    return root


# name -> (make a source in a folder, format, classes); labels are those of the scenes
SOURCES = {
    "ids": (made.pairs, "pairs", NUMBERED),
    "suffix": (lambda r: made.pairs(r, mask="masks/{i:03d}_mask.png"), "pairs", NUMBERED),
    "unknown suffix": (lambda r: made.pairs(r, mask="gt/{i:03d}_v2.png"), "pairs", NUMBERED),
    "one folder": (
        lambda r: made.pairs(r, image="{i:03d}.jpg", mask="{i:03d}_L.png"),
        "pairs",
        NUMBERED,
    ),
    "image suffix": (
        lambda r: made.pairs(r, image="a/{i:03d}_sat.jpg", mask="a/{i:03d}_mask.png"),
        "pairs",
        NUMBERED,
    ),
    "name with two suffixes": (
        lambda r: made.pairs(r, mask="masks/{i:03d}.jpg.png"),
        "pairs",
        NUMBERED,
    ),
    "masks a folder deeper": (
        lambda r: made.pairs(r, mask="annotations/trimaps/{i:03d}.png"),
        "pairs",
        NUMBERED,
    ),
    "words within folders": (
        lambda r: made.pairs(
            r, image="Task1-2_Input/I_{i:03d}.jpg", mask="Task1_GroundTruth/I_{i:03d}_segm.png"
        ),
        "pairs",
        NUMBERED,
    ),
    "tiff": (
        lambda r: made.pairs(r, image="images/{i:03d}.tif", mask="masks/{i:03d}.tiff"),
        "pairs",
        NUMBERED,
    ),
    "16-bit ids": (lambda r: made.pairs(r, change=sixteen), "pairs", NUMBERED),
    "bmp and webp": (
        lambda r: made.pairs(r, image="imgs/{i:03d}.webp", mask="labels/{i:03d}.bmp"),
        "pairs",
        NUMBERED,
    ),
    "0 and 255": (lambda r: made.pairs(r, change=made.binary), "pairs", BINARY),
    "0 and 255 as RGB": (lambda r: made.pairs(r, change=rgb_of_grey), "pairs", BINARY),
    "boolean": (lambda r: made.pairs(r, change=lambda m: m == 1), "pairs", NUMBERED[:2]),
    "colours": (lambda r: csv(made.pairs(r, change=made.coloured)), "pairs", NAMED),
    "labelme": (
        lambda r: made.voc(
            r,
            masks="SegmentationClassPNG",
            files={"class_names.txt": "__ignore__\n_background_\nsquare\nstripe\n"},
        ),
        "labelme",
        NAMED,
    ),
    "labelme, as it writes its names": (
        lambda r: made.voc(r, files={"class_names.txt": "_background_\nsquare\nstripe\n"}),
        "labelme",
        NAMED,
    ),
    "cvat": (
        lambda r: made.voc(
            r, write=rgb, lists={"default": range(10)}, files={"labelmap.txt": CVAT}
        ),
        "cvat",
        ("background", "stripe", "square"),
    ),
    "cvat with palettes": (
        lambda r: made.voc(r, lists={"default": range(10)}, files={"labelmap.txt": CVAT}),
        "cvat",
        ("background", "stripe", "square"),
    ),
    "voc with RGB masks": (
        lambda r: made.voc(r, write=rgb, files={"classes.txt": "background\nsquare\nstripe\n"}),
        "voc",
        NAMED,
    ),
    "voc with 0 and 255": (
        lambda r: made.voc(
            r,
            write=lambda labels, path: made.save(made.binary(labels), path),
            files={"classes.txt": "background\nsquare\n"},
        ),
        "voc",
        NAMED[:2],
    ),
    "voc with grey ids": (
        lambda r: made.voc(r, write=grey, files={"classes.txt": "background\nsquare\nstripe\n"}),
        "voc",
        NAMED,
    ),
    "values with names": (
        lambda r: with_values(made.pairs(r, change=lambda m: m * 7 + 3)),
        "pairs",
        NAMED,
    ),
}


@pytest.mark.parametrize("make, format, classes", SOURCES.values(), ids=SOURCES)
def test_formats(tmp_path, make, format, classes):
    done = convert(make(tmp_path / "source"), tmp_path / "new")
    folder = open_folder(tmp_path / "new")
    assert (done.format, done.n_images) == (format, 10)
    assert folder.classes == done.classes == classes
    for i in range(10):
        pixels, labels = made.scene(i)
        if len(classes) == 2:
            labels = labels == 1
        if classes == ("background", "stripe", "square"):
            labels = np.array([0, 2, 1])[labels]
        name = next(n for n in folder.images if f"{i:03d}" in n)
        sample = decode(folder, name, max_side=None)
        assert np.array_equal(sample.mask, labels)
        assert abs(sample.image.astype(int) - pixels).mean() < 25, "another image"
    mask = Image.open(folder.mask_path(name))
    assert mask.mode == "P"
    used = palette(classes)[: len(classes)].ravel().tolist()
    assert mask.getpalette("RGB")[: len(used)] == used


def test_void_is_255_whatever_it_was(tmp_path):
    def with_void(labels):
        labels[0] = 255
        return labels

    source = made.pairs(tmp_path / "s", change=lambda m: made.coloured(with_void(m)))
    table = tmp_path / "labels.txt"
    table.write_text("255 255 255 void\n128 0 0 square\n0 128 0 stripe\n0 0 0 Background\n")
    done = convert(source, tmp_path / "new", labels=table)
    assert done.classes == ("background", "square", "stripe")
    labels = made.labels_of(tmp_path / "new", "004")
    assert (labels[0] == 255).all() and (labels[1:] == made.scene(4)[1][1:]).all()
    assert any("void 2.5%" in line for line in done.lines)


def test_palettes_that_number_differently_are_read_by_their_colours(tmp_path):
    source = made.pairs(tmp_path / "s")
    for i in range(10):
        order = np.random.default_rng(i).permutation(3)
        mask = Image.fromarray(order.astype(np.uint8)[made.scene(i)[1]])
        mask.putpalette(np.array(made.COLOURS, np.uint8)[np.argsort(order)].tobytes())
        mask.save(source / f"masks/{i:03d}.png")
    convert(csv(source), tmp_path / "new")
    for i in range(10):
        assert (made.labels_of(tmp_path / "new", f"{i:03d}") == made.scene(i)[1]).all()


def test_a_black_grey_mask_among_colours(tmp_path):
    source = csv(made.pairs(tmp_path / "s", change=made.coloured))
    made.save(np.zeros((40, 56), np.uint8), source / "masks/004.png")
    convert(source, tmp_path / "new")
    assert not made.labels_of(tmp_path / "new", "004").any()
    names = "background\nsquare\nstripe\n"
    (source / "class_dict.csv").rename(source / "x.csv")
    (source / "classes.txt").write_text(names)
    convert(source, tmp_path / "by VOC's colours")
    assert not made.labels_of(tmp_path / "by VOC's colours", "004").any()


def test_two_colours_of_one_class(tmp_path):
    source = made.pairs(tmp_path / "s", change=made.coloured)
    (source / "class_dict.csv").write_text("rest,0,0,0\nthing,128,0,0\nthing,0,128,0\n")
    assert convert(source, tmp_path / "new").classes == ("rest", "thing")
    assert (made.labels_of(tmp_path / "new", "001") == (made.scene(1)[1] > 0)).all()


def test_masks_of_0_and_1_beside_masks_of_0_and_255_by_a_table(tmp_path):
    source = made.pairs(tmp_path / "s", change=lambda m: (m == 1).astype(np.uint8))
    made.save(made.binary(made.scene(3)[1]), source / "masks/003.png")
    table = tmp_path / "labels.txt"
    table.write_text("0 background\n1 crack\n255 crack\n")
    assert convert(source, tmp_path / "new", labels=table).classes == ("background", "crack")
    for i in (2, 3):
        assert (made.labels_of(tmp_path / "new", f"00{i}") == (made.scene(i)[1] == 1)).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_not_stretched(tmp_path, bits):
    source = made.pairs(tmp_path / "s")
    for i in range(10):
        made.grey_png(made.scene(i)[1], source / f"masks/{i:03d}.png", bits)
    assert convert(source, tmp_path / "new").classes == NUMBERED
    assert (made.labels_of(tmp_path / "new", "003") == made.scene(3)[1]).all()


def test_the_source_and_its_links_are_left_alone(tmp_path):
    real = made.pairs(tmp_path / "real")
    source = tmp_path / "links"
    (source / "images").mkdir(parents=True)
    for path in (real / "images").iterdir():
        (source / "images" / path.name).symlink_to(path)
    (source / "masks").symlink_to(real / "masks")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in real.rglob("*.*")}
    convert(source, tmp_path / "new")
    assert before == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in real.rglob("*.*")}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["links", "new", "real"]
    copied = tmp_path / "new/JPEGImages/002.jpg"
    assert not copied.is_symlink() and copied.read_bytes() == before[real / "images/002.jpg"][1]
