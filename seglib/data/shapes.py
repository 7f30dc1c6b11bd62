"""The embedded data set: drawn scenes, written once in the VOC devkit layout."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data.scenes import CLASSES, draw_scene
from seglib.drawing import voc_palette

# Part of the data folder's name: raise it with any change that alters a pixel, here or in scenes.py
VERSION = 2
SPLITS = ("train", "val", "test")


def write_shapes(
    root: Path,
    *,
    n_train: int,
    n_val: int,
    n_test: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw the three splits into `root`, which appears only when it is complete.

    Image i of a split depends on (seed, split, i) alone, so a longer split begins with the shorter
    one. Bytes repeat for the same builds of NumPy and Pillow.

    Args:
        root: folder to create; its parents are created too.
        progress: called after each image with (images written, images in all).
    Raises: ValueError if `root` exists or a count is below 1.
    """
    counts = {"train": n_train, "val": n_val, "test": n_test}
    for split, count in counts.items():
        if count < 1:
            raise ValueError(f"n_{split} must be at least 1, got {count}")
    if root.exists():
        raise ValueError(f"root must not exist yet, got {root}; delete it or choose another folder")
    root.parent.mkdir(parents=True, exist_ok=True)
    name = f".{root.name}.{os.getpid()}-"  # what a kill leaves is known by its process
    with tempfile.TemporaryDirectory(prefix=name, dir=root.parent) as scratch:
        partial = Path(scratch) / root.name
        for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (partial / folder).mkdir(parents=True)
        (partial / "classes.txt").write_text("\n".join(CLASSES) + "\n")
        palette, n_done = voc_palette().tobytes(), 0
        for split_index, split in enumerate(SPLITS):
            names = [f"{split}_{i:05d}" for i in range(counts[split])]
            (partial / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names) + "\n")
            for i, name in enumerate(names):
                image, mask = draw_scene(np.random.default_rng([seed, split_index, i]))
                indexed = Image.fromarray(mask)
                indexed.putpalette(palette)
                jpeg = partial / "JPEGImages" / f"{name}.jpg"
                Image.fromarray(image).save(jpeg, quality=95, subsampling=0)
                indexed.save(partial / "SegmentationClass" / f"{name}.png")
                n_done += 1
                if progress is not None:
                    progress(n_done, sum(counts.values()))
        partial.rename(root)
