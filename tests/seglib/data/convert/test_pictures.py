"""Images: copied where a study reads them as they are, else saved again without loss."""

import numpy as np
import pytest
from PIL import Image

from seglib.data.convert import convert
from seglib.data.convert.pictures import read_image
from tests.seglib.data.convert import made


def oriented(path, number, pixels):
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def written(path, size):
    import io

    ready = read_image(path, size)
    return ready, np.asarray(Image.open(io.BytesIO(ready.content)))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.jpeg", "a.JPG"])
def test_copied_byte_for_byte(tmp_path, name):
    path = made.save(made.scene(0)[0], tmp_path / name)
    ready = read_image(path, (56, 40))
    assert ready.content == path.read_bytes() and ready.how == ""
    assert ready.suffix == (".png" if name == "a.png" else ".jpg")


def test_the_content_decides_not_the_suffix(tmp_path):
    path = made.save(made.scene(0)[0], tmp_path / "a.jpg")
    path = path.rename(tmp_path / "a.png")
    assert read_image(path, (56, 40)).suffix == ".jpg"


@pytest.mark.parametrize(
    "suffix, mode",
    [
        *((".bmp", mode) for mode in ("RGB", "L", "P", "1", "RGBA")),
        *((".tif", mode) for mode in ("RGB", "L", "P", "1", "RGBA", "LA")),
        *((".webp", mode) for mode in ("RGB", "L", "RGBA")),
        *((".png", mode) for mode in ("P", "1", "RGBA", "LA")),
    ],
)
def test_saved_again_without_loss(tmp_path, suffix, mode):
    picture = Image.fromarray(made.scene(0)[0]).convert(mode)
    more = {"lossless": True} if suffix == ".webp" else {}
    picture.save(tmp_path / f"a{suffix}", **more)
    ready, pixels = written(tmp_path / f"a{suffix}", (56, 40))
    expected = np.asarray(picture.convert("RGB"))
    assert ready.suffix == ".png" and ready.how
    assert np.array_equal(pixels if pixels.ndim == 3 else np.dstack([pixels] * 3), expected)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_turned_where_the_mask_is(tmp_path, orientation):
    from PIL import ImageOps

    path = oriented(tmp_path / "a.jpg", orientation, made.scene(0)[0])
    ready, pixels = written(path, (40, 56))
    assert pixels.shape == (56, 40, 3) and ready.how == "turned by EXIF"
    assert np.array_equal(pixels, np.asarray(ImageOps.exif_transpose(Image.open(path))))
    ready, pixels = written(path, (56, 40))
    assert pixels.shape == (40, 56, 3) and "as its mask is" in ready.how
    assert np.array_equal(pixels, np.asarray(Image.open(path)))


def test_what_was_done_to_how_many_is_said(tmp_path):
    source = made.pairs(tmp_path / "s")
    (source / "images/003.jpg").unlink()
    made.save(made.scene(3)[0], source / "images/003.bmp")
    oriented(source / "images/004.jpg", 6, np.rot90(made.scene(4)[0]).copy())
    done = convert(source, tmp_path / "new")
    assert (
        "images: 8 copied byte for byte; 2 saved again as PNG without loss (1 BMP of mode RGB, "
        "1 turned by EXIF)"
    ) in done.lines
    turned = np.asarray(Image.open(tmp_path / "new/JPEGImages/004.png")).astype(int)
    assert abs(turned - made.scene(4)[0]).mean() < 20
