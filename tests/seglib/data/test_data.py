"""The folder reader, the store, the splits and the augmentation."""

import shutil

import numpy as np
from PIL import Image

from seglib.data.augment import Augmentation, CropSampler, colour_matrix, crop, warp_matrix
from seglib.data.build import build_store
from seglib.data.findings import copies, suspicious
from seglib.data.folder import open_folder
from seglib.data.splits import draw_dev
from seglib.drawing import voc_palette
from tests.conftest import write_folder

PLAIN = Augmentation(
    crop_px=24,
    scale_min=1,
    scale_max=1,
    rotation_deg=0,
    flip=False,
    brightness=0,
    contrast=0,
    saturation=0,
    hue_deg=0,
)


def test_three_lists_are_fit_dev_test(folder, tmp_path):
    store = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    assert (len(fit), len(dev), len(store.test())) == (8, 4, 4)
    assert all(name.startswith("train") for name in fit.names)
    assert all(name.startswith("val") for name in dev.names)
    image, mask = store.test()[1]
    with Image.open(folder / "JPEGImages/test_01.jpg") as picture:
        assert np.array_equal(image, np.array(picture))
    with Image.open(folder / "SegmentationClass/test_01.png") as label:
        assert np.array_equal(mask, np.array(label))


def test_two_lists_cut_dev_from_train(tmp_path):
    root = write_folder(tmp_path / "two", {"train": 20, "val": 4})
    store = build_store(open_folder(root), tmp_path / "store", max_side=None)
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    assert len(dev) == 4 and len(fit) == 16 and not set(fit.names) & set(dev.names)
    assert all(name.startswith("val") for name in store.test().names)
    again = store.development(split_seed=0, dev_share=0.2)[1]
    other = store.development(split_seed=1, dev_share=0.2)[1]
    assert again.names == dev.names != other.names


def test_the_draw_is_stratified_and_keeps_groups_whole():
    pixels = np.zeros((100, 3), int)
    pixels[:, 0] = 1
    pixels[:10, 2] = 5  # rare: in 10 images
    for seed in range(20):
        dev = draw_dev(pixels, None, share=0.2, seed=seed)
        assert len(dev) == 20 and (dev < 10).sum() == 2
    groups = [f"g{i // 10}" for i in range(100)]
    dev = draw_dev(pixels, groups, share=0.2, seed=0)
    chosen = {groups[i] for i in dev}
    assert len(dev) == 20 and all((groups[i] in chosen) == (i in dev) for i in range(100))


def test_store_is_made_once_and_follows_the_files(folder, tmp_path):
    first = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    calls = []
    again = build_store(
        open_folder(folder), tmp_path / "store", max_side=None, progress=lambda *a: calls.append(a)
    )
    assert again.fingerprint == first.fingerprint and not calls
    path = folder / "JPEGImages/train_00.jpg"
    with Image.open(path) as picture:
        size = picture.size
    Image.new("RGB", size).save(path)
    changed = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    assert changed.fingerprint != first.fingerprint


def test_max_side_reduces(folder, tmp_path):
    store = build_store(open_folder(folder), tmp_path / "store", max_side=20)
    fit, _ = store.development(split_seed=0, dev_share=0.2)
    assert fit.sizes.max() == 20 and set(np.unique(fit[0][1])) <= {0, 1, 2, 255}


def test_identity_warp_is_a_plain_crop():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    mask = rng.integers(0, 5, (24, 24), dtype=np.uint8)
    pixels, labels, colour = crop(image, mask, PLAIN, np.random.default_rng(1))
    assert np.array_equal(pixels, image) and np.array_equal(labels, mask)
    assert np.allclose(colour, np.eye(3, 4))


def test_outside_is_void_and_labels_stay_labels():
    image = np.full((10, 10, 3), 200, np.uint8)
    mask = np.full((10, 10), 7, np.uint8)
    wild = Augmentation(crop_px=32, scale_min=0.5, scale_max=2, rotation_deg=45)
    for seed in range(20):
        pixels, labels, _ = crop(image, mask, wild, np.random.default_rng(seed))
        assert set(np.unique(labels)) <= {7, 255} and (labels == 7).any() and (labels == 255).any()
        outside = pixels[labels == 255].mean(0)
        assert abs(outside[0] - 124) < 40  # the mean colour, not black or white


def test_warp_turns_image_and_mask_alike():
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 5:20] = 1
    image = np.repeat(mask[..., None] * 255, 3, axis=2)
    wild = Augmentation(crop_px=40, scale_min=0.7, scale_max=1.4, rotation_deg=30, flip=True)
    for seed in range(10):
        pixels, labels, _ = crop(image, mask, wild, np.random.default_rng(seed))
        inside = labels != 255
        assert ((pixels[..., 0] > 127) == (labels == 1))[inside].mean() > 0.97


