"""Confusion matrices of many images, only the cells that are not 0: what is kept and stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
PARTS = ("shape", "cells", "counts")
SMALL = 1_000_000  # bytes: below it a whole array is stored, which anything reads


@dataclass(frozen=True, eq=False)
class Confusions:
    """(n, C, C) pixel counts, rows truth: an image of a few classes has a few of C^2 cells."""

    shape: tuple[int, int, int]
    cells: Numbers  # (m,) flat indices of the array, ascending; the narrowest type that holds them
    counts: Numbers  # (m,) above 0

    @classmethod
    def of(cls, dense: Numbers) -> Confusions:
        """Of a whole array (n, C, C) of integers."""
        flat = np.asarray(dense).reshape(-1)
        return cls.of_cells(dense.shape, cells := np.flatnonzero(flat != 0), flat[cells])

    @classmethod
    def of_images(
        cls, matrices: Iterable[tuple[int, Numbers]], n: int, n_classes: int
    ) -> Confusions:
        """Of matrices (C, C) that come one by one, each with its image's index in [0, n)."""
        size, found = n_classes**2, dict[int, tuple[Numbers, Numbers]]()
        shape = (n, n_classes, n_classes)
        for index, matrix in matrices:
            cells = np.flatnonzero(matrix)
            counts = matrix.reshape(-1)[cells]
            found[index] = narrow(cells + index * size, n * size), narrow(counts)
        parts = [found[index] for index in sorted(found)] or [(np.zeros(0, np.uint8),) * 2]
        cells, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
        return cls.of_cells(shape, cells, counts)

    @classmethod
    def of_cells(cls, shape: Iterable[int], cells: Numbers, counts: Numbers) -> Confusions:
        """Of flat indices and counts. Raises: ValueError unless they are such."""
        n, n_rows, n_columns = (int(side) for side in shape)
        size = n * n_rows * n_columns
        ordered = cells.ndim == 1 and bool((cells[1:] > cells[:-1]).all())
        if not (ordered and cells.shape == counts.shape and n_rows == n_columns) or (
            len(cells) and not (0 <= cells[0] and cells[-1] < size and counts.min() > 0)
        ):
            raise ValueError(
                f"cells must ascend in [0, {size}) with a count above 0 each for {(n, n_rows)} "
                f"images and classes, got {cells.shape} cells and {counts.shape} counts"
            )
        return cls((n, n_rows, n_columns), narrow(cells, size), narrow(counts))

    def __len__(self) -> int:
        return self.shape[0]

    def class_counts(self) -> npt.NDArray[np.int64]:
        """(n, C, 3): TP, FP, FN of each class in each image; see `class_counts`."""
        n, n_classes, _ = self.shape
        images, truth, guess = self._places()
        right, counts = truth == guess, self.counts.astype(np.float64)  # exact below 2^53
        found = np.zeros((n, n_classes, 3), np.int64)
        for column, label, where in ((0, truth, right), (1, guess, ~right), (2, truth, ~right)):
            place = (images * n_classes + label)[where]
            sums = np.bincount(place, counts[where], n * n_classes)
            found[..., column] = sums.reshape(n, n_classes)
        return found

    def total(self) -> npt.NDArray[np.int64]:
        """(C, C): the sum over the images."""
        n_classes = self.shape[1]
        _, truth, guess = self._places()
        sums = np.bincount(truth * n_classes + guess, self.counts, n_classes**2)
        return sums.astype(np.int64).reshape(n_classes, n_classes)

    def dense(self) -> npt.NDArray[np.int64]:
        """The whole array (n, C, C)."""
        whole = np.zeros(self.shape, np.int64)
        whole.reshape(-1)[self.cells] = self.counts
        return whole

    def packed(self, name: str) -> dict[str, Numbers]:
        """Arrays to store under a name: the whole array where it is small, or no larger."""
        n, n_classes, _ = self.shape
        if 4 * n * n_classes**2 <= max(SMALL, self.cells.nbytes + self.counts.nbytes):
            return {name: self.dense().astype(np.int32)}
        parts = (np.array(self.shape, np.int64), self.cells, self.counts)
        return {f"{name}_{part}": array for part, array in zip(PARTS, parts, strict=True)}

    @classmethod
    def unpacked(cls, name: str, arrays: Mapping[str, Numbers]) -> Confusions:
        """What `packed` stored. Raises: ValueError when it is not such."""
        if name in arrays:
            dense = arrays[name]
            if dense.ndim != 3 or dense.shape[1] != dense.shape[2] or dense.dtype.kind not in "ui":
                raise ValueError(f"{name} must be (n, C, C) integers, got {dense.shape}")
            return cls.of(dense)
        if lacking := [part for part in PARTS if f"{name}_{part}" not in arrays]:
            raise ValueError(f"{name} must be stored, got no {name} and no {name}_{lacking[0]}")
        shape, cells, counts = (arrays[f"{name}_{part}"] for part in PARTS)
        if shape.shape != (3,) or any(a.dtype.kind not in "ui" for a in (shape, cells, counts)):
            raise ValueError(f"{name} must be stored as integers, got a shape {shape.shape}")
        return cls.of_cells(shape.tolist(), cells, counts)

    def _places(self) -> tuple[Numbers, Numbers, Numbers]:
        """(m,) each: image, class of the truth, class predicted."""
        n_classes = self.shape[1]
        images, inner = np.divmod(self.cells.astype(np.int64), n_classes**2)
        return images, *np.divmod(inner, n_classes)


def narrow(values: Numbers, most: int | None = None) -> Numbers:
    """The same whole numbers >= 0 in the narrowest type that holds `most` (else the largest)."""
    largest = int(values.max(initial=0)) if most is None else most
    return values.astype(np.min_scalar_type(largest))
