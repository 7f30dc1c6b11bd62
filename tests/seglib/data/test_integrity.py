"""Data that change or rot under a study are found and named; a damaged store is made again."""

import os
import shutil

import pytest
from PIL import Image

import runs
from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.integrity import changes
from study.commands.console import make_console
from study.commands.opening import open_session
from study.commands.parser import parse
from study.execution.preflight import prepare_store
from tests.helpers import flags, write_folder

SETTINGS = flags(epochs=1, batch_size=None, n_evaluations=None)


def words(verb, place, *more):
    usual = "--matrix losses --seeds 1 --workers 1".split()
    where = ["--data", str(place / "tiny"), "--out", str(place / "out")]
    return [verb, *where, *usual, *SETTINGS, *more]


def command(*args):
    return runs.main(words(*args))


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """A folder of data and a study of it that has no run yet; only ever copied."""
    place = tmp_path_factory.mktemp("declared")
    write_folder(place / "tiny", {"train": 8, "val": 4, "test": 4})
    session = open_session(
        parse(words("--grid", place), runs.MATRICES), runs.MATRICES["losses"], make_console()
    )
    session.study.save()
    return place


@pytest.fixture
def place(declared, tmp_path):
    return shutil.copytree(declared, tmp_path / "copy")


def draw(path):
    with Image.open(path) as picture:
        picture.load()
    picture.paste(1, (0, 0, 4, 4))
    picture.save(path)


def move(root, old, new):
    for path in (root / "JPEGImages" / f"{old}.jpg", root / "SegmentationClass" / f"{old}.png"):
        path.rename(path.with_stem(new))
    for path in (root / "ImageSets/Segmentation").iterdir():
        path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_what_changed_is_named(place, declared, capfd):
    root = place / "tiny"
    assert command("--plan", place) == 0  # the same data in another place
    stores = list((place / "out/store").iterdir())
    for i in range(5):
        draw(root / f"JPEGImages/train_0{i}.jpg")
    draw(root / "SegmentationClass/val_01.png")
    move(root, "test_03", "test_04")
    assert command("--plan", place) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and f"from {declared / 'tiny'} (now " in error
    assert (
        f"from {root}: images changed: train_00, train_01, train_02 and 2 more; "
        "masks changed: val_01; images added: test_04; images removed: test_03); "
        "give the same data to continue it, or --study NEWNAME"
    ) in error
    for path in stores:
        shutil.rmtree(path)
    assert command("--plan", place) == 2
    assert "the images as first decoded are no longer there" in capfd.readouterr().err


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda root: (root / "classes.txt").write_text("background\na\nb\n"), "other classes"),
        (
            lambda root: (root / "groups.txt").write_text(
                "".join(f"{p.stem} g{p.stem}\n" for p in (root / "JPEGImages").iterdir())
            ),
            "other groups",
        ),
        (
            lambda root: (
                os.rename(
                    root / "ImageSets/Segmentation/val.txt", root / "ImageSets/Segmentation/val.bak"
                )
                or os.rename(
                    root / "ImageSets/Segmentation/test.txt",
                    root / "ImageSets/Segmentation/val.txt",
                )
            ),
            "images removed: val_00, val_01, val_02 and 1 more",
        ),
        (lambda root: move_line(root, "train_07"), "other lists of the same images"),
    ],
)
def test_changes_of_lists_classes_and_groups(folder, tmp_path, change, what):
    before = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    assert changes(before, before) == ""
    change(folder)
    after = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    assert changes(before, after) == what and before.fingerprint != after.fingerprint


def move_line(root, name):
    lists = root / "ImageSets/Segmentation"
    (lists / "train.txt").write_text((lists / "train.txt").read_text().replace(f"{name}\n", ""))
    (lists / "val.txt").write_text((lists / "val.txt").read_text() + f"{name}\n")


@pytest.mark.slow
def test_a_change_that_leaves_size_and_time_alone(place, capfd):
    assert command("--plan", place) == 0
    path = place / "tiny/JPEGImages/val_02.jpg"
    info, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    capfd.readouterr()
    assert command("--plan", place) == 2
    assert (
        f"{path} must be as decoded: neither size nor time changed, the content did; restore"
    ) in (error := capfd.readouterr().err) and error.count("\n") == 1
    path.touch()  # meant: decoded again, and another data set for the study
    assert command("--plan", place) == 2
    assert "images changed: val_02);" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["development.bin", "test.bin", "index.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_store_is_named_and_made_again(folder, tmp_path, name, harm):
    notes = []

    def prepare():
        return prepare_store(open_folder(folder), tmp_path, None, note=notes.append)

    path = prepare().path / name
    content = path.read_bytes()
    middle = len(content) // 2
    if harm == "remove":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:middle])
    else:
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    assert prepare() and prepare()
    assert notes == [f"{path} was damaged on disk: decoding again"]
    assert path.read_bytes() == content


@pytest.mark.slow
def test_the_command_line_says_what_was_damaged(place, capfd):
    assert command("--plan", place) == 0
    for path in (place / "out/store").glob("*/test.bin"):
        path.write_bytes(b"")
    assert command("--plan", place) == 0
    text = capfd.readouterr().out
    assert text.count("test.bin was damaged on disk: decoding again") == 1


def test_max_side_is_no_other_data_and_only_comes_first(place, capfd):
    assert command("--plan", place, "--set", "max_side=32") == 2
    error = capfd.readouterr().err
    assert "was declared with max_side=512 (now 32); give --set max_side=512 to" in error
    assert command("--plan", place, "--set", "max_side=32", "--only", "loss=dice") == 2
    error = capfd.readouterr().err
    assert "--only loss must be among bce, dice_bce, focal_tversky, got dice" in error
    assert command("--plan", place, "--set", "max_side=32", "--only", "seed=1") == 2
    assert "--only seed must be below --seeds 1, got 1" in capfd.readouterr().err
