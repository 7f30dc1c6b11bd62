"""What is done to a good folder of images and masks; each gives, or is, a function of its root."""

import io
import os
import shutil

import numpy as np
from PIL import Image


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


def bomb(side):
    """A few hundred KB of PNG that unpack to side x side pixels."""
    buffer = io.BytesIO()
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    Image.new("1", (side, side)).save(buffer, "PNG")
    Image.MAX_IMAGE_PIXELS = before
    return buffer.getvalue()
