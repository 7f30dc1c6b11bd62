"""What is told of a data set: typed facts, and findings that `--check` shows whole."""

import shutil

import numpy as np
import pytest
from PIL import Image

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.config import ConfigError
from study.describe import describe_data, inspect_data
from study.record import DataFacts
from tests.helpers import write_folder

RECIPE = {"split_seed": 0, "dev_share": 0.2}


def looked_at(root, tmp_path):
    folder = open_folder(root)
    store = build_store(folder, tmp_path / "store", max_side=None)
    return describe_data(store, folder, RECIPE), *inspect_data(store, folder, RECIPE)


def test_facts_and_inspection_say_the_same(folder, tmp_path):
    facts, inspection, sheet = looked_at(folder, tmp_path)
    assert (
        DataFacts(**{name: getattr(inspection, name) for name in DataFacts.model_fields}) == facts
    )
    assert facts.n_images == {"fit": 8, "dev": 4, "test": 4} and facts.classes[0] == "background"
    assert facts.constant_floor.name == "background" and inspection.groups is None
    assert facts.constant_floor.test_miou == pytest.approx(facts.pixel_share["test"][0] / 3)
    low, high = inspection.size_px["test"][:2], inspection.size_px["test"][2:]
    assert min(low) >= 40 and max(high) < 48
    assert len(sheet) == 16 and sheet[0].image.shape == (*sheet[0].mask.shape, 3)


def test_copies_are_a_note_of_the_facts_and_rows_of_the_inspection(folder, tmp_path):
    images = folder / "JPEGImages"
    shutil.copy(images / "train_00.jpg", images / "test_00.jpg")
    masks = folder / "SegmentationClass"
    shutil.copy(masks / "train_00.png", masks / "test_00.png")
    facts, inspection, _ = looked_at(folder, tmp_path)
    assert [copy.images for copy in inspection.duplicates] == [("fit/train_00", "test/test_00")]
    assert inspection.duplicates[0].across and not inspection.notes
    assert facts.notes == (
        "1 set of images with the same pixels in different splits, e.g. fit/train_00 = "
        "test/test_00",
    )


def test_one_class_cannot_be_learnt(tmp_path):
    root = write_folder(tmp_path / "tiny", {"train": 2, "val": 2, "test": 2})
    for mask in (root / "SegmentationClass").glob("train*"):
        with Image.open(mask) as picture:
            size = picture.size
        Image.fromarray(np.zeros(size[::-1], np.uint8)).save(mask)
    with pytest.raises(ConfigError, match="at least 2 classes, got only background"):
        looked_at(root, tmp_path)
