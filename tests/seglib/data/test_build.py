"""How a store is made: what waits in memory is bounded, sizes are known before decoding."""

import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from seglib.data import build
from seglib.data.folder import open_folder
from seglib.data.lists import DataError
from tests.helpers import write_folder


@pytest.fixture
def peak(monkeypatch):
    """Bytes (by the headers) of the images that are decoded or wait at once, at most."""
    real, lock, now, most = build.decode, threading.Lock(), [0], [0]

    def decode(folder, name, *, max_side):
        width, height = build.picture_size(folder.image_path(name))
        with lock:
            now[0] += build.DECODE_BYTES * width * height
            most[0] = max(most[0], now[0])
        sample = real(folder, name, max_side=max_side)
        with lock:
            now[0] -= build.DECODE_BYTES * width * height
        return sample

    monkeypatch.setattr(build, "decode", decode)
    return most


@pytest.mark.parametrize("limit", [1, 60_000, 2**28])
def test_what_is_decoded_at_once_is_bounded_in_bytes(folder, tmp_path, monkeypatch, peak, limit):
    monkeypatch.setattr(build, "QUEUED_BYTES", limit)
    opened = open_folder(folder)
    store = build.build_store(opened, tmp_path / "store", max_side=None)
    largest = max(build._needs(opened).values())
    assert 0 < peak[0] <= max(limit, largest)
    whole = build.build_store(opened, tmp_path / "again", max_side=None)
    assert store.index["pools"] == whole.index["pools"]


def test_a_mask_of_another_size_is_found_before_anything_is_decoded(
    folder, tmp_path, monkeypatch, peak
):
    path = folder / "SegmentationClass/test_03.png"
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(path)
    with pytest.raises(
        DataError,
        match="test_03.png must have the size of its image, got 9x7 aga.*; find the ",
    ):
        build.build_store(open_folder(folder), tmp_path / "store", max_side=None)
    assert peak[0] == 0 and not list((tmp_path / "store").glob("*"))


BUILD = """
import sys
from pathlib import Path
from seglib.data import build, open_folder

def kilobytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))

folder = open_folder(Path(sys.argv[1]))
build.QUEUED_BYTES = 1  # one at a time
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS")
build.build_store(folder, Path(sys.argv[2]), max_side=512)
print((kilobytes("VmHWM") - before) / 1024)
"""


@pytest.mark.slow
def test_a_folder_of_large_images_needs_a_small_multiple_of_one(tmp_path):
    root, side = write_folder(tmp_path / "tiny", {"train": 4, "val": 2}), 2500
    image = Image.new("RGB", (side, side), (90, 120, 30))
    mask = Image.new("L", (side, side))
    for picture, fill in ((image, (200, 0, 0)), (mask, 1)):
        picture.paste(fill, (100, 100, 2000, 2200))
    image.save(tmp_path / "one.jpg", quality=20)
    mask.save(tmp_path / "one.png")
    for kind, one in (("JPEGImages", "one.jpg"), ("SegmentationClass", "one.png")):
        for path in (root / kind).iterdir():
            shutil.copy(tmp_path / one, path)
    words = [sys.executable, "-c", BUILD, str(root), str(tmp_path / "store")]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    one = 3 * side * side / 2**20  # MB of one image as RGB
    assert one < float(found.stdout) < 6 * one
