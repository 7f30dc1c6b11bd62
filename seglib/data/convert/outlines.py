"""Segmentations of COCO annotations, polygons and runs, as runs that fill the image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from seglib.data.convert.annotations import Record
from seglib.data.lists import DataError


def runs_of(
    annotation: Record, height: int, width: int, path: object
) -> tuple[npt.NDArray[np.int64], int]:
    """Lengths of the runs outside and inside in turn, down the columns; their sum is H x W.

    Returns: runs, and how many polygons have no area. Raises: DataError.
    """
    shape = annotation.get("segmentation")
    where = f"{path} annotation {annotation.get('id')}"
    if isinstance(shape, list) and shape:
        return _polygons(shape, height, width, where)
    if not isinstance(shape, dict) or "counts" not in shape:
        raise DataError(f"{where} must have a segmentation, got a box alone; export with masks")
    counts = shape["counts"]
    runs = uncompressed(counts) if isinstance(counts, str) else counts
    good = isinstance(runs, list) and all(isinstance(n, int) and n >= 0 for n in runs)
    if not good or sum(runs) != height * width or shape.get("size") != [height, width]:
        raise DataError(
            f"{where} must have runs that fill its image of {width}x{height}, got others; export "
            "it again"
        )
    return np.array(runs, np.int64), 0


def _polygons(
    polygons: list[Any], height: int, width: int, where: str
) -> tuple[npt.NDArray[np.int64], int]:
    good = []
    for polygon in polygons:
        numbers = isinstance(polygon, list) and all(
            isinstance(n, int | float) and math.isfinite(n) for n in polygon
        )
        if not numbers or len(polygon) % 2:
            raise DataError(f"{where} must have polygons x1, y1, x2, y2, ...; export it again")
        for value, side in zip(polygon, [width, height] * len(polygon), strict=False):
            if not -side <= value <= 2 * side:
                raise DataError(
                    f"{where} must lie in its image of {width}x{height}, got {value:g}; are these "
                    "coordinates of another size?"
                )
        if len(polygon) < 6:  # pycocotools would take 4 numbers for a box
            continue
        good.append([float(value) for value in polygon])
    n_left_out = len(polygons) - len(good)
    if not good:
        return np.array([height * width], np.int64), n_left_out
    coder = _pycocotools()
    merged = coder.merge(coder.frPyObjects(good, height, width))
    return np.array(uncompressed(merged["counts"].decode("ascii")), np.int64), n_left_out


def _pycocotools() -> Any:
    try:
        from pycocotools import mask  # an optional extra, to import only where polygons are
    except ImportError:
        raise DataError(
            "polygons of COCO need pycocotools; install it: pip install -e '.[convert]'"
        ) from None
    return mask


def uncompressed(text: str) -> list[int]:
    """The runs of COCO's compressed text; [-1] where it is none.

    Five bits a character, lowest first, the sixth says that more follow; from the fourth on, runs
    are differences to the one two before.
    """
    runs: list[int] = []
    value = shift = 0
    for code in (ord(c) - 48 for c in text):
        if not 0 <= code < 64 or shift > 40:
            return [-1]
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return [-1] if shift else runs
