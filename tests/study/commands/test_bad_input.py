"""Bad data and disks through the real command line: one line, exit 2, nothing written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runs
from study.matrix import Matrix
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


NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n_classes, n_channels=3, change=lambda logits: logits):
        super().__init__()
        self.conv, self.change = nn.Conv2d(n_channels, n_classes, 1), change

    def forward(self, images):
        return self.change(self.conv(images))

def grey(*, n_classes): return Net(n_classes, n_channels=1)
def half(*, n_classes): return Net(n_classes, change=lambda y: y[..., ::2, ::2])
def turned(*, n_classes): return Net(n_classes, change=lambda y: y.mT)
def pair(*, n_classes): return Net(n_classes, change=lambda y: (y, y))
def named(*, n_classes): return Net(n_classes, change=lambda y: {"out": y})
def three(*, n_classes): return Net(3)
def raising(*, n_classes): return Net(n_classes, change=lambda y: 1 / 0)
"""
WRONG = {
    "grey": "got RuntimeError: .* to have 1 channels, but got 3 channels instead",
    "half": r"got \(1, 4, 16, 32\)",
    "turned": r"got \(1, 4, 64, 32\)",
    "pair": "got tuple",
    "named": "got dict",
    "three": r"got \(1, 3, 32, 64\)",
    "raising": "got ZeroDivisionError: division by zero",
    "absent": "model bad_nets:absent must name a function of bad_nets, got no absent",
}


@pytest.mark.parametrize("name, message", WRONG.items())
def test_a_network_that_does_not_fit_is_named_before_anything_runs(
    folder, tmp_path, monkeypatch, capfd, name, message
):
    (tmp_path / "bad_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bad_nets", raising=False)
    axes = {"model": (f"bad_nets:{name}",), "init": ("scratch",), "loss": ("bce",)}
    monkeypatch.setitem(runs.MATRICES, "own", Matrix(axes=axes))
    out = tmp_path / "out"
    more = ["--set", "train_void=class"]  # one more output than there are classes
    for verb in ("--plan", "--grid"):
        words = [verb, "--matrix", "own", "--data", folder, "--out", out, *flags(), *more]
        error = refused(words, capfd)
        assert re.search(message, error) and f"model bad_nets:{name} must" in error
    assert not list(out.glob("own-*"))
