"""Seconds that `--check` needs for a folder of VOC's size, the first time and again.

python benchmarks/preflight.py [N_IMAGES]      default 3000 images of 500x375
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data.scenes import CLASSES, draw_scene

ROOT = Path(__file__).parents[1]
SIZE_PX = (500, 375)


def write_folder(root: Path, n_images: int) -> None:
    """Drawn scenes enlarged to VOC's size with noise, so that the JPEGs are as large as photos."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for i in range(n_images):
        rng = np.random.default_rng(i)
        image, mask = draw_scene(rng)
        image = np.asarray(Image.fromarray(image).resize(SIZE_PX, Image.Resampling.BICUBIC))
        image = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / f"JPEGImages/{i:06d}.jpg", quality=90)
        mask = Image.fromarray(mask).resize(SIZE_PX, Image.Resampling.NEAREST)
        mask.save(root / f"SegmentationClass/{i:06d}.png")
    names = [f"{i:06d}" for i in range(n_images)]
    cut = n_images * 3 // 4
    for split, part in (("train", names[:cut]), ("val", names[cut:])):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(part) + "\n")


if __name__ == "__main__":
    n_images = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        write_folder(data, n_images)
        for turn in ("first", "again"):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "runs.py", "--check", data, "--out", f"{scratch}/out"],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            print(f"{turn}: {n_images} images in {time.perf_counter() - began:.1f} s")
