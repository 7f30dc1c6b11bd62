"""What is ambiguous is refused in a line that names what is there; nothing is left behind."""

import os

import pytest

from seglib.data import DataError
from seglib.data.convert import convert
from tests.seglib.data.convert import made
from tests.seglib.data.convert.bad_sources import CASES, two_formats


@pytest.mark.parametrize("make, message", CASES.items(), ids=[make.__name__ for make in CASES])
def test_refused(tmp_path, make, message):
    make(tmp_path / "source")
    with pytest.raises(DataError, match=message) as refused:
        convert(tmp_path / "source", tmp_path / "new")
    assert "\n" not in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_targets(tmp_path):
    source = made.pairs(tmp_path / "source")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for target, message in (
        (tmp_path / "full", "must be a new or empty folder, got .*full, which holds files"),
        (tmp_path / "full/file", "must be a new folder, got .*file, which is something else"),
        (tmp_path / "link", "must be a new folder, got .*link, which is something else"),
        (source / "new", "must lie apart from the source"),
        (source, "must be a new or empty folder"),
    ):
        with pytest.raises(DataError, match=message):
            convert(source, target)
    assert (tmp_path / "full/file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert convert(source, tmp_path / "empty").n_images == 10


def test_an_interrupted_conversion_leaves_nothing(tmp_path):
    def interrupt(done, n):
        if done == 15:  # half of what is written
            assert len(list(tmp_path.glob(".new.*.part/JPEGImages/*"))) == 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(made.pairs(tmp_path / "s"), tmp_path / "new", progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_what_a_killed_conversion_left_is_swept(tmp_path):
    source = made.pairs(tmp_path / "source")
    left = tmp_path / ".new.999999999.part"
    of_a_running_one = tmp_path / f".new.{os.getppid()}.part"
    for folder in (left, of_a_running_one):
        (folder / "JPEGImages").mkdir(parents=True)
    convert(source, tmp_path / "new")
    assert not left.exists() and of_a_running_one.exists()


def test_the_right_format_can_be_said(tmp_path):
    two_formats(tmp_path / "s")
    assert convert(tmp_path / "s", tmp_path / "a", format="coco-instances").n_images == 10
    with pytest.raises(DataError, match="must hold JSON of coco-panoptic .*, got none"):
        convert(tmp_path / "s", tmp_path / "b", format="coco-panoptic")
    with pytest.raises(DataError, match="must lie in the layout of cvat, got another"):
        convert(tmp_path / "s", tmp_path / "b", format="cvat")
    with pytest.raises(DataError, match="--format must be one of pairs, voc, .*, got yolo"):
        convert(tmp_path / "s", tmp_path / "b", format="yolo")
