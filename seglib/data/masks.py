"""What is counted in one mask when it is decoded, at its full size, for `findings` to judge.

Nothing here is a verdict: that needs the other masks of the set. Works in strips, so that a large
mask needs little beside itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seglib.metrics import VOID

Mask = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint32]  # a mask has fewer than 2**32 pixels
N_LABELS = 256
STRIP_PIXELS = 2**20

# VOC's colours of class 1, 2, ..., each as the grey that a conversion to one channel makes of it;
# without those that are class ids as well.
VOC_GREYS = frozenset(
    (33, 34, 37, 38, 52, 53, 57, 71, 72, 75, 76, 89, 90, 94, 108, 109, 112, 113, 127, 128)
    + (132, 133, 147, 150, 151)
)


@dataclass
class Edges:
    """The changes of label along the rows, or along the columns.

    An edge that passes through values between, each one pixel wide (0, 7, 15 at the edge of class
    15), counts as one: with one value between in `thin`, with several in `stairs` where each is
    the next label, else in `blends`.
    """

    n: int = 0
    thin: Counts = field(  # falling and rising, by the value between
        default_factory=lambda: np.zeros((2, N_LABELS), np.uint32)
    )
    stairs: Counts = field(default_factory=lambda: np.zeros(2, np.uint32))  # falling and rising
    blends: int = 0

    def add(self, lines: Mask) -> None:
        """Count the changes along the second axis of `lines` (n, length)."""
        left, middle, right = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        rising = (left < middle) & (middle < right) & (right != VOID)
        between = rising | ((left > middle) & (middle > right) & (left != VOID))
        at = np.flatnonzero(between)
        n_changes = int(np.count_nonzero(lines[:, 1:] != lines[:, :-1]))
        self.n += n_changes - len(at)
        if not len(at):
            return
        y, x = np.divmod(at, between.shape[1])
        starts = np.flatnonzero(np.append(True, (np.diff(at) != 1) | (x[1:] == 0)))
        one = np.diff(starts, append=len(at)) == 1
        order = rising[y, x].astype(np.intp)
        span = right[y, x].astype(np.int16) - left[y, x]
        by_ones = np.logical_and.reduceat(abs(span) == 2, starts) & ~one
        np.add.at(self.thin, (order[starts[one]], middle[y, x][starts[one]]), 1)
        np.add.at(self.stairs, order[starts[by_ones]], 1)
        self.blends += int(np.count_nonzero(~one & ~by_ones))


@dataclass
class Marks:
    """What was counted in one mask (H, W)."""

    pixels: Counts  # (256,) of each label
    narrow: Counts  # (256,) those that differ from both neighbours on an axis
    rows: Edges
    columns: Edges
    palette: dict[int, str]  # colour (hex) of each label that occurs, for a palette mask


def look_at(mask: Mask, palette: Sequence[int] | None = None) -> Marks:
    """Count labels, narrow pixels and edges of a mask.

    Args:
        mask: (H, W) uint8.
        palette: R, G, B of label 0, 1, ... where the file has one.
    """
    pixels, narrow = np.zeros((2, N_LABELS), np.uint32)
    rows, columns = Edges(), Edges()
    for top, bottom in _strips(*mask.shape):
        strip = mask[top:bottom]
        pixels += _by_label(strip)
        rows.add(strip)
        first, last = max(0, top - 1), min(len(mask), bottom + 1)
        alone = _alone(mask[first:last])[top - first :][: bottom - top]
        narrow += _by_label(strip[alone])
    for left, right in _strips(*mask.shape[::-1]):
        columns.add(np.ascontiguousarray(mask[:, left:right].T))
    colours = {
        label: bytes(palette[3 * label : 3 * label + 3]).hex()
        for label in np.flatnonzero(pixels).tolist()
        if palette
    }
    return Marks(pixels, narrow, rows, columns, colours)


def _by_label(labels: Mask) -> Counts:
    return np.bincount(labels.ravel(), minlength=N_LABELS).astype(np.uint32)


def _strips(n_lines: int, length: int) -> Iterator[tuple[int, int]]:
    step = max(1, STRIP_PIXELS // max(1, length))
    for start in range(0, n_lines, step):
        yield start, min(n_lines, start + step)


def _alone(mask: Mask) -> npt.NDArray[np.bool_]:
    """(H, W) whether a pixel differs from both of its neighbours in its row or in its column."""
    found = np.zeros(mask.shape, bool)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    found[:, 1:-1] = across[:, 1:] & across[:, :-1]
    found[1:-1] |= down[1:] & down[:-1]
    return found


def check_size(mask: object, mask_size: tuple[int, int], image_size: tuple[int, int]) -> str:
    """What is wrong with the size (width, height) of a mask, or ""."""
    if mask_size == image_size:
        return ""
    (width, height), (image_width, image_height) = mask_size, image_size
    turned = mask_size == image_size[::-1]
    remedy = "turn it back" if turned else "make it at that size again, without interpolation"
    return (
        f"{mask} must have the size of its image, got {width}x{height} against "
        f"{image_width}x{image_height}; find the mask that belongs to it, or {remedy}"
    )


def numbering(labels: Sequence[int], n_classes: int) -> str:
    """What the labels of one mask look like where some are no class's, and what to do, or "".

    Args:
        labels: those that occur, sorted.
    """
    seen = [label for label in labels if label not in (0, VOID)]
    if len(seen) > 8 and max(seen) > 2 * n_classes:
        return "so many values come from resizing with interpolation, or from a JPEG; draw it anew"
    if min(seen) >= n_classes and max(seen) >= min(VOC_GREYS):
        return (
            "grey levels, or colours turned into grey, are no class ids; make 0, 1, 2, ... of them"
        )
    if max(seen) == n_classes:
        return "labels begin at 0, so the last is one less than the number of classes"
    return ""
