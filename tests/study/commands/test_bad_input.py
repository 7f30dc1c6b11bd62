"""Bad data, weights and disks through the real command line: one line, exit 2, nothing written."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

import runs
from seglib.models import build_model, weights

ROOT = Path(__file__).parents[3]
TINY = [
    "--matrix",
    "losses",
    "--seeds",
    "1",
    "--set",
    "epochs=1",
    "--set",
    "width=4",
    "--set",
    "crop_px=32",
    "--set",
    "precision=fp32",
]
PRETRAINED = ["--only", "init=pretrained", "--seeds", "1", "--set", "epochs=1"]


def image(change, name="train_00.jpg"):
    """A change of one image: Image -> Image, or bytes -> bytes."""

    def harm(root):
        path = root / "JPEGImages" / name
        content = path.read_bytes()
        result = change(Image.open(io.BytesIO(content)), content)
        if isinstance(result, bytes):
            path.write_bytes(result)
            return
        if result.mode in ("RGBA", "LA", "I;16"):
            path.unlink()
            path = path.with_suffix(".png")
        result.save(path, exif=result.info.get("exif", b""))

    return harm


def mask(change, name="train_00.png", **options):
    """A change of one mask's class ids, (H, W) uint8 -> array or Image."""

    def harm(root):
        path = root / "SegmentationClass" / name
        with Image.open(path) as label:
            result = change(np.array(label))
        if isinstance(result, np.ndarray):
            result = Image.fromarray(result)
        result.save(path, **{"format": "PNG"} | options)

    return harm


def listing(text, name="train"):
    return lambda root: (root / f"ImageSets/Segmentation/{name}.txt").write_text(text)


def rewrite(name, text):
    return lambda root: (root / name).write_text(text)


def transparent(picture, _):
    picture.putalpha(Image.new("L", picture.size, 128))
    return picture


def turned(picture, _):
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.info["exif"] = exif.tobytes()
    return picture


def remove(*names):
    def harm(root):
        for name in names:
            (root / name).unlink()

    return harm


def link_out(root):
    target = root.parent / "outside.jpg"
    shutil.move(root / "JPEGImages/train_00.jpg", target)
    (root / "JPEGImages/train_00.jpg").symlink_to(target)


def link_folder_out(root):
    shutil.move(root / "SegmentationClass", root.parent / "masks")
    (root / "SegmentationClass").symlink_to(root.parent / "masks")


def link_to_nothing(root):
    link_out(root)
    (root.parent / "outside.jpg").unlink()


def link_to_itself(root):
    path = root / "JPEGImages/train_00.jpg"
    path.unlink()
    path.symlink_to(path)


def pipe(name):
    def harm(root):
        (root / name).unlink(missing_ok=True)
        os.mkfifo(root / name)  # reading it would wait for ever

    return harm


def second_file(root):
    Image.new("RGB", (9, 9)).save(root / "JPEGImages/val_00.png")


def unreadable(root):
    path = root / "JPEGImages/train_01.jpg"
    path.unlink()
    path.mkdir()


ALL = "\n".join(f"train_{i:02d}" for i in range(8))

