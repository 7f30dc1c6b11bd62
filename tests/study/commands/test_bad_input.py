"""Bad data and disks through the real command line: one line, exit 2, nothing written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runs
from tests.helpers import flags, refused
from tests.study.commands.bad_folders import BAD_FOLDERS, GOOD
from tests.study.commands.harm import listing

ROOT = Path(__file__).parents[3]
LOSSES = ["--matrix", "losses", "--seeds", "1", *flags(epochs=1)]


@pytest.mark.slow
@pytest.mark.parametrize("harm, message", BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_bad_folder(folder, tmp_path, capfd, harm, message):
    out = tmp_path / "out"
    harm(folder)
    error = refused(["--grid", "--data", folder, "--out", out, *LOSSES], capfd)
    assert message in error
    # names the file, or speaks of all masks or of the groups
    assert str(folder) in error or "masks of tiny" in error or "groups" in error
    left = [str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()]
    # masks of 0 and 255, and groups, are judged from the decoded images, which stay as a cache
    assert not [name for name in left if not name.startswith("store/tiny-")], left
    assert not list(out.glob("store/.*"))
    assert message in refused(["--check", folder, "--out", out], capfd)


@pytest.mark.slow
def test_the_process_exits_with_2_and_one_line(folder, tmp_path):
    name = "a_long_name_that_would_be_wrapped_at_eighty_columns_if_anything_wrapped_it"
    (folder / "JPEGImages/train_00.jpg").rename(folder / f"JPEGImages/{name}.jpg")
    (folder / "JPEGImages" / f"{name}.jpg").write_bytes(b"nothing")
    (folder / "SegmentationClass/train_00.png").rename(folder / f"SegmentationClass/{name}.png")
    listing(f"{name}\ntrain_01\n")(folder)
    done = subprocess.run(
        [sys.executable, "runs.py", "--check", folder, "--out", tmp_path / "out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "40"},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{name}.jpg must be a readable JPEG or PNG file" in done.stderr


def test_no_such_folder(tmp_path, capfd):
    error = refused(["--grid", "--data", tmp_path / "nowhere", "--out", tmp_path / "out"], capfd)
    assert f"or an existing folder in the VOC layout, got {tmp_path / 'nowhere'}" in error
    assert not (tmp_path / "out").exists()


def test_no_room_for_the_images(folder, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *LOSSES], capfd)
    assert "GB free for the decoded images, got 0.0 GB" in error
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_disk_full_while_decoding(folder, tmp_path, capfd, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "bincount", full)  # called for every image, after its pixels
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *LOSSES], capfd)
    assert "No space left on device" in error
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("harm", GOOD.values(), ids=GOOD)
def test_accepted(folder, tmp_path, capfd, harm):
    harm(folder)
    assert runs.main(["--check", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert capfd.readouterr().err == ""
