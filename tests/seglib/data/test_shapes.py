"""The embedded data set keeps its promises: reproducible, long-tailed, not solvable by colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.data.scenes import CLASSES, VOID, draw_scene
from seglib.data.shapes import SPLITS, write_shapes
from seglib.drawing import voc_palette

N_CLASSES = len(CLASSES)
COUNTS = {"n_train": 160, "n_val": 60, "n_test": 60}


def read_split(root: Path, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    names = (root / f"ImageSets/Segmentation/{split}.txt").read_text().split()
    pairs = []
    for name in names:
        with (
            Image.open(root / f"JPEGImages/{name}.jpg") as image,
            Image.open(root / f"SegmentationClass/{name}.png") as mask,
        ):
            pairs.append((np.asarray(image), np.asarray(mask)))
    return pairs


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "deep" / "shapes"
    write_shapes(root, **COUNTS)
    return root


@pytest.fixture(scope="module")
def splits(root: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    return {split: read_split(root, split) for split in SPLITS}


@pytest.mark.slow
def test_layout(root, splits):
    assert (root / "classes.txt").read_text().split() == list(CLASSES)
    assert {split: len(pairs) for split, pairs in splits.items()} == {
        "train": 160,
        "val": 60,
        "test": 60,
    }
    # Complete and alone: the scratch folder beside it is gone.
    assert [p.name for p in root.parent.iterdir()] == ["shapes"]


def test_same_seed_same_bytes_and_splits_do_not_touch_each_other(tmp_path):
    write_shapes(tmp_path / "a", n_train=5, n_val=2, n_test=2)
    write_shapes(tmp_path / "b", n_train=5, n_val=2, n_test=2)
    write_shapes(tmp_path / "more", n_train=5, n_val=4, n_test=2)
    write_shapes(tmp_path / "other", n_train=5, n_val=2, n_test=2, seed=1)
    a, b, more, other = (contents(tmp_path / name) for name in ("a", "b", "more", "other"))
    assert a == b
    # A longer val split keeps the images it had, and train and test as they were.
    assert all(more[name] == a[name] for name in a if not name.endswith("/val.txt"))
    assert set(more) - set(a) == {
        f"{folder}/val_0000{i}.{ext}"
        for folder, ext in (("JPEGImages", "jpg"), ("SegmentationClass", "png"))
        for i in (2, 3)
    }
    assert all(other[name] != a[name] for name in a if name.startswith("JPEGImages"))
    # The same index in two splits is another scene.
    assert a["JPEGImages/train_00000.jpg"] != a["JPEGImages/val_00000.jpg"]


@pytest.mark.slow
def test_scene_types_labels_and_sizes(splits):
    image, mask = draw_scene(np.random.default_rng(0))
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == (*mask.shape, 3)
    shapes = {mask.shape for _, mask in splits["train"]}
    sides = [side for shape in shapes for side in shape]
    assert len(shapes) > 50
    assert 64 <= min(sides) < 68 and 84 < max(sides) <= 88
    for pairs in splits.values():
        assert all(image.shape == (*mask.shape, 3) for image, mask in pairs)
        labels = np.unique(np.concatenate([mask.ravel() for _, mask in pairs]))
        assert labels.tolist() == [*range(N_CLASSES), VOID]  # every class is in each split


def test_long_tail_and_void_share(splits):
    labels = np.concatenate([mask.ravel() for _, mask in splits["train"]])
    valid = labels[labels != VOID]
    share = np.bincount(valid, minlength=N_CLASSES) / valid.size
    assert share.argmax() == 0 and share[1:].argmax() == 0
    assert 0.004 < share.min() < 0.012 and share.min() < share[1] / 10
    assert np.sort(share)[2] < 0.02  # the three rarest
    assert 0.06 < 1 - valid.size / labels.size < 0.1


def test_masks_carry_the_voc_palette_and_keep_their_indices(root):
    # Known entries of VOC's map: background, aeroplane, bicycle, tvmonitor, void.
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 20: (0, 64, 128), 255: (224, 224, 192)}
    palette = voc_palette()
    assert {index: tuple(palette[index].tolist()) for index in known} == known
    _, drawn = draw_scene(np.random.default_rng([0, 0, 0]))
    with Image.open(root / "SegmentationClass/train_00000.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette() == palette.ravel().tolist()
        assert np.array_equal(np.asarray(mask), drawn)
        assert np.array_equal(np.asarray(mask.convert("RGB")), palette[drawn])


def test_colour_alone_does_not_tell_an_object_class(splits):
    def bins_and_labels(split: str) -> tuple[np.ndarray, np.ndarray]:
        bins = np.concatenate([(i // 32 @ [64, 8, 1]).ravel() for i, _ in splits[split]])
        labels = np.concatenate([mask.ravel() for _, mask in splits[split]])
        return bins[labels != VOID], labels[labels != VOID].astype(int)

    bins, labels = bins_and_labels("train")
    counts = np.bincount(bins * N_CLASSES + labels, minlength=512 * N_CLASSES)
    table = counts.reshape(512, N_CLASSES).argmax(axis=1)
    bins, labels = bins_and_labels("test")
    guesses = table[bins]
    for label, name in enumerate(CLASSES[1:], start=1):
        hit, truth = guesses == label, labels == label
        iou = (hit & truth).sum() / (hit | truth).sum()
        assert iou < 0.2, f"{name}: IoU {iou:.3f} from colour alone"


def test_existing_root_is_left_alone(tmp_path):
    (tmp_path / "shapes").mkdir()
    with pytest.raises(ValueError, match=r"root must not exist yet, got .*shapes; delete it"):
        write_shapes(tmp_path / "shapes", n_train=1, n_val=1, n_test=1)
    assert not list((tmp_path / "shapes").iterdir())


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n_val must be at least 1, got 0"):
        write_shapes(tmp_path / "shapes", n_train=1, n_val=0, n_test=1)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_nothing_and_progress_counts_every_image(tmp_path):
    seen = []

    def stop_at_three(n_done: int, n_total: int) -> None:
        seen.append((n_done, n_total))
        if n_done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shapes(tmp_path / "s", n_train=2, n_val=2, n_test=1, progress=stop_at_three)
    assert seen == [(1, 5), (2, 5), (3, 5)]
    assert not list(tmp_path.iterdir())
