"""What a data set is, its content decides: Pascal VOC under any name, own data under VOC's."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from seglib.data.devkit import divided, is_dev
from seglib.data.folder import open_folder
from seglib.data.lists import DataError
from seglib.data.recognise import Palettes, looks_like_voc, read_palettes
from seglib.drawing import VOC_CLASSES, voc_palette
from study.presets import FOLDER, VOC2007, VOC2012, open_data

VOC = "\n".join(VOC_CLASSES)
OTHER_COLOURS = np.roll(voc_palette(), 1, axis=1)


def write(root, name, labels, *, n=24, lists=("train", "val"), classes=None, colours=None):
    """A folder of 4 x 6 px masks, two labels and void each; `name` is a form such as `{:06d}`."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    names = [name.format(i + 1) for i in range(n)]
    for i, one in enumerate(names):
        mask = np.zeros((4, 6), np.uint8)
        mask[1], mask[2], mask[3, 0] = labels[i % len(labels)], labels[i // 2 % len(labels)], 255
        Image.new("RGB", (6, 4)).save(root / f"JPEGImages/{one}.jpg")
        label = Image.fromarray(mask)
        if colours is not None:
            label.putpalette(colours.ravel().tolist())
        label.save(root / f"SegmentationClass/{one}.png")
    for i, split in enumerate(lists):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names[i :: len(lists)]))
    if classes:
        (root / "classes.txt").write_text(classes)
    return root


ALL, SIX, LONG = range(1, 21), "{:06d}", "2008_{:06d}"
THREE = ("train", "val", "test")
# how a folder is filled -> the year of VOC, or the number of its own classes
FOLDERS = {
    "2007": (dict(name=SIX, labels=ALL, lists=THREE, colours=voc_palette()), "2007"),
    "2012": (dict(name=LONG, labels=ALL, colours=voc_palette()), "2012"),
    "2012 in grey": (dict(name=LONG, labels=ALL), "2012"),
    "2012 with three lists": (dict(name=LONG, labels=ALL, lists=THREE), "2012"),
    "a few images": (dict(name=SIX, labels=[15, 7, 12], n=6, colours=voc_palette()), "2007"),
    "names given, all VOC's": (dict(name=SIX, labels=[1, 2], classes=VOC), "2007"),
    "own, six digits": (dict(name=SIX, labels=[1, 2], colours=voc_palette()), 3),
    "own, years": (dict(name=LONG, labels=[1, 2, 3], colours=voc_palette()), 4),
    "own, words": (dict(name="scan{}", labels=ALL, colours=voc_palette()), 21),
    "own, other colours": (dict(name=SIX, labels=ALL, colours=OTHER_COLOURS), 21),
    "own, more labels": (dict(name=SIX, labels=range(1, 23)), 23),
    "own, many images, few labels": (dict(name=SIX, labels=range(1, 13), n=240), 13),
    "own, twelve labels": (dict(name=SIX, labels=range(1, 13), colours=voc_palette()), 13),
    "own, labels with gaps": (dict(name=SIX, labels=[1, 3, 5, 7, 8, 9, 12], n=14), 13),
    "own, one class and void": (dict(name=SIX, labels=[0]), 2),
    "own, names given": (dict(name=SIX, labels=[1], classes="a\nb\n"), 2),
}


@pytest.mark.parametrize("called", ["VOC2007", "VOC2012", "rocks"])
@pytest.mark.parametrize("filled, wanted", FOLDERS.values(), ids=FOLDERS)
def test_the_content_decides_whatever_the_folder_is_called(tmp_path, called, filled, wanted):
    folder, preset = open_data(str(write(tmp_path / called, **filled)), tmp_path / "out", "cpu")
    if isinstance(wanted, str):
        assert folder.year == wanted and folder.name == f"voc{wanted}"
        assert folder.classes == tuple(VOC_CLASSES)
        assert preset is {"2007": VOC2007, "2012": VOC2012}[wanted]
        assert bool(folder.notes) == ("classes" not in filled)
        if wanted == "2012" and "lists" not in filled:
            assert folder.dev == tuple(n for n in folder.development if is_dev(n))
        return
    assert folder.year is None and folder.name == called and preset is FOLDER
    assert len(folder.classes) == wanted
    if "classes" in filled:
        assert folder.classes == ("a", "b") and not folder.notes
    else:
        assert folder.classes == tuple(f"class_{i}" for i in range(wanted))
        assert not folder.has_background
        called = f"no classes.txt: the labels are called class_0 to class_{wanted - 1}; write"
        assert folder.notes[0].startswith(called)