BAD_FOLDERS = {
    "image missing": (
        remove("JPEGImages/train_03.jpg", "JPEGImages/val_01.jpg"),
        "JPEGImages must hold every listed image, 2 of 16 missing: train_03.jpg, val_01.jpg",
    ),
    "mask missing": (
        remove("SegmentationClass/val_00.png"),
        "SegmentationClass must hold every listed image, 1 of 16 missing: val_00.png",
    ),
    "folder of images missing": (
        lambda root: shutil.rmtree(root / "JPEGImages"),
        "16 of 16 missing: train_00.jpg, train_01.jpg, train_02.jpg",
    ),
    "list missing": (
        remove("ImageSets/Segmentation/train.txt"),
        "must hold train.txt with val.txt, test.txt or both, got test",
    ),
    "a folder instead of an image": (unreadable, "1 of 16 missing: train_01.jpg"),
    "two files of one name": (second_file, "must hold one file a name, got val_00.jpg, val_00.png"),
    "mask of another size": (
        mask(lambda m: m[:8, :8]),
        "train_00.png must have the size of its image, got 8x8 against 4",
    ),
    "label too high": (
        mask(lambda m: np.full_like(m, 3)),
        "train_00.png must hold labels below 3 (the number of classes) or 255 for void, got 3",
    ),
    "class list too short": (
        rewrite("classes.txt", "background\nsquare\n"),
        "must hold labels below 2 (the number of classes)",
    ),
    "classes twice": (rewrite("classes.txt", "a\na\nb\n"), "classes.txt names a twice"),
    "empty class": (
        rewrite("classes.txt", "background\n\nstripe\n"),
        "classes.txt must name one class a line, got an empty name on line 2",
    ),
    "escape codes in a class": (
        rewrite("classes.txt", "background\na\x1b[2J\nb\n"),
        "at most 100 printable characters, one of them a letter or digit",
    ),
    "a class of dots": (rewrite("classes.txt", "background\n..\nb\n"), "got '..'"),
    "one class": (rewrite("classes.txt", "background\n"), "must name 2 to 254 classes, got 1"),
    "classes not text": (
        lambda root: (root / "classes.txt").write_bytes(b"\xff\xfe\x00"),
        "classes.txt must be a readable UTF-8 text file",
    ),
    "RGB mask": (
        mask(lambda m: np.stack([m] * 3, -1)),
        "train_00.png must hold class ids (a palette or 8-bit grey PNG), got PNG of mode RGB",
    ),
    "16-bit mask": (mask(lambda m: m.astype(np.uint16)), "got PNG of mode I;16B"),
    "mask of 4 grey bits": (
        mask(lambda m: Image.fromarray(m % 2 * 255).convert("1")),
        "got PNG of mode 1",
    ),
    "JPEG as mask": (mask(lambda m: m, format="JPEG"), "got JPEG of mode L"),
    "truncated image": (
        image(lambda _, content: content[:200]),
        "train_00.jpg must be a readable image",
    ),
    "truncated mask": (
        lambda root: (root / "SegmentationClass/test_01.png").write_bytes(
            (root / "SegmentationClass/test_01.png").read_bytes()[:60]
        ),
        "test_01.png must be a readable image",
    ),
    "not an image": (
        image(lambda *_: b"<html>not found</html>"),
        "train_00.jpg must be a readable JPEG or PNG file, got something else",
    ),
    "empty image": (image(lambda *_: b""), "train_00.jpg must be a readable JPEG or PNG file"),
    "decompression bomb": (
        image(lambda *_: bomb(20_000)),
        "train_00.jpg must have at most 89478485 pixels, got more",
    ),
    "small bomb": (image(lambda *_: bomb(10_000)), "must have at most 89478485 pixels, got more"),
    "CMYK": (
        image(lambda picture, _: picture.convert("CMYK")),
        "train_00.jpg must be an 8-bit RGB or grey image, got mode CMYK",
    ),
    "16-bit image": (
        image(lambda picture, _: Image.fromarray(np.full(picture.size[::-1], 40_000, np.uint16))),
        "train_00.png must be an 8-bit RGB or grey image, got mode I;16",
    ),
    "transparent": (image(transparent), "train_00.png must be opaque, got transparent pixels"),
    "turned by EXIF": (image(turned), "train_00.jpg must be stored upright, got EXIF orientation"),
    "empty list": (listing(""), "train.txt must name at least 2 images, one a line, got an empty"),
    "list on one line": (
        listing(ALL.replace("\n", " ")),
        "train.txt must name at least 2 images, one a line, got 1",
    ),
    "list of one": (listing("val_00\n", "val"), "val.txt must name at least 2 images"),
    "two columns": (
        listing(ALL.replace("\n", " 1\n")),
        "7 of 16 missing: train_00 1.jpg, train_01 1.jpg",
    ),
    "twice in a list": (
        listing("train_00\ntrain_01\ntrain_00\n"),
        "train.txt names train_00 twice",
    ),
    "in two lists": (
        listing("train_00\nval_00\n"),
        "train.txt and val.txt must not share images, got 1 in both: val_00",
    ),
    "upwards": (listing("../secret\ntrain_01\n"), "plain image names without folders, got '../sec"),
    "absolute": (listing("/etc/passwd\ntrain_01\n"), "without folders, got '/etc/passwd'"),
    "with suffix": (
        listing("train_00.jpg\ntrain_01.jpg\n"),
        "train.txt must hold image names without suffix, got 'train_00.jpg'",
    ),
    "a link to nothing": (link_to_nothing, "1 of 16 missing: train_00.jpg"),
    "a link to itself": (link_to_itself, "train_00.jpg"),
    "a pipe as a list": (pipe("ImageSets/Segmentation/val.txt"), "val.txt must be a readable"),
    "a pipe as classes": (pipe("classes.txt"), "classes.txt must be a readable UTF-8 text file"),
    "a pipe as groups": (pipe("groups.txt"), "groups.txt must be a readable UTF-8 text file"),
    "a pipe as an image": (pipe("JPEGImages/train_00.jpg"), "1 of 16 missing: train_00.jpg"),
    "groups missing": (
        rewrite("groups.txt", "train_00 g\n"),
        "groups.txt must give every listed image a group, 15 have none: train_01",
    ),
    "group twice": (rewrite("groups.txt", "train_00 g\ntrain_00 h\n"), "names train_00 twice"),
    "group without name": (
        rewrite("groups.txt", "train_00\n"),
        "groups.txt must hold '<name> <group>' a line, got 'train_00' on line",
    ),
    "one training group": (
        lambda root: (
            remove("ImageSets/Segmentation/test.txt")(root),
            rewrite(
                "groups.txt", "".join(f"{p.stem} g\n" for p in (root / "JPEGImages").iterdir())
            )(root),
        ),
        "groups.txt must give the training images at least 2 groups",
    ),
    "test all void": (
        lambda root: [
            mask(lambda m: np.full_like(m, 255), f"test_{i:02d}.png")(root) for i in range(4)
        ],
        "the test masks of tiny must show a class, got only void (255)",
    ),
    "dev all void": (
        lambda root: [
            mask(lambda m: np.full_like(m, 255), f"val_{i:02d}.png")(root) for i in range(4)
        ],
        "the dev masks of tiny must show a class, got only void (255)",
    ),
    "0 and 255": (
        lambda root: [
            mask(lambda m: np.where(m > 0, 255, 0).astype(np.uint8), p.name)(root)
            for p in (root / "SegmentationClass").iterdir()
        ],
        "must show at least 2 classes, got only background; 255 is void",
    ),
}


