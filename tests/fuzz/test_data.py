"""Folders of images and masks."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.describe import inspect_data, open_splits
from tests.fuzz.damage import EDITS, REFUSED, TEXT, edited, finite, fuzz
from tests.helpers import write_folder

RECIPE = {"split_seed": 0, "dev_share": 0.2}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("fuzz") / "tiny", {"train": 2, "val": 2}, side=24)
    (root / "groups.txt").write_text(
        "".join(
            f"{path.stem} {path.stem[-1]}\n" for path in sorted((root / "JPEGImages").iterdir())
        )
    )
    (root / "JPEGImages/train_01.jpg").rename(root / "JPEGImages/train_01.png")
    (root / "JPEGImages/train_01.png").write_bytes(
        (root / "SegmentationClass/train_01.png").read_bytes()
    )
    return root


FILES = [
    "JPEGImages/train_00.jpg",
    "JPEGImages/train_01.png",
    "SegmentationClass/val_00.png",
    "SegmentationClass/train_00.png",
    "ImageSets/Segmentation/train.txt",
    "classes.txt",
    "groups.txt",
]


def look(root, tmp_path):
    """What `--check` and `--plan` do with a folder."""
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    folder = open_folder(root)
    store = build_store(folder, tmp_path / "store", max_side=None)
    facts, sheet = inspect_data(store, folder, RECIPE)
    for split in open_splits(store, RECIPE).values():
        for image, mask in (split[i] for i in range(len(split))):
            assert image.shape == (*mask.shape, 3)
            assert ((mask < len(store.classes)) | (mask == 255)).all()
    return facts.model_dump(), sheet


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Pillow warns of odd files that it can read
@fuzz
@given(name=st.sampled_from(FILES), edits=EDITS)
def test_damaged_data(tiny, tmp_path, name, edits):
    content = (tiny / name).read_bytes()
    try:
        (tiny / name).write_bytes(edited(content, edits))
        facts, _ = look(tiny, tmp_path)
        assert finite(facts)
    except REFUSED as error:
        assert str(error)
    finally:
        (tiny / name).write_bytes(content)


WORDS = ["train_00", "val_00", "background", "square", " ", "\t", "\r", "a", "..", "/", "\x85"]
WORDS += ["\u2028", "\ufeff", "é", "e\u0301", ".", "\x1b[2J"]
LINE = st.lists(st.sampled_from(WORDS) | TEXT, max_size=4).map("".join)


@pytest.mark.slow
@fuzz
@given(name=st.sampled_from(FILES[4:]), lines=st.lists(LINE, max_size=5))
def test_odd_lists(tiny, tmp_path, name, lines):
    content = (tiny / name).read_bytes()
    try:
        (tiny / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        assert finite(look(tiny, tmp_path)[0])
    except REFUSED as error:
        assert str(error)
    finally:
        (tiny / name).write_bytes(content)
