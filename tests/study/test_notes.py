"""What is said of splits: how they differ, what reducing removed, how dev was cut; and refusals."""

import numpy as np
import pytest
from PIL import Image

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.config import ConfigError
from study.describe import describe_data, inspect_data
from tests.helpers import write_folder

RECIPE = {"split_seed": 0, "dev_share": 0.2}
THREE = {"train": 8, "val": 4, "test": 4}
VOID_MESSAGE = "255 is void and never scored, so they must become 0/1"


def described(root, tmp_path, max_side=None, **recipe):
    folder = open_folder(root)
    store = build_store(folder, tmp_path / "store", max_side=max_side)
    facts = describe_data(store, folder, RECIPE | recipe)
    assert inspect_data(store, folder, RECIPE | recipe)[0].reduced == facts.reduced
    return facts


def repaint(root, pattern, change, palette=True):
    """Change the masks whose names fit a pattern."""
    for path in sorted((root / "SegmentationClass").glob(f"{pattern}.png")):
        with Image.open(path) as picture:
            mask, colours = np.array(picture), picture.getpalette()
        new = Image.fromarray(change(mask).astype(np.uint8))
        if palette and colours:
            new.putpalette(colours)
        new.save(path)


def zero_255(mask):
    return np.where(mask > 0, 255, 0)


def shift(mask):
    return np.where(mask == 255, mask, mask + 1)


@pytest.fixture
def root(tmp_path):
    """Masks of 0, 1, 2 without void, a fourth class unused."""
    root = write_folder(tmp_path / "tiny", THREE, classes=("background", "a", "b", "c"))
    repaint(root, "*", lambda mask: np.where(mask == 255, 0, mask))
    return root


def test_nothing_is_said_of_splits_that_agree(root, tmp_path):
    assert described(root, tmp_path).notes == (
        "4 classes are named, the masks show 3: no mask shows c, nothing to learn and no score; is "
        "the name of label 0 on the first line?",
    )


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("split", ["test", "val"])
def test_a_split_of_0_255_masks_alone_is_refused(tmp_path, root, split, void):
    if void:
        root = write_folder(tmp_path / "with void", THREE)
    repaint(root, f"{split}*", zero_255)
    name = {"val": "dev"}.get(split, split)
    words = f"the {name} masks of .* more than background, got 4 0/255 masks, e.g. {split}_00; "
    with pytest.raises(ConfigError, match=words + VOID_MESSAGE):
        described(root, tmp_path)


@pytest.mark.parametrize("names", [("test_01",), ("train_03", "train_05"), ("val_00", "test_02")])
def test_single_0_255_masks_are_named(tmp_path, root, names):
    for name in names:
        repaint(root, name, zero_255)
    split = {"train": "fit", "val": "dev", "test": "test"}
    listed = [f"{split[name.split('_')[0]]}/{name}" for name in names]
    notes = [note for note in described(root, tmp_path).notes if "255" in note]
    assert len(notes) == 1  # said once: not also as void that one split has
    plural = "s" * (len(names) > 1)
    assert notes[0].startswith(
        f"{len(names)} suspicious mask{plural}, e.g. {listed[0]}: a 0/255 mask: no label but 0, "
        "and 255, which is void; must become 0/1"
    )
    folder = open_folder(root)
    found, _ = inspect_data(build_store(folder, tmp_path / "store", max_side=None), folder, RECIPE)
    assert [f"{one.split}/{one.name}" for one in found.suspicious] == listed


def test_a_mask_of_0_255_is_named_before_others(tmp_path, root):
    repaint(root, "train_00", np.zeros_like)  # only background
    repaint(root, "test_02", zero_255)
    notes = described(root, tmp_path).notes
    assert any(note.startswith("2 suspicious masks, e.g. test/test_02: a 0/255") for note in notes)


def test_fit_masks_of_0_255_are_counted(tmp_path, root):
    repaint(root, "train*", zero_255)
    with pytest.raises(ConfigError, match=f"background; 8 of 8 are 0/255 masks.*{VOID_MESSAGE}"):
        described(root, tmp_path)


def test_the_cause_is_not_guessed(tmp_path, root):
    repaint(root, "train*", np.zeros_like)
    with pytest.raises(ConfigError, match="none of its 8 masks holds a second label") as error:
        described(root, tmp_path)
    assert "255" not in str(error.value) and "max_side" not in str(error.value)