def bomb(side):
    """A few hundred KB of PNG that unpack to side x side pixels."""
    buffer = io.BytesIO()
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    Image.new("1", (side, side)).save(buffer, "PNG")
    Image.MAX_IMAGE_PIXELS = before
    return buffer.getvalue()


def refused(words, capfd) -> str:
    """The one line on stderr of a command that exits with 2."""
    assert runs.main([str(word) for word in words]) == 2
    error = capfd.readouterr().err
    assert error.startswith("runs.py: ") and error.count("\n") == 1, error
    return error


@pytest.mark.slow
@pytest.mark.parametrize("harm, message", BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_bad_folder(folder, tmp_path, capfd, harm, message):
    out = tmp_path / "out"
    harm(folder)
    error = refused(["--grid", "--data", folder, "--out", out, *TINY], capfd)
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
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *TINY], capfd)
    assert "GB free for the decoded images, got 0.0 GB" in error
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_disk_full_while_decoding(folder, tmp_path, capfd, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "bincount", full)  # called for every image, after its pixels
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *TINY], capfd)
    assert "No space left on device" in error
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def encoder(change=lambda state: state):
    return lambda path: torch.save(
        change(build_model("resnetunet", n_classes=2).encoder.state_dict()), path
    )


def without(name):
    return lambda state: {k: v for k, v in state.items() if k != name}