def test_devkits_of_real_size():
    every = {label: [bytes(voc_palette()[label]).hex()] for label in range(21)}
    assert looks_like_voc(Palettes(every), 632) and looks_like_voc(Palettes(every), 2913)
    assert not looks_like_voc(Palettes({k: v for k, v in every.items() if k != 5}), 632)
    some = {k: v for k, v in every.items() if k != 5}
    assert looks_like_voc(Palettes(some, void=True), 100)
    assert not looks_like_voc(Palettes(some), 100)  # labelme has VOC's palette, but no void
    assert not looks_like_voc(Palettes(some | {3: []}, void=True), 100)
    assert not looks_like_voc(Palettes(every | {3: [*every[3], "010203"]}), 632)
    assert not looks_like_voc(Palettes({}), 2)


def test_another_list_of_names_is_pointed_at(tmp_path):
    root = write(tmp_path / "own", "a{}", [1])
    (root / "class_names.txt").write_text("background\nsquare\n")
    assert "(or copy class_names.txt there, if it is that list)" in open_folder(root).notes[0]


@pytest.mark.parametrize(
    "labels, shown",
    [([38, 75, 113], "0, 38, 75, 113"), (range(1, 90), "0, 1, 2, 3, 4, 5, 6, 7, ...")],
)
def test_grey_values_are_no_class_ids(tmp_path, labels, shown):
    root = write(tmp_path / "own", "a{}", labels, n=100)
    with pytest.raises(
        DataError,
        match=r"classes.txt must name the classes, got no such file, and masks of labels "
        rf"{shown}: label each",
    ):
        open_folder(root)


def test_a_broken_link_is_no_missing_list_of_classes(tmp_path):
    root = write(tmp_path / "own", "a{}", [1])
    (root / "classes.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match="classes.txt must be a plain file, got a link to .*gone"):
        open_folder(root)


def test_masks_are_looked_at_once_and_again_when_they_change(tmp_path, monkeypatch):
    root = write(tmp_path / "own", "a{}", [1, 2])
    masks, cache = sorted((root / "SegmentationClass").iterdir()), tmp_path / "store"
    assert read_palettes(masks, cache).colours == {0: [], 1: [], 2: []}
    monkeypatch.setattr("seglib.data.recognise._seen", None)  # would fail
    assert read_palettes(masks, cache).colours == {0: [], 1: [], 2: []}
    monkeypatch.undo()
    Image.fromarray(np.full((4, 6), 3, np.uint8)).save(masks[0])
    os.utime(masks[0], (1, 1))
    assert read_palettes(masks, cache).labels == [0, 1, 2, 3]
    for file in cache.iterdir():
        file.write_text(json.dumps({900: []}))  # damaged: looked at again
    assert read_palettes(masks, cache).labels == [0, 1, 2, 3]
    assert divided(open_folder(root)).dev is None


def test_a_label_map_in_another_order_than_its_labels_is_refused(tmp_path):
    def named(*lines):
        (root / "classes.txt").write_text("\n".join(lines))
        return open_folder(root).classes

    root = write(tmp_path / "own", "a{}", [1, 2], colours=voc_palette())
    lines = ["none:0,0,0::", "a:128,0,0::", "b:0,128,0::"]
    assert named(*lines) == ("none", "a", "b")
    assert named(lines[0], "a:1,2,3::", lines[2]) == ("none", "a", "b")  # colours of elsewhere
    assert named("__ignore__:9,9,9", *lines) == ("none", "a", "b")
    with pytest.raises(
        DataError,
        match="classes.txt must name the classes in the order of their labels, got b as label 1, "
        "which has the colour of a in the masks; write the names alone",
    ):
        named(lines[0], lines[2], lines[1])
    for path in (root / "SegmentationClass").iterdir():  # grey: no colours to compare
        with Image.open(path) as label:
            mask = np.array(label)
        Image.fromarray(mask).save(path)
    assert named(lines[0], lines[2], lines[1]) == ("none", "b", "a")
