"""Sources with a picture that is not read, for `bad_sources`."""

import numpy as np
from PIL import Image

from tests.seglib.data.convert import made


def mask(root, labels, i=3, suffix=".png"):
    return made.save(labels, root / f"masks/{i:03d}{suffix}")


def transparent_mask(root):
    mask(made.pairs(root), np.dstack([made.coloured(made.scene(3)[1]), made.scene(3)[1]]))


def sixteen_bit_image(root):
    made.pairs(root, image="images/{i:03d}.png")
    made.grey_png(made.scene(3)[0].astype(np.uint16) * 256, root / "images/003.png", 16)


def sixteen_bit_grey(root):
    made.pairs(root, image="images/{i:03d}.png")
    made.grey_png(made.scene(3)[1].astype(np.uint16), root / "images/003.png", 16)


def cmyk(root):
    made.pairs(root)
    Image.fromarray(made.scene(3)[0]).convert("CMYK").save(root / "images/003.jpg")


def transparent_image(root):
    made.pairs(root, image="images/{i:03d}.png")
    made.save(np.dstack([made.scene(3)[0], made.scene(3)[1]]), root / "images/003.png")


def pages(root):
    made.pairs(root, image="images/{i:03d}.tif")
    frames = [Image.fromarray(made.scene(i)[0]) for i in (3, 4)]
    frames[0].save(root / "images/003.tif", save_all=True, append_images=frames[1:])


def damaged(root):
    path = made.pairs(root) / "images/003.jpg"
    path.write_bytes(path.read_bytes()[:200])


def not_a_picture(root):
    (made.pairs(root) / "masks/003.png").write_text("mask")


def upside_down(root):
    made.pairs(root)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(made.scene(3)[0]).save(root / "images/003.jpg", exif=exif)