class Exploding:
    """Pickled code: unpickling it would run `os.mkdir`."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


BAD_WEIGHTS = {
    "missing": (lambda path: None, "no such file"),
    "of another shape": (
        encoder(lambda s: s | {"conv1.weight": torch.zeros(64, 1, 7, 7)}),
        "1 of another shape (conv1.weight)",
    ),
    "without a layer": (
        encoder(without("layer1.0.conv1.weight")),
        "1 missing (layer1.0.conv1.weight)",
    ),
    "with more": (
        encoder(lambda s: s | {"layer5.weight": torch.zeros(1)}),
        "1 unexpected (layer5.weight)",
    ),
    "pickled code": (lambda path: torch.save(Exploding(), path), "must be a state dict of tensors"),
    "a whole module": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "must be a state dict of tensors",
    ),
    "not a weights file": (
        lambda path: path.write_bytes(b"hello"),
        "must be a state dict of tensors",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("make, message", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(folder, tmp_path, capfd, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    path, out = tmp_path / "encoder.pth", tmp_path / "out"
    make(path)
    error = refused(
        ["--grid", "--data", folder, "--out", out, "--pretrained", path, *PRETRAINED], capfd
    )
    assert message in error and str(path) in error
    assert not list(out.rglob("study.json")) and not list(out.rglob("runs"))
    assert not (tmp_path / "exploded").exists()


def test_imagenet_weights_out_of_reach(folder, tmp_path, capfd, monkeypatch):
    def offline(url, path):
        Path(path).write_bytes(b"half a file")
        raise URLError("no network")

    monkeypatch.setattr(
        weights.resolve_weights,
        "__kwdefaults__",
        weights.resolve_weights.__kwdefaults__ | {"download": offline},
    )
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *PRETRAINED], capfd)
    url = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"could not download {url}" in error
    assert f"put the file at {weights.cache_dir() / 'resnet18-f37072fd.pth'}" in error
    assert not list(weights.cache_dir().glob("*"))
    assert not list((tmp_path / "out").rglob("study.json"))
    (weights.cache_dir() / "resnet18-f37072fd.pth").write_bytes(b"another file")
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *PRETRAINED], capfd)
    assert "must have a sha256 beginning with f37072fd" in error


GOOD = {
    "grey image": image(lambda picture, _: picture.convert("L")),
    "opaque alpha": image(lambda picture, _: (picture.putalpha(255), picture)[1]),
    "grey mask": mask(lambda m: m),
    "upper-case suffix": lambda root: (root / "JPEGImages/train_00.jpg").rename(
        root / "JPEGImages/train_00.JPG"
    ),
    "windows lines": listing(ALL.replace("\n", "\r\n") + "\r\n\r\n"),
    "a space in a name": lambda root: (
        (root / "JPEGImages/train_00.jpg").rename(root / "JPEGImages/my image.jpg"),
        (root / "SegmentationClass/train_00.png").rename(root / "SegmentationClass/my image.png"),
        listing(ALL.replace("train_00", "my image"))(root),
    ),
    "a link": link_out,  # data sets are often made of links
    "a folder that is a link": link_folder_out,
}


@pytest.mark.slow
@pytest.mark.parametrize("harm", GOOD.values(), ids=GOOD)
def test_accepted(folder, tmp_path, capfd, harm):
    harm(folder)
    assert runs.main(["--check", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert capfd.readouterr().err == ""
