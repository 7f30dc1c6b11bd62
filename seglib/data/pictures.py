"""One picture file, opened: an image's colours or a mask's class ids, or a refusal that says what
the file is. What could be misread is refused; docs/data.md has the table.

Knows nothing of data sets and tensors.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from seglib.data.plain import DataError, read_plain

EXIF_ORIENTATION = 0x0112
MAX_BYTES = 512 * 2**20  # of a file; 89 million pixels of RGB without compression are 268 MB
PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}
CONVERT = "python runs.py --convert SOURCE --to FOLDER"
# how other files begin -> what they are, what to do
OTHERS = (
    (b"BM", "a BMP", CONVERT),
    (b"II*\0", "a TIFF", CONVERT),
    (b"MM\0*", "a TIFF", CONVERT),
    (b"GIF8", "a GIF", CONVERT),
    (b"RIFF", "a WebP or another RIFF file", CONVERT),
    (b"\0\0\0\x0cjP", "a JPEG 2000", "save it as PNG"),
    (b"\x93NUMPY", "a NumPy array", "save it as PNG"),
    (b"version https://git-lfs", "a pointer of Git LFS", "run git lfs pull where it came from"),
    (b"PK", "a zip archive", "unpack it"),
    (b"%PDF", "a PDF", "save its pictures as PNG"),
)


class Picture(NamedTuple):
    """A picture with its pixels read."""

    image: Image.Image
    kind: str  # "an 8-bit RGB PNG", "a CMYK JPEG"
    png: tuple[int, int] | None  # of a PNG: bits a channel, colour type
    content: bytes  # of the file


def open_picture(path: Path) -> Picture:
    """Read a JPEG or PNG file.

    Raises: DataError where it is another file, damaged, too large, animated or not upright.
    """
    content = read_plain(path, limit=MAX_BYTES)
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError
        picture.load()
        orientation = picture.getexif().get(EXIF_ORIENTATION, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path} must have at most {Image.MAX_IMAGE_PIXELS} pixels, got more; reduce it"
        ) from None
    except UnidentifiedImageError:
        got, remedy = what_it_is(content)
        raise DataError(
            f"{path} must be a readable JPEG or PNG file, got {got}; {remedy}"
        ) from None
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path} must be a readable image: {error}; save it again") from None
    if orientation not in (0, 1):
        raise DataError(
            f"{path} must be stored upright, got EXIF orientation {orientation} (image "
            f"and mask could disagree); turn the pixels and remove the tag, or {CONVERT}"
        )
    if picture.format == "PNG" and getattr(picture, "is_animated", False):
        raise DataError(f"{path} must be one picture, got an animation; save one frame of it")
    if picture.format != "PNG":
        kind = {"L": "a grey JPEG", "RGB": "an RGB JPEG"}.get(
            picture.mode, f"a {picture.mode} JPEG"
        )
        return Picture(picture, kind, None, content)
    if content[12:16] != b"IHDR":
        raise DataError(f"{path} must begin with its header, got an iOS or damaged PNG; save again")
    bits, colours = content[24], content[25]
    article = "an" if bits == 8 else "a"
    return Picture(
        picture, f"{article} {bits}-bit {PNG_COLOURS[colours]} PNG", (bits, colours), content
    )


def what_it_is(content: bytes) -> tuple[str, str]:
    """What a file is that is no readable JPEG or PNG, and what to do."""
    if not content:
        return "an empty file", "copy it again"
    if content.startswith(b"\xff\xd8"):
        bits = _jpeg_bits(content)
        if bits not in (0, 8):
            return f"a JPEG of {bits} bits a channel", "save it with 8 bits"
        return "a damaged JPEG", "copy or save it again"
    if content.startswith(b"\x89PNG"):
        return "a damaged PNG", "copy or save it again"
    for start, what, remedy in OTHERS:
        if content.startswith(start):
            return what, remedy
    if content[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file", "save it as PNG or JPEG"
    if content[:100].isascii() and not any(byte < 9 for byte in content[:100]):
        line = content[:40].decode().splitlines()[0]
        return f"something else, text that begins {line!r}", "get the image itself"
    return "something else", "save it as PNG or JPEG"


def _jpeg_bits(content: bytes) -> int:
    """Bits a channel as the header of the first frame says, 0 where there is none."""
    at = 2
    while at + 5 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return content[at + 4]
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return 0


def as_rgb(opened: Picture, path: Path) -> Image.Image:
    """The image as 8-bit RGB where that says the same; refused where it would not.

    Raises: DataError.
    """
    picture, kind, png, _ = opened
    if png and png[0] == 16:
        raise DataError(
            f"{path} must be an 8-bit RGB or grey image, got {kind}: most of its values would be "
            "lost; map them to 0-255 (for all images alike) and save it with 8 bits"
        )
    if picture.mode not in ("RGB", "L", "P", "1", "LA", "RGBA"):
        raise DataError(f"{path} must be an 8-bit RGB or grey image, got {kind}; convert it to RGB")
    if picture.mode == "P" and len(picture.palette.palette if picture.palette else b"") < 3 * (
        1 + max(0, int(picture.getextrema()[1]))  # type: ignore[arg-type]
    ):
        raise DataError(f"{path} must have a colour for each of its values; save it again")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA").getchannel("A").getextrema() != (255, 255)
        # Pillow compares the transparent value of 1, 2 or 4 bits with values stretched to 255
        if clear or (png and png[0] < 8 and png[1] == 0):
            raise DataError(
                f"{path} must be opaque, got transparent pixels; save it without an alpha channel"
            )
        picture = picture.convert("RGBA")
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # else a copy


def as_labels(opened: Picture, path: Path) -> npt.NDArray[np.uint8]:
    """The class ids of a mask, (H, W) uint8; 255 is void.

    Raises: DataError where they are not written as such: colours, 16 bits, a JPEG, and grey of 1,
    2 or 4 bits, which readers stretch to 0-255.
    """
    _, kind, png, _ = opened
    if png is None:
        remedy = "JPEG changes labels: make it again as PNG from what it was made of"
    elif png[1] == 3 or png == (8, 0):
        return np.asarray(opened.image)
    else:
        remedy = f"write the ids 0, 1, ... as 8 bits, or {CONVERT}"
    raise DataError(
        f"{path} must hold class ids (a palette or 8-bit grey PNG), got {kind}; {remedy}"
    )


def colours_of(opened: Picture, labels: list[int]) -> dict[int, str]:
    """The colour (hex) of each label of a palette mask; nothing for a grey one."""
    palette = opened.image.getpalette("RGB") if opened.image.mode == "P" else None
    return {i: bytes(palette[3 * i : 3 * i + 3]).hex() for i in labels} if palette else {}


def labels_in(opened: Picture) -> list[int]:
    """The labels that occur in a mask; counted without widening its pixels."""
    return [label for label, n in enumerate(opened.image.histogram()) if n]
