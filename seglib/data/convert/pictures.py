"""Pictures of a source: an image as bytes to write, a mask as the values in it; or refused by name.

Nothing is rounded, stretched or blended: what 8-bit RGB or class values would not hold is refused.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from seglib.data.lists import DataError
from seglib.data.pictures import EXIF_ORIENTATION, MAX_BYTES, what_it_is
from seglib.data.plain import read_plain

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
STRETCH = {"L;2": 85, "L;4": 17}  # what Pillow multiplies grey values of few bits by


class Opened(NamedTuple):
    """A loaded picture, how its pixels lie in the file, its bytes and EXIF orientation."""

    picture: Image.Image
    raw_mode: str
    content: bytes
    orientation: int


@dataclass(frozen=True)
class Ready:
    """An image as it is written."""

    content: bytes
    suffix: str
    how: str  # "" for a copy; else why it was saved again


def _open(path: Path) -> Opened:
    content = read_plain(path, limit=MAX_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            args = picture.tile[0].args if picture.tile else ""
            turned_by_pillow = picture.format == "TIFF" and picture.getexif().get(
                EXIF_ORIENTATION, 1
            )
            frames = getattr(picture, "n_frames", 1)
            picture.load()
            orientation = int(turned_by_pillow or picture.getexif().get(EXIF_ORIENTATION, 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path} must have at most {Image.MAX_IMAGE_PIXELS} pixels, got more; reduce it"
        ) from None
    except UnidentifiedImageError:
        got, remedy = what_it_is(content)
        if "--convert" in remedy:  # of a format that is read here
            got, remedy = got.replace("a ", "a damaged ", 1), "copy or save it again"
        raise DataError(
            f"{path} must be a picture ({', '.join(FORMATS)}), got {got}; {remedy}"
        ) from None
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path} must be a readable picture: {error}; save it again") from None
    if frames > 1 and picture.format != "MPO":  # in an MPO, others are previews
        raise DataError(f"{path} must hold one picture, got {frames} pages; save them singly")
    raw_mode = str(args[0] if isinstance(args, tuple) else args or "")
    if "16" in raw_mode and picture.mode in ("RGB", "RGBA", "LA", "L"):
        raise DataError(f"{path} must have 8 bits a channel, got 16; convert it to 8-bit RGB")
    if picture.format == "TIFF" and orientation > 1:
        raise DataError(
            f"{path} must be stored upright, got a TIFF of orientation {orientation}; turn the "
            "pixels and remove the tag"
        )
    return Opened(picture, raw_mode, content, orientation if 1 <= orientation <= 8 else 1)


def _opaque(picture: Image.Image, path: Path) -> Image.Image:
    """Without an alpha channel that says nothing; refused where it says something."""
    if picture.has_transparency_data:
        alpha = picture.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise DataError(
                f"{path} must be opaque, got transparent pixels; save it without an alpha channel"
            )
        plain = {"LA": "L", "RGBA": "RGB", "PA": "P"}.get(picture.mode, picture.mode)
        return picture.convert(plain) if plain != picture.mode else picture
    return picture


def read_image(path: Path, size: tuple[int, int]) -> Ready:
    """An image for a mask of `size` (width, height): its own bytes where a study can read them.

    Raises: DataError naming the file.
    """
    picture, _, content, orientation = _open(path)
    if picture.mode not in ("RGB", "L", "P", "1", "LA", "PA", "RGBA"):
        raise DataError(
            f"{path} must be an 8-bit RGB or grey image, got mode {picture.mode}; convert it to "
            "8-bit RGB"
        )
    turned = picture.size[::-1] if orientation in SIDEWAYS else picture.size
    if size not in (picture.size, turned):
        raise DataError(
            f"{path} must have the size of its mask, got {picture.size[0]}x{picture.size[1]} "
            f"against {size[0]}x{size[1]}; resize neither, find the pair"
        )
    if orientation != 1:
        if turned == picture.size:
            raise DataError(
                f"{path} must be stored upright, got EXIF orientation {orientation} and a mask "
                "whose size does not tell which way it was drawn; turn the pixels and remove "
                "the tag"
            )
        why = "kept as stored, as its mask is" if size == picture.size else "turned by EXIF"
        upright = picture if size == picture.size else ImageOps.exif_transpose(picture)
        return _as_png(_opaque(upright, path), why)
    if picture.format in ("JPEG", "MPO"):
        return Ready(content, ".jpg", "")
    if picture.format == "PNG" and picture.mode in ("RGB", "L"):
        if not picture.has_transparency_data:
            return Ready(content, ".png", "")
    return _as_png(_opaque(picture, path), f"{picture.format} of mode {picture.mode}")


def _as_png(picture: Image.Image, how: str) -> Ready:
    """8-bit grey or RGB without any tag."""
    mode = "L" if picture.mode in ("L", "1") else "RGB"
    plain = Image.fromarray(np.asarray(picture.convert(mode)))
    buffer = io.BytesIO()
    plain.save(buffer, "PNG")
    return Ready(buffer.getvalue(), ".png", how)


class Values(NamedTuple):
    """What stands in a mask: one number a pixel, and the colours of a palette."""

    values: npt.NDArray[np.int32]  # (H, W); of a colour: 65536 r + 256 g + b
    coloured: bool
    palette: npt.NDArray[np.int32] | None  # (n,) colour of each value of a palette mask


def read_values(path: Path) -> Values:
    """The values of a mask as they lie in the file, nothing stretched.

    Raises: DataError naming the file.
    """
    picture, raw_mode, _, orientation = _open(path)
    if picture.format in ("JPEG", "MPO"):
        raise DataError(
            f"{path} must be a mask saved without loss, got a JPEG, whose edges hold values "
            "between; export the masks again as PNG"
        )
    if orientation != 1:
        raise DataError(
            f"{path} must be stored upright, got EXIF orientation {orientation}; turn the pixels "
            "and remove the tag"
        )
    if picture.mode == "P":
        colours = np.array(picture.getpalette("RGB"), np.int32).reshape(-1, 3)
        return Values(np.asarray(picture).astype(np.int32), False, _coded(colours))
    picture = _opaque(picture, path)
    if picture.mode == "RGB":
        return Values(_coded(np.asarray(picture).astype(np.int32)), True, None)
    if picture.mode not in ("1", "L", "I", "F") and not picture.mode.startswith("I;16"):
        raise DataError(
            f"{path} must be a grey, palette or RGB mask, got mode {picture.mode}; export it as PNG"
        )
    values = np.asarray(picture)
    if picture.mode == "F" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise DataError(f"{path} must hold whole numbers, got fractions; export class ids")
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"{path} must hold values of 0 to 65535, got {values.min():g} to more")
    return Values(values.astype(np.int32) // STRETCH.get(raw_mode, 1), False, None)


def _coded(colours: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """(..., 3) -> (...)."""
    coded: npt.NDArray[np.int32] = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    return coded
