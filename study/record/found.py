"""What was found in images and masks, in the words that plan, terminal and page share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from study.record.data import SPLITS, Copies, Suspicious, Twins


class Found(NamedTuple):
    """One kind of finding."""

    what: str  # "3 suspicious masks"
    items: tuple[str, ...]  # where
    advice: str = ""

    @property
    def line(self) -> str:
        return f"{self.what}, e.g. {self.items[0]}" + (f"; {self.advice}" if self.advice else "")


def findings(
    masks: Sequence[Suspicious], duplicates: Sequence[Copies], twins: Sequence[Twins]
) -> list[Found]:
    """Only what was found: what harms the numbers most first."""
    across = tuple(_copies(found) for found in duplicates if found.across)
    within = tuple(_copies(found) for found in duplicates if not found.across)
    same = "of images with the same pixels"
    told = [
        Found(f"{_n(len(across), 'set')} {same} in different splits", across),
        _near(twins),
        Found(
            _n(len(masks), "suspicious mask"),
            tuple(f"{mask.split}/{mask.name}: {mask.what}" for mask in masks),
        ),
        Found(f"{_n(len(within), 'set')} {same} in one split", within),
    ]
    return [found for found in told if found.items]


def _near(twins: Sequence[Twins]) -> Found:
    pairs = Counter((_split(found.image), _split(found.like)) for found in twins)
    ordered = sorted(pairs, key=lambda pair: (-SPLITS.index(pair[0]), SPLITS.index(pair[1])))
    parts = [
        f"{_n(n := pairs[late, early], f'{late} image')} {'has' if n == 1 else 'have'} a near twin "
        f"in {early}"
        for late, early in ordered
    ]
    return Found(
        ", ".join(parts),
        tuple(f"{found.image} ~ {found.like}" for found in twins),
        "write whole scenes or videos into one list, and give groups.txt",
    )


def _copies(found: Copies) -> str:
    names, rest = list(found.images), len(found.images) - 4
    if rest > 0:
        names = [*names[:3], f"{rest} more", names[-1]]
    return " = ".join(names)


def _split(image: str) -> str:
    return image.partition("/")[0]


def _n(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