def test_matrix_scales_and_mirrors():
    double = Augmentation(crop_px=10, scale_min=2, scale_max=2, rotation_deg=0, flip=True)
    signs = set()
    for seed in range(20):
        a, b, c, d, e, f = warp_matrix(10, 10, double, np.random.default_rng(seed))
        assert (abs(a), b, d, e) == (0.5, 0, 0, 0.5)
        assert 0 <= min(c, c + 10 * a) and max(c, c + 10 * a) <= 10
        signs.add(np.sign(a))
    assert signs == {-1.0, 1.0}


def test_colour_keeps_grey_under_hue_and_saturation():
    only = Augmentation(crop_px=8, brightness=0, contrast=0, saturation=0.5, hue_deg=60)
    matrix = colour_matrix(90.0, only, np.random.default_rng(3))
    assert np.allclose(matrix[:, :3] @ [50, 50, 50] + matrix[:, 3], 50)
    assert not np.allclose(matrix[:, :3] @ [90, 50, 10] + matrix[:, 3], [90, 50, 10], atol=1)


def test_batches_are_paired_by_seed_and_whole(folder, tmp_path):
    store = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    fit, _ = store.development(split_seed=0, dev_share=0.2)
    wild = Augmentation(crop_px=16)

    def batches(seed, n_threads, epoch=1):
        sampler = CropSampler(fit, wild, batch_size=3, seed=seed, n_threads=n_threads)
        return [(x.numpy(), y.numpy()) for x, y in sampler(epoch)]

    one, three = batches(5, 1), batches(5, 3)
    assert len(one) == len(three) == 2 and one[0][0].shape == (3, 3, 16, 16)
    for (x, y), (u, v) in zip(one, three, strict=True):
        assert np.array_equal(x, u) and np.array_equal(y, v)
    assert not np.array_equal(one[0][0], batches(6, 1)[0][0])
    assert not np.array_equal(one[0][0], batches(5, 1, epoch=2)[0][0])
    assert len(CropSampler(fit, wild, batch_size=99, seed=0)) == 1


def test_void_learnt_as_a_class_is_not_what_lies_outside():
    image = np.full((10, 10, 3), 200, np.uint8)
    mask = np.zeros((10, 10), np.uint8)
    mask[:5] = 255
    wild = Augmentation(crop_px=32, scale_min=1, scale_max=1.5, rotation_deg=45)
    for seed in range(10):
        ignored = crop(image, mask, wild, np.random.default_rng(seed))[1]
        learnt = crop(image, mask, wild, np.random.default_rng(seed), 3)[1]
        everywhere = crop(image, np.zeros_like(mask), wild, np.random.default_rng(seed))[1]
        assert set(np.unique(learnt)) == {0, 3, 255}
        assert np.array_equal(learnt == 255, everywhere == 255)
        assert np.array_equal((learnt == 255) | (learnt == 3), ignored == 255)


def test_copies_and_suspicious_masks_are_found(folder, tmp_path):
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    for source, target in (("train_00", "test_01"), ("train_01", "train_02")):
        shutil.copy(images / f"{source}.jpg", images / f"{target}.jpg")
        shutil.copy(masks / f"{source}.png", masks / f"{target}.png")

    def change(name, new, palette=None):
        with Image.open(masks / name) as label:
            result = Image.fromarray(new(np.array(label)))
            result.putpalette(palette or label.getpalette())
        result.save(masks / name)

    palette = voc_palette().ravel().tolist()
    palette[3:6] = 1, 2, 3
    change("train_03.png", lambda m: m, palette)
    change("train_05.png", np.zeros_like)
    change("val_00.png", lambda m: np.full_like(m, 255))

    def interpolated(mask):  # 0 -> 1 -> 2 at every edge
        mask[:, :] = 0
        mask[:, 9], mask[:, 10:20], mask[:, 20] = 1, 2, 1
        return mask

    change("test_00.png", interpolated)
    store = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    splits = {"fit": fit, "dev": dev, "test": store.test()}
    assert copies(splits) == [
        (("fit/train_00", "test/test_01"), True),
        (("fit/train_01", "fit/train_02"), False),
    ]
    assert suspicious(splits) == [
        ("fit", "train_03", "label 1 (square) has colour #010203, in most masks #800000"),
        ("fit", "train_05", "only background"),
        ("dev", "val_00", "all void"),
        (
            "test",
            "test_00",
            "100% of the edges pass through a value between, as after interpolation or a JPEG",
        ),
    ]
