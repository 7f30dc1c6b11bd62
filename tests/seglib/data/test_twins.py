"""Images that look nearly alike are found by a perceptual hash, those of one kind are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from seglib.data.build import build_store
from seglib.data.findings import twins
from seglib.data.folder import open_folder
from seglib.data.scenes import draw_scene
from seglib.data.twins import nearest, picture_hash


def photograph(seed, side=256):
    """Soft blotches of many sizes, as in a photograph."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((side, side, 3))
    for cells in (2, 4, 8, 16, 32):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float) / 5
    return Image.fromarray(picture.astype(np.uint8))


def saved(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def moved(picture, x, y):
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y))


CHANGES = {
    "half": lambda p: p.resize((128, 128)),
    "double": lambda p: p.resize((512, 512), Image.Resampling.BICUBIC),
    "nearest": lambda p: p.resize((100, 100), Image.Resampling.NEAREST),
    "jpeg 30": lambda p: saved(p, 30),
    "jpeg 10": lambda p: saved(p, 10),
    "brighter": lambda p: p.point(lambda v: min(255, int(v * 1.15))),
    "grey": lambda p: p.convert("L"),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "a frame later": lambda p: moved(p, 2, 1),
    "cropped a little": lambda p: p.crop((2, 2, 254, 254)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_that_were_changed_are_twins(change):
    pictures = [photograph(seed) for seed in range(8)]
    hashes = [picture_hash(CHANGES[change](picture).convert("RGB")) for picture in pictures]
    assert nearest(hashes, [picture_hash(picture) for picture in pictures]) == [*range(8)]


def dark(seed):
    noise = np.random.default_rng(seed).normal(8, 4, (120, 160, 3))
    return saved(Image.fromarray(noise.clip(0, 255).astype(np.uint8)), 60)


def lit(seed):
    """The same light falls on each, the noise is another."""
    y, x = np.mgrid[-1:1:120j, -1:1:160j]
    noise = np.random.default_rng(seed).normal(0, 8, (120, 160))
    picture = 120 - 60 * np.hypot(y, x) + noise
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).convert("RGB")


KINDS = {
    "drawn scenes": lambda seed: Image.fromarray(
        draw_scene(np.random.default_rng([0, 0, seed]))[0]
    ),
    "photographs": photograph,
    "dark": dark,
    "flat": lambda seed: Image.new("RGB", (90, 90), (seed, seed, seed)),
    "lit alike": lit,
}


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_one_kind_are_no_twins(kind):
    hashes = [picture_hash(KINDS[kind](seed)) for seed in range(100)]
    assert nearest(hashes[:50], hashes[50:]) == [None] * 50


def test_nearest_is_the_nearest_in_blocks_too(monkeypatch):
    monkeypatch.setattr("seglib.data.twins.BLOCK", 3)
    base = "0" * 64
    near, nearer, far = "f" * 4 + "0" * 60, "0" * 60 + "7" + "0" * 3, "f" * 13 + "0" * 51
    assert nearest([base, "", far, base], ["", near, nearer]) == [2, None, 1, 2]
    assert nearest([base], [far]) == [None] and nearest([base], []) == [None]
    assert nearest([base], ["f" * 12 + "0" * 52]) == [0]  # 48 of 256


def test_twins_of_splits_name_the_earlier_one_and_leave_copies_out(folder, tmp_path):
    images, picture = folder / "JPEGImages", photograph(0)

    def put(name, change):
        with Image.open(images / f"{name}.jpg") as old:
            change(picture).resize(old.size).save(images / f"{name}.jpg", quality=80)

    put("train_03", lambda p: p)
    put("val_01", lambda p: saved(p, 40))
    put("test_02", lambda p: moved(p, 2, 2))
    put("train_04", lambda p: moved(p, 1, 2))
    store = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    found = twins({"fit": fit, "dev": dev, "test": store.test()})
    assert {pair.image for pair in found} == {"test/test_02", "dev/val_01"}
    assert [pair.image for pair in found].count("test/test_02") == 2  # in fit and in dev
    assert {pair.like for pair in found} <= {"fit/train_03", "fit/train_04", "dev/val_01"}
