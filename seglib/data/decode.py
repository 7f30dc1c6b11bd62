"""An image and its mask, decoded and checked: nothing is guessed, what could be misread is refused.

Knows nothing of tensors.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from seglib.data.folder import Folder
from seglib.data.lists import DataError
from seglib.data.masks import Marks, check_size, look_at, numbering
from seglib.data.twins import picture_hash
from seglib.metrics import VOID

EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Sample:
    """One decoded image with its mask and what was seen while decoding."""

    image: npt.NDArray[np.uint8]  # (H, W, 3) uint8
    mask: npt.NDArray[np.uint8]  # (H, W) uint8 in [0, C) or 255
    files: str  # sha256 of both files
    hashes: tuple[str, str]  # `file_hashes`
    pixels: str  # hash of size and pixels of the image: equal for copies under other names
    looks: str  # `twins.picture_hash`: nearly equal for images that look alike
    marks: Marks  # what was counted in the mask, before it was reduced


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def file_hashes(folder: Folder, name: str) -> tuple[str, str]:
    """Hashes of the bytes of an image's file and of its mask's, as they are now."""
    return (_hash(folder.image_path(name).read_bytes()), _hash(folder.mask_path(name).read_bytes()))


def _open(path: Path) -> tuple[Image.Image, str, bytes]:
    """A loaded picture, how its pixels lie in the file ("RGB", "L;4", ...), the file's bytes."""
    try:
        content = path.read_bytes()
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        args = picture.tile[0].args if picture.tile else ""
        picture.load()
        orientation = picture.getexif().get(EXIF_ORIENTATION, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path} must have at most {Image.MAX_IMAGE_PIXELS} pixels, got more; reduce it"
        ) from None
    except UnidentifiedImageError:
        raise DataError(f"{path} must be a readable JPEG or PNG file, got something else") from None
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path} must be a readable image: {error}; save it again") from None
    if orientation not in (0, 1):
        raise DataError(
            f"{path} must be stored upright, got EXIF orientation {orientation} (image "
            "and mask could disagree); turn the pixels and remove the tag"
        )
    return picture, str(args[0] if isinstance(args, tuple) else args or ""), content


def _rgb(picture: Image.Image, path: Path) -> Image.Image:
    """The image as 8-bit RGB where that says the same; refused where it would not."""
    if picture.mode not in ("RGB", "L", "P", "1", "LA", "PA", "RGBA"):
        raise DataError(
            f"{path} must be an 8-bit RGB or grey image, got mode {picture.mode}; "
            "convert it to 8-bit RGB"
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise DataError(
                f"{path} must be opaque, got transparent pixels; save it without an alpha channel"
            )
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # else a copy


def _check_labels(marks: Marks, path: Path, n_classes: int) -> None:
    """Each label that occurs in a mask must be a class's, or void."""
    found = np.flatnonzero(marks.pixels).tolist()
    if bad := [label for label in found if label >= n_classes and label != VOID]:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        advice = numbering(found, n_classes)
        raise DataError(
            f"{path} must hold labels below {n_classes} (the number of classes) or "
            f"{VOID} for void, got {', '.join(map(str, bad[:5]))}{more}"
            + (f"; {advice}" if advice else "")
        )


def decode(folder: Folder, name: str, *, max_side: int | None) -> Sample:
    """One image with its mask, checked, reduced so that its longer side is at most `max_side`.

    Raises: DataError naming the file.
    """
    image_path, mask_path = folder.image_path(name), folder.mask_path(name)
    picture, _, image_bytes = _open(image_path)
    label, raw_mode, mask_bytes = _open(mask_path)
    # a grey PNG of 1, 2 or 4 bits would be stretched to 0-255
    if label.format != "PNG" or raw_mode not in ("L", "P", "P;1", "P;2", "P;4"):
        raise DataError(
            f"{mask_path} must hold class ids (a palette or 8-bit grey PNG), got "
            f"{label.format} of mode {raw_mode or label.mode}"
        )
    if wrong := check_size(mask_path, label.size, picture.size):
        raise DataError(wrong)
    picture = _rgb(picture, image_path)
    mask = np.asarray(label)
    marks = look_at(mask, label.getpalette("RGB") if label.mode == "P" else None)
    _check_labels(marks, mask_path, len(folder.classes))
    if max_side and max(picture.size) > max_side:
        ratio = max_side / max(picture.size)
        width, height = (max(1, round(side * ratio)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        mask = np.asarray(label.resize((width, height), Image.Resampling.NEAREST))
    files = hashlib.sha256(image_bytes)
    files.update(mask_bytes)
    image = np.asarray(picture)
    pixels = hashlib.sha256(repr(image.shape).encode())
    pixels.update(np.ascontiguousarray(image).data)
    return Sample(
        image=image,
        mask=mask,
        files=files.hexdigest(),
        hashes=(_hash(image_bytes), _hash(mask_bytes)),
        pixels=pixels.hexdigest()[:32],
        looks=picture_hash(picture),
        marks=marks,
    )
