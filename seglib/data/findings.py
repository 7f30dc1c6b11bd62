"""What a look at the decoded data finds: copies, twins, masks that look wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seglib.data.masks import N_LABELS, Counts, Edges, Marks
from seglib.data.store import Split
from seglib.data.twins import nearest
from seglib.metrics import VOID

# Measured: NOTES.md.
BLEND_SHARE = 0.2  # of a mask's edges along one axis that pass through a value between
SPECK_SHARE = 0.35  # narrow pixels of solid labels, per edge
N_SPECK_LABELS = 3  # that have a part in the specks worth naming
MUCH_VOID = 3  # times the usual share: void that stands for a class
ONE_PLACE = 0.9  # of a mask's thin values between: one label, in one order, is a thing drawn
N_INVERTED = 4  # masks at least that are not inverted, to call another so
INVERTED = 0.3  # share of label 0 in an inverted mask at most; in the others at least the rest

# as stores of before have it
ZERO_255 = "a 0/255 mask: no label but 0, and 255, which is void; must become 0/1"
EXCHANGED = "0 and 1 look exchanged: most masks have much more of 0 than of 1"

Labels = npt.NDArray[np.intp]


class Copies(NamedTuple):
    """Images whose pixels are the same."""

    images: tuple[str, ...]  # "fit/a", "test/b"
    across: bool  # not all in one split


class Twins(NamedTuple):
    """An image that looks nearly like one of a split before its own (fit, dev, test)."""

    image: str  # "test/b"
    like: str  # "fit/a"


class Suspicious(NamedTuple):
    """A mask that looks wrong."""

    split: str
    name: str
    what: str


def copies(splits: Mapping[str, Split]) -> list[Copies]:
    """Found by a hash of the pixels; copies saved again with losses are found as twins."""
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


def twins(splits: Mapping[str, Split]) -> list[Twins]:
    """Images with a near twin in another split, the last split first; exact copies are left out."""
    found, names = [], list(splits)
    for late in reversed(names):
        for early in names[: names.index(late)]:
            there = splits[early]
            same = set(there.copies)
            mine = [
                "" if key in same else looks
                for key, looks in zip(splits[late].copies, splits[late].looks, strict=True)
            ]
            found += [
                Twins(f"{late}/{name}", f"{early}/{there.names[twin]}")
                for name, twin in zip(splits[late].names, nearest(mine, there.looks), strict=True)
                if twin is not None
            ]
    return found


def suspicious(splits: Mapping[str, Split]) -> list[Suspicious]:
    """The masks that were found to look wrong when they were decoded; 0/255 masks first."""
    found = [
        Suspicious(split, name, what)
        for split, images in splits.items()
        for name, what in zip(images.names, images.suspicious, strict=True)
        if what
    ]
    return sorted(found, key=lambda one: ZERO_255 not in one.what)


def marked(split: Split, what: str) -> npt.NDArray[np.bool_]:
    """(n,) whether this was found in a mask."""
    return np.array([what in found for found in split.suspicious], bool)


def suspicions(classes: Sequence[str], masks: Sequence[Marks]) -> list[str]:
    """What looks wrong with each mask of a set, "" for most; each is read against the others."""
    usual = _usual_colours([marks.palette for marks in masks])
    usual_void, inverted = _usual_void(masks), _inverted(masks)
    between, specks = _fine_labels(masks, 0.25), _fine_labels(masks, 0.6)
    found = []
    for marks, is_inverted in zip(masks, inverted, strict=True):
        parts = [
            _labels(classes, marks.pixels, usual_void),
            _colours(classes, marks.palette, usual),
            _blends(marks, between) or _specks(marks, specks),
            EXCHANGED * is_inverted,
        ]
        found.append("; ".join(part for part in parts if part))
    return found


def _usual_colours(palettes: Sequence[Mapping[int, str]]) -> dict[int, str]:
    """The colour that most palette masks give each label."""
    votes: dict[int, Counter[str]] = {}
    for palette in palettes:
        for label, colour in palette.items():
            votes.setdefault(label, Counter())[colour] += 1
    return {label: counter.most_common(1)[0][0] for label, counter in votes.items()}


def _usual_void(masks: Sequence[Marks]) -> float:
    """The share of void in the median mask that shows a label above 0."""
    shown = [m.pixels for m in masks if m.pixels[1:VOID].any()]
    return float(np.median([pixels[VOID] / pixels.sum() for pixels in shown])) if shown else 0.0


def _labels(classes: Sequence[str], pixels: Counts, usual_void: float) -> str:
    present = np.flatnonzero(pixels[:VOID]).tolist()
    if not present:
        return "all void"
    if present == [0] and pixels[VOID] > MUCH_VOID * usual_void * pixels.sum():
        return ZERO_255
    return f"only {classes[present[0]]}" if len(present) == 1 else ""


def _colours(classes: Sequence[str], palette: Mapping[int, str], usual: Mapping[int, str]) -> str:
    for label, colour in palette.items():
        if colour != usual[label]:
            name = "void" if label == VOID else classes[label]
            return f"label {label} ({name}) has colour #{colour}, in most masks #{usual[label]}"
    return ""


def _fine_labels(masks: Sequence[Marks], most: float) -> Labels:
    """The labels that are drawn narrow in the whole set, such as wires; noise makes many of them,
    so there are none where they are more than 2 and more than `most` of the labels seen."""
    pixels = np.zeros(N_LABELS, np.int64)
    narrow = np.zeros(N_LABELS, np.int64)
    for marks in masks:
        pixels += marks.pixels
        narrow += marks.narrow
    pixels[VOID] = 0
    found: Labels = np.flatnonzero((pixels > 0) & (2 * narrow >= pixels))
    n_seen = int(np.count_nonzero(pixels))
    return found if len(found) <= max(2, n_seen * most) else found[:0]


def _blends(marks: Marks, fine: Labels) -> str:
    """That many edges along the rows or the columns pass through labels between."""
    shares = [
        share
        for edges in (marks.rows, marks.columns)
        if (share := _share(edges, fine)) > BLEND_SHARE and not _in_one_place(edges, fine)
    ]
    if not shares:
        return ""
    return (
        f"{max(shares):.0%} of the edges pass through a value between, as after interpolation "
        "or a JPEG"
    )


def _specks(marks: Marks, fine: Labels) -> str:
    """That many pixels differ from those around them; not where one thing is drawn so."""
    if any(
        _share(edges, fine) > BLEND_SHARE and _in_one_place(edges, fine)
        for edges in (marks.rows, marks.columns)
    ):
        return ""
    specks = marks.narrow.copy()
    specks[fine] = specks[VOID] = 0
    n_labels = int(np.count_nonzero(specks > 0.05 * specks.sum()))
    share = specks.sum() / max(1, marks.rows.n + marks.columns.n)
    if share <= SPECK_SHARE or n_labels < N_SPECK_LABELS:
        return ""
    return f"specks of {n_labels} labels along the edges, as in a mask that was a JPEG once"


def _share(edges: Edges, fine: Labels) -> float:
    """Share of the edges that pass through values between, less labels that are narrow anyway."""
    n = edges.thin.sum() - edges.thin[:, fine].sum() + edges.stairs.sum() + edges.blends
    return float(n / max(1, edges.n))


def _in_one_place(edges: Edges, fine: Labels) -> bool:
    """Whether nearly all of these are one label, or stairs, and in one order, as of one thing drawn
    between two others; noise lies on all sides of things."""
    thin = edges.thin.copy()
    thin[:, fine] = 0
    n = thin.sum() + edges.stairs.sum() + edges.blends
    return bool(max(thin.max(), edges.stairs.max()) >= ONE_PLACE * n)


def _inverted(masks: Sequence[Marks]) -> list[bool]:
    """Which masks of a set of two labels have 0 and 1 exchanged: 0 is most of the others, little of
    these, and no mask lies between."""
    pixels = np.array([marks.pixels for marks in masks])
    shares = pixels[:, 0] / np.maximum(1, pixels[:, :VOID].sum(1))
    low = shares <= INVERTED
    clear = bool((low | (shares >= 1 - INVERTED)).all()) and not pixels[:, 2:VOID].any()
    if not clear or (~low).sum() < max(N_INVERTED, 2 * low.sum()):
        return [False] * len(masks)
    return [bool(is_low) for is_low in low]
