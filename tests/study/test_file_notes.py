"""How lists and classes were read is said in every place: the facts, `--check`, `--plan`."""

import re

import numpy as np
import pytest
from PIL import Image

import runs
from seglib.data.build import build_store
from seglib.data.classes import implausible_classes
from seglib.data.folder import open_folder
from study.describe import describe_data, inspect_data
from tests.helpers import flags, write_folder
from tests.study.commands.harm import mask

RECIPE = {"split_seed": 0, "dev_share": 0.2}
HEAD = "is the name of label 0 on the first line?"
CLASSES = {
    "__ignore__\n_background_\nsquare\nstripe\n": (
        "classes.txt: labelme's __ignore__ left out (it is 255 in masks)",
        "classes.txt: labelme's _background_ read as background",
    ),
    "background\nsquare\nstripe\nmore\n": (
        "4 classes are named, the masks show 3: no mask shows more, nothing to learn and no score; "
        + HEAD,
    ),
    "square\nbackground\nstripe\n": ("background is the name of label 1: it counts as a class",),
    "# mine\nbackground\nsquare\nstripe\n": ("classes.txt: comments left out",),
    "background\nsquare\nstripe\n": (),
    None: ("no classes.txt: the labels are called class_0 to class_2; write their names",),
}


@pytest.mark.parametrize("text, wanted", CLASSES.items())
def test_facts_and_inspection_say_how_classes_were_read(folder, tmp_path, text, wanted):
    if text is None:
        (folder / "classes.txt").unlink()
    else:
        (folder / "classes.txt").write_text(text)
    data = open_folder(folder)
    store = build_store(data, tmp_path / "store", max_side=None)
    for facts in (describe_data(store, data, RECIPE), inspect_data(store, data, RECIPE)[0]):
        notes = [note for note in facts.notes if not re.match("no fit image|not in", note)]
        assert len(notes) == len(wanted)
        assert all(note.startswith(one) for note, one in zip(notes, wanted, strict=True))


def test_a_rare_background_is_named(tmp_path):
    root = write_folder(tmp_path / "own", {"train": 4, "val": 2, "test": 2})
    for path in (root / "SegmentationClass").iterdir():
        mask(lambda m: np.where(m < 2, 1 - m, m), path.name)(root)
    data = open_folder(root)
    store = build_store(data, tmp_path / "store", max_side=None)
    notes = describe_data(store, data, RECIPE).notes
    form = rf"background \(label 0\) has .*%.*, square \(label 1\) .*%: {re.escape(HEAD)}"
    assert any(re.fullmatch(form, note) for note in notes)


def test_the_same_is_not_said_of_groups_twice(tmp_path):
    root = write_folder(tmp_path / "own", {"train": 9, "val": 2}, side=90)
    for i, path in enumerate(sorted((root / "JPEGImages").glob("train*"))):
        with Image.open(root / "JPEGImages/train_00.jpg") as first:
            moved = first.resize((180 + i, 160), box=(i / 2, 0, 90 + i / 2, 80))
        moved.save(path, quality=95)
        Image.fromarray(np.eye(160, 180 + i, dtype=np.uint8)).save(
            root / f"SegmentationClass/{path.stem}.png"
        )
    data = open_folder(root)
    store = build_store(data, tmp_path / "store", max_side=None)
    notes = [note for note in describe_data(store, data, RECIPE).notes if "groups.txt" in note]
    assert len(notes) == 1 and "2 dev images have a near twin in fit, e.g. dev/train_" in notes[0]


def test_unseen_classes_are_no_question_where_no_file_names_them():
    assert implausible_classes(("background", "a", "b"), (1, 9, 0), given=False) == (
        "no mask shows b, nothing to learn and no score",
    )


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["--check", "--plan"])
def test_the_command_line_says_what_was_taken_as_absent(tmp_path, capfd, verb):
    root = write_folder(tmp_path / "VOC2007", {"train": 8, "val": 4})
    (root / "ImageSets/Segmentation/test.txt").write_text("\n")
    (root / "classes.txt").unlink()
    where = [root] if verb == "--check" else ["--data", root, "--matrix", "losses", *flags()]
    assert runs.main([verb, *map(str, where), "--out", str(tmp_path / "out")]) == 0
    told = " ".join(capfd.readouterr().out.split())
    assert "test.txt is empty and taken as absent: val is the test" in told
    assert "no classes.txt: the labels are called class_0 to class_2" in told
    assert "bicycle" not in told
