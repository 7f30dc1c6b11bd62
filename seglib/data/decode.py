"""An image and its mask, decoded and checked: nothing is guessed, what could be misread is refused.

Knows nothing of tensors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from seglib.data.folder import Folder
from seglib.data.masks import Marks, check_size, look_at, numbering
from seglib.data.pictures import MAX_BYTES, as_labels, as_rgb, open_picture
from seglib.data.plain import DataError, read_plain
from seglib.data.twins import picture_hash
from seglib.metrics import VOID


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
    image = _hash(read_plain(folder.image_path(name), limit=MAX_BYTES))
    return image, _hash(read_plain(folder.mask_path(name), limit=MAX_BYTES))


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
    opened, label = open_picture(image_path), open_picture(mask_path)
    mask = as_labels(label, mask_path)
    if wrong := check_size(mask_path, label.image.size, opened.image.size):
        raise DataError(wrong)
    picture = as_rgb(opened, image_path)
    palette = label.image.getpalette("RGB") if label.image.mode == "P" else None
    marks = look_at(mask, palette)
    _check_labels(marks, mask_path, len(folder.classes))
    if max_side and max(picture.size) > max_side:
        ratio = max_side / max(picture.size)
        width, height = (max(1, round(side * ratio)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        mask = np.asarray(label.image.resize((width, height), Image.Resampling.NEAREST))
    files = hashlib.sha256(opened.content)
    files.update(label.content)
    image = np.asarray(picture)
    pixels = hashlib.sha256(repr(image.shape).encode())
    pixels.update(np.ascontiguousarray(image).data)
    return Sample(
        image=image,
        mask=mask,
        files=files.hexdigest(),
        hashes=(_hash(opened.content), _hash(label.content)),
        pixels=pixels.hexdigest()[:32],
        looks=picture_hash(picture),
        marks=marks,
    )
