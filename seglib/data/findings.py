"""What a look at the decoded data finds before any training: copies, masks that look wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seglib.data.store import Split
from seglib.metrics import VOID

JUMP_SHARE = 0.2  # of a mask's edges: more is suspicious (NOTES.md)


class Copies(NamedTuple):
    """Images whose pixels are the same."""

    images: tuple[str, ...]  # "fit/a", "test/b"
    across: bool  # not all in one split


class Suspicious(NamedTuple):
    """A mask that looks wrong."""

    split: str
    name: str
    what: str


def copies(splits: Mapping[str, Split]) -> list[Copies]:
    """Found by a hash of the pixels, so a copy saved again with losses is not found."""
    places: dict[str, list[tuple[str, str]]] = {}
    for split, images in splits.items():
        for name, key in zip(images.names, images.copies, strict=True):
            places.setdefault(key, []).append((split, name))
    return [
        Copies(
            tuple(f"{split}/{name}" for split, name in found),
            across=len({split for split, _ in found}) > 1,
        )
        for found in places.values()
        if len(found) > 1
    ]


def suspicious(splits: Mapping[str, Split]) -> list[Suspicious]:
    """The masks that were found to look wrong when they were decoded."""
    return [
        Suspicious(split, name, what)
        for split, images in splits.items()
        for name, what in zip(images.names, images.suspicious, strict=True)
        if what
    ]


def usual_colours(palettes: list[dict[int, str]]) -> dict[int, str]:
    """The colour that most palette masks give each label."""
    votes: dict[int, Counter[str]] = {}
    for palette in palettes:
        for label, colour in palette.items():
            votes.setdefault(label, Counter())[colour] += 1
    return {label: counter.most_common(1)[0][0] for label, counter in votes.items()}


def suspicion(
    classes: Sequence[str],
    pixels: list[int],
    palette: dict[int, str],
    jumps: float,
    usual: dict[int, str],
) -> str:
    """What looks wrong with a mask, or ""."""
    found = []
    present = [label for label, n in enumerate(pixels[:-1]) if n]
    if not present:
        found.append("all void")
    elif len(present) == 1:
        found.append(f"only {classes[present[0]]}")
    for label, colour in palette.items():
        if colour != usual[label]:
            name = "void" if label == VOID else classes[label]
            found.append(
                f"label {label} ({name}) has colour #{colour}, in most masks #{usual[label]}"
            )
            break
    if jumps > JUMP_SHARE:
        found.append(
            f"{jumps:.0%} of the edges pass through a value between, as after "
            "resizing with interpolation"
        )
    return "; ".join(found)
