"""Shared fixtures: a tiny VOC-layout folder and a study made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.shapes import voc_palette
from seglib.data.store import Store

CLASSES = ("background", "square", "stripe")


def write_folder(
    root: Path, lists: dict[str, int], *, classes: tuple[str, ...] = CLASSES, side: int = 40
) -> Path:
    """A VOC-layout folder of small squares and stripes, `lists` maps a list to its length."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for number, (split, n_images) in enumerate(lists.items()):
        names = [f"{split}_{i:02d}" for i in range(n_images)]
        for i, name in enumerate(names):
            rng = np.random.default_rng([number, i])
            height, width = side + int(rng.integers(0, 8)), side + int(rng.integers(0, 8))
            image = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
            mask = np.zeros((height, width), np.uint8)
            y, x = rng.integers(0, height - 16), rng.integers(0, width - 16)
            image[y : y + 14, x : x + 14, 0] = 230
            mask[y : y + 14, x : x + 14] = 1
            if len(classes) > 2 and i % 2 == 0:
                image[:, 3:7, 2] = 240
                mask[:, 3:7] = 2
            mask[0] = 255
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
            label = Image.fromarray(mask)
            label.putpalette(voc_palette())
            label.save(root / "SegmentationClass" / f"{name}.png")
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny", {"train": 8, "val": 4, "test": 4})


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    return build_store(open_folder(folder), tmp_path / "store", max_side=None)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch, tmp_path_factory):
    """No test writes to the user's cache or reaches a tracking server of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