PATTERNS = {
    "labels one higher": (
        lambda root: repaint(root, "test*", shift),
        "labels of test look one higher against fit: ",
    ),
    "labels but 0 one higher": (
        lambda root: repaint(root, "test*", lambda m: np.where(m > 0, m + 1, 0)),
        "labels of test look one higher against fit: ",
    ),
    "labels of train one higher": (
        lambda root: repaint(root, "train*", shift),
        "labels of test look one lower against fit: ",
    ),
    "void in one split": (
        lambda root: repaint(root, "test*", lambda m: np.where(np.arange(len(m))[:, None], m, 255)),
        "4 of 4 test masks have void (255), and none of fit",
    ),
    "no palette in one split": (
        lambda root: repaint(root, "val*", lambda m: m, palette=False),
        "8 of 8 fit masks have a palette, and none of dev",
    ),
    "a class that only dev lacks": (
        lambda root: repaint(root, "val*", lambda m: np.where(m == 2, 0, m)),
        "not in dev, which chooses the epoch: b",
    ),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_one_split_has_and_another_lacks_is_named(root, tmp_path, pattern):
    change, words = PATTERNS[pattern]
    change(root)
    assert any(note.startswith(words) for note in described(root, tmp_path).notes)


def test_other_things_in_another_split_are_no_other_numbering(root, tmp_path):
    repaint(root, "train*", lambda m: np.where(np.arange(len(m))[:, None] < 4, 2, m == 1))
    repaint(root, "test*", lambda m: np.where(np.arange(len(m))[:, None] < 4, 1, 2 * (m == 1)))
    assert not any("labels of" in note for note in described(root, tmp_path).notes)
    repaint(root, "test_00", lambda m: np.where(np.arange(len(m))[:, None], m, 255))
    assert not any("void" in note for note in described(root, tmp_path).notes)


def test_inverted_masks_of_one_split_are_named(tmp_path):
    root = write_folder(tmp_path / "tiny", THREE, classes=("background", "a"))
    repaint(root, "*", lambda m: np.where(m == 255, 0, m))
    assert not any("labels of" in note for note in described(root, tmp_path).notes)
    repaint(root, "test*", lambda m: 1 - m)
    notes = [note for note in described(root, tmp_path).notes if "exchanged" in note]
    assert len(notes) == 1
    assert notes[0].startswith("4 suspicious masks, e.g. test/test_00: 0 and 1 look exchanged")
    repaint(root, "val*", lambda m: 1 - m)  # half of all masks: which half is right?
    notes = described(root, tmp_path).notes
    assert any(note.startswith("labels of test look exchanged, 0 and 1 against") for note in notes)


def test_larger_images_in_one_split_are_named(root, tmp_path):
    for path in [*root.glob("JPEGImages/test*"), *root.glob("SegmentationClass/test*")]:
        with Image.open(path) as picture:
            picture.resize((picture.width * 3, picture.height * 3), 0).save(path)
    notes = described(root, tmp_path, max_side=20).notes
    assert any(note.startswith("every test image is larger than every fit image") for note in notes)


def test_colours_turned_into_grey_are_named(tmp_path):
    root = write_folder(tmp_path / "tiny", THREE, classes=tuple(f"c{i}" for i in range(120)))
    greys = np.array([0, 38, 75])
    repaint(root, "*", lambda m: greys[np.where(m == 255, 0, m)])
    told = "the only labels are 0, 38, 75, as of colours turned into grey; make class ids"
    assert any(note.startswith(told) for note in described(root, tmp_path).notes)


def thin(root, pattern="*"):
    """Class a becomes a line of one pixel, which every fourth row never shows."""

    def lines(mask):
        mask = np.where(mask == 1, 0, mask)
        mask[0, :] = 1
        return mask

    repaint(root, pattern, lines)


def test_what_reducing_removes_is_counted(root, tmp_path):
    thin(root)
    whole = described(root, tmp_path)
    assert whole.reduced == () and not any("reducing" in note for note in whole.notes)
    facts = described(root, tmp_path, max_side=12)
    row = next(row for row in facts.reduced if row.name == "a")
    assert (row.n_masks, row.n_lost, row.share_kept) == (16, 16, 0)
    assert row.share == pytest.approx(1 / 44, rel=0.2)
    assert not any(note.startswith(("no fit image", "not in")) for note in facts.notes)
    note = next(note for note in facts.notes if note.startswith("reducing"))
    assert note.startswith(
        "reducing the images to max_side=12 removes a from 16 of 16 masks (share"
    )
    assert note.endswith("--set max_side=none or a larger one keeps them")


def test_a_class_that_reducing_removed_is_the_cause_named(root, tmp_path):
    repaint(root, "*", lambda m: np.where(m == 2, 0, m))
    thin(root)
    words = "reducing the images to max_side=12 removes a from all 8 masks that show it; use --set"
    with pytest.raises(ConfigError, match=words) as error:
        described(root, tmp_path, max_side=12)
    assert "255" not in str(error.value)


def with_groups(root, *sizes):
    names = sorted(path.stem for path in (root / "JPEGImages").glob("train*"))
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    lines = [f"{name} {group}" for name, group in zip(names, groups, strict=True)]
    lines += [f"{path.stem} t" for path in (root / "JPEGImages").glob("val*")]
    (root / "groups.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize(
    "sizes, n_dev, far",
    [((17, 3), 3, False), ((10, 10), 10, True), ((19, 1), 1, True), ((4, 4, 4, 4, 4), 4, False)],
)
def test_dev_is_measured_against_what_was_wanted(tmp_path, sizes, n_dev, far):
    root = with_groups(write_folder(tmp_path / "tiny", {"train": 20, "val": 4}), *sizes)
    facts = described(root, tmp_path)
    assert facts.n_images["dev"] == n_dev and facts.dev_wanted == 4
    note = next(
        note for note in facts.notes if note.startswith("dev is cut from train.txt by whole")
    )
    assert (f": {n_dev} of 20 images, far from the 4 wanted (dev_share 0.2), as the" in note) == far


@pytest.mark.parametrize("n_train, n_dev", [(2, 1), (3, 1), (5, 1)])
def test_few_images_are_said_to_be_few(tmp_path, n_train, n_dev):
    root = write_folder(tmp_path / "tiny", {"train": n_train, "val": 4})
    facts = described(root, tmp_path)
    told = f"fit has {n_train - n_dev} and dev {n_dev} of its {n_train} images, which is few"
    assert facts.n_images["dev"] == n_dev and any(told in note for note in facts.notes)


def test_lists_of_the_users_are_wanted_as_they_are(root, tmp_path):
    assert described(root, tmp_path).dev_wanted is None
