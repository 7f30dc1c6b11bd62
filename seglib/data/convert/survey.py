"""What values the masks of a source hold, all of them, before anything is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seglib.data.convert.pictures import Values, read_values
from seglib.data.lists import DataError

MOST = 256  # different values in a mask
GREY = 0x010101  # times v: the colour of grey v


@dataclass(frozen=True)
class Seen:
    """Masks that hold the same values in the same way."""

    path: Path  # the first of them
    values: frozenset[int]  # colours of RGB masks, else values
    coloured: bool
    palette: tuple[tuple[int, int], ...]  # (value, colour) of a palette mask

    @property
    def grey(self) -> bool:
        """Whether these are values, or grey colours that can be read as values."""
        return not self.coloured or all(code % GREY == 0 for code in self.values)

    @property
    def plain(self) -> frozenset[int]:
        """The values, of grey colours too."""
        return frozenset(v // GREY for v in self.values) if self.coloured else self.values

    @property
    def colours(self) -> frozenset[int]:
        """The colours, those of a palette too; a value v is grey v."""
        if self.palette:
            return frozenset(colour for _, colour in self.palette)
        return self.values if self.coloured else frozenset(v * GREY for v in self.values)


@dataclass
class Survey:
    """The kinds of masks of a source."""

    kinds: dict[tuple[object, ...], Seen] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.kinds.values())

    def add(self, path: Path, mask: Values) -> None:
        found = frozenset(distinct(mask.values))
        if len(found) > MOST:
            raise DataError(
                f"{path} must be a mask of classes, got {len(found)} different "
                f"{'colours' if mask.coloured else 'values'}, as in a photograph or after JPEG or "
                "interpolation; export the masks again as PNG"
            )
        palette: tuple[tuple[int, int], ...] = ()
        if mask.palette is not None:
            if max(found) >= len(mask.palette):
                raise DataError(f"{path} must have a palette of {max(found) + 1} colours or more")
            palette = tuple((value, int(mask.palette[value])) for value in sorted(found))
        seen = Seen(path, found, mask.coloured, palette)
        self.kinds.setdefault((found, mask.coloured, palette), seen)


def survey(paths: Iterable[Path], tick: Callable[[], None]) -> Survey:
    """Read every mask once."""
    result = Survey()
    for path in paths:
        result.add(path, read_values(path))
        tick()
    return result


def distinct(values: npt.NDArray[np.int32]) -> list[int]:
    """The different values of a mask, sorted; a table of marks is faster than sorting pixels."""
    marks = np.zeros(int(values.max()) + 1, bool)
    marks[values.ravel()] = True
    return [int(value) for value in np.flatnonzero(marks)]
