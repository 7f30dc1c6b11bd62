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
from seglib.data.pictures import (
    MAX_BYTES,
    as_labels,
    as_rgb,
    colours_of,
    labels_in,
    open_picture,
)
from seglib.data.plain import DataError, read_plain
from seglib.metrics import VOID


@dataclass(frozen=True)
class Sample:
    """One decoded image with its mask and what was seen while decoding."""

    image: npt.NDArray[np.uint8]  # (H, W, 3) uint8
    mask: npt.NDArray[np.uint8]  # (H, W) uint8 in [0, C) or 255
    files: str  # sha256 of both files
    hashes: tuple[str, str]  # `file_hashes`
    pixels: str  # hash of size and pixels of the image: equal for copies under other names
    palette: dict[int, str]  # colour (hex) of each label that occurs, for a palette mask
    jump_share: float  # see `jump_share`


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def file_hashes(folder: Folder, name: str) -> tuple[str, str]:
    """Hashes of the bytes of an image's file and of its mask's, as they are now."""
    image = _hash(read_plain(folder.image_path(name), limit=MAX_BYTES))
    return image, _hash(read_plain(folder.mask_path(name), limit=MAX_BYTES))


def _check_labels(found: list[int], path: Path, n_classes: int) -> None:
    """Every label that occurs in a mask must be a class's, or void."""
    if bad := [label for label in found if label >= n_classes and label != VOID]:
        raise DataError(
            f"{path} must hold labels below {n_classes} (the number of classes) or "
            f"{VOID} for void, got {', '.join(map(str, bad[:5]))}"
        )


def decode(folder: Folder, name: str, *, max_side: int | None) -> Sample:
    """One image with its mask, checked, reduced so that its longer side is at most `max_side`.

    Raises: DataError naming the file.
    """
    image_path, mask_path = folder.image_path(name), folder.mask_path(name)
    opened, label = open_picture(image_path), open_picture(mask_path)
    mask = as_labels(label, mask_path)
    if label.image.size != opened.image.size:
        raise DataError(
            f"{mask_path} must have the size of its image, got {label.image.width}x"
            f"{label.image.height} against {opened.image.width}x{opened.image.height}"
        )
    picture = as_rgb(opened, image_path)
    found = labels_in(label)
    _check_labels(found, mask_path, len(folder.classes))
    share = jump_share(mask)
    if max_side and max(picture.size) > max_side:
        ratio = max_side / max(picture.size)
        width, height = (max(1, round(side * ratio)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        mask = np.asarray(label.image.resize((width, height), Image.Resampling.NEAREST))
    image = np.asarray(picture)
    files = hashlib.sha256(opened.content)
    files.update(label.content)
    return Sample(
        image,
        mask,
        files.hexdigest(),
        (_hash(opened.content), _hash(label.content)),
        hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:32],
        colours_of(label, found),
        share,
    )


def jump_share(mask: npt.NDArray[np.uint8]) -> float:
    """Share of the edges along the rows that pass through a value between, one pixel wide.

    A mask that was resized or blurred with interpolation has many (0, 7, 15 at the edge of class
    15), one drawn by hand or by nearest neighbour hardly any.
    Args: mask (H, W) uint8. Returns: a share in [0, 1]; 0 for a mask without changes.
    """
    left, middle, right = mask[:, :-2], mask[:, 1:-1], mask[:, 2:]
    between = ((left < middle) & (middle < right)) | ((left > middle) & (middle > right))
    n_between = int(np.count_nonzero(between & (left != VOID) & (right != VOID)))
    n_edges = int(np.count_nonzero(mask[:, 1:] != mask[:, :-1])) - n_between
    return min(1.0, n_between / max(1, n_edges))
