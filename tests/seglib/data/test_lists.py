"""Lists, groups and files as people write them: read, or refused with what is there."""

import os
import unicodedata

import pytest

from seglib.data.folder import open_folder
from seglib.data.lists import DataError
from seglib.data.plain import read_lines
from tests.helpers import write_folder
from tests.seglib.data.odd_lists import LISTS, READ, REFUSED, TRAIN, content, every, lines


@pytest.mark.parametrize("change", READ.values(), ids=READ)
def test_read(folder, change):
    plain = open_folder(folder)
    change(folder)
    found = open_folder(folder)
    assert (found.development, found.test, found.dev) == (plain.development, plain.test, plain.dev)
    assert all(found.image_path(n).is_file() and found.mask_path(n).is_file() for n in TRAIN)
    assert all(found.images[n].startswith(n) and found.masks[n].startswith(n) for n in TRAIN)
    assert not found.notes


@pytest.mark.parametrize("forms", ["NFC NFD NFD", "NFD NFC NFC", "NFC NFC NFD", "NFD NFD NFC"])
def test_letters_composed_or_not(tmp_path, forms):
    root = write_folder(tmp_path / "own", {"train": 4, "test": 2})
    of = [lambda n, form=form: unicodedata.normalize(form, f"é{n}") for form in forms.split()]
    every("JPEGImages", of[0])(root)
    every("SegmentationClass", of[1])(root)
    for name in ("train", "test"):
        file = root / LISTS / f"{name}.txt"
        file.write_text("".join(f"{of[2](n)}\n" for n in file.read_text().split()))
    groups = "".join(f"{p.stem} {p.stem[-1]}\n" for p in (root / "SegmentationClass").iterdir())
    (root / "groups.txt").write_text(groups)
    found = open_folder(root)
    assert found.development == tuple(of[2](f"train_{i:02d}") for i in range(4))
    assert all(found.image_path(n).is_file() and found.mask_path(n).is_file() for n in found.test)
    assert set(found.groups) == {*found.development, *found.test}
    # twins in both forms: which is it?
    first = found.image_path(found.test[0])
    other = "NFD" if unicodedata.is_normalized("NFC", first.name) else "NFC"
    twin = first.with_name(unicodedata.normalize(other, first.name))
    twin.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match=r"must hold one file a name, got '.*\\x?u?.*'; keep the"):
        open_folder(root)
    twin.unlink()
    file = root / LISTS / "test.txt"
    text = file.read_text()
    file.write_text("".join(unicodedata.normalize(form, text) for form in ("NFC", "NFD")))
    with pytest.raises(DataError, match=r"twice, as '.*' and '.*'; each image may stand once"):
        open_folder(root)


@pytest.mark.parametrize("empty", [b"", b"\n \n", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("name, other", [("test", "val"), ("val", "test")])
def test_an_empty_list_beside_a_filled_one_is_absent(folder, empty, name, other):
    content(empty, f"{name}.txt")(folder)
    found = open_folder(folder)
    assert found.notes == (f"{name}.txt is empty and taken as absent: {other} is the test",)
    assert found.dev is None and found.test[0].startswith(other) and len(found.development) == 8


@pytest.mark.parametrize("change, message", REFUSED.values(), ids=REFUSED)
def test_refused_with_what_is_there(folder, change, message):
    change(folder)
    with pytest.raises(DataError) as caught:
        open_folder(folder)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_names_that_end_in_numbers_are_names(tmp_path):
    root = write_folder(tmp_path / "own", {"train": 2, "val": 2})
    for folder in ("JPEGImages", "SegmentationClass"):
        every(folder, lambda n: n.replace("_", " "))(root)
    for split in ("train", "val"):
        lines("{}", split, [f"{split} 00", f"{split} 01"])(root)
    assert open_folder(root).development == ("train 00", "train 01")


def test_a_stray_second_suffix_beside_the_named_file_is_no_twin(folder):
    (folder / "SegmentationClass/train_00.png.png").write_bytes(b"")
    assert open_folder(folder).masks["train_00"] == "train_00.png"


def test_groups_by_tabs_with_suffixes_and_blank_lines(folder):
    text = "".join(f"{p.name}\t {p.name[-5]}\n\n" for p in (folder / "JPEGImages").iterdir())
    (folder / "groups.txt").write_text(text)
    assert open_folder(folder).groups["train_03"] == "3"
    for text, message in (
        ("train_00\n", "must hold '<name> <group>' a line, got 'train_00' on line 1"),
        ("train_00 a\ntrain_00.jpg b\n", "names train_00 twice, in groups a and b"),
        ("train_00 \x1b[2J\n", "must be printable text"),
        ("train_00 walk one\n", "one word as its group, got 'train_00 walk one'; write it without"),
    ):
        (folder / "groups.txt").write_text(text)
        with pytest.raises(DataError) as caught:
            open_folder(folder)
        assert message in str(caught.value)


def test_where_the_data_may_lie(folder, tmp_path):
    outside = tmp_path / "my data"
    outside.mkdir()
    folder.rename(outside / "set")
    (outside / "readme").touch()
    with pytest.raises(DataError, match="got readme, set; use '.*my data/set'"):
        open_folder(outside)
    flat = tmp_path / "flat"
    (flat / "images").mkdir(parents=True)
    with pytest.raises(DataError, match="got images; python runs.py --convert .*flat --to FOLDER"):
        open_folder(flat)
    with pytest.raises(DataError, match="VOC layout, got .*readme, a file; unpack it, where it is"):
        open_folder(outside / "readme")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="VOC layout, got .*pipe, a pipe$"):
        open_folder(tmp_path / "pipe")


def test_lines_keep_their_numbers(tmp_path):
    (tmp_path / "a").write_text("\n one \n\ntwo\n\n\n")
    assert read_lines(tmp_path / "a") == ["", "one", "", "two"]
