"""How splits differ where they should not: labels, void, palettes, sizes; what reducing removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seglib.data.findings import EXCHANGED, ZERO_255, marked
from seglib.data.masks import VOC_GREYS
from seglib.data.store import Split

FAR = 0.4  # distance (total variation) of two splits' shares of classes that is looked into
EXPLAINED = 1 / 3  # of that distance is left by another numbering that would explain it
CHANCE = 0.01
SIZE_RATIO = 1.5  # between the nearest images of two splits, by the side of a square
LOST_MASKS, KEPT_SHARE = 0.1, 0.75  # of a class, after reducing: worth a line

Shares = npt.NDArray[np.float64]


class Reduced(NamedTuple):
    """What reducing the images to max_side does to one class, over all splits."""

    name: str
    share: float  # of valid pixels, before
    share_kept: float  # of valid pixels, after
    n_masks: int  # that show it, before
    n_lost: int  # of these, that do not after

    @property
    def notable(self) -> bool:
        return self.n_lost > LOST_MASKS * self.n_masks or self.share_kept < KEPT_SHARE * self.share


def reduced(splits: Mapping[str, Split], classes: Sequence[str]) -> list[Reduced]:
    """A row per class that any mask shows; none where no image was reduced."""
    before = np.concatenate([split.whole_pixels[:, :-1] for split in splits.values()])
    after = np.concatenate([split.class_pixels for split in splits.values()])
    if np.array_equal(before, after):
        return []
    share, kept = (pixels.sum(0) / max(1, int(pixels.sum())) for pixels in (before, after))
    shown = before > 0
    lost = shown & (after == 0)
    return [
        Reduced(
            name, float(share[i]), float(kept[i]), int(shown[:, i].sum()), int(lost[:, i].sum())
        )
        for i, name in enumerate(classes)
        if shown[:, i].any()
    ]


def differences(splits: Mapping[str, Split], classes: Sequence[str]) -> list[str]:
    """What one split has and another lacks, a line each."""
    found = []
    pairs = [("fit", "dev"), ("fit", "test")]
    for left, right in pairs:
        a, b = splits[left], splits[right]
        lines = [
            _only_one("void (255)", left, _has_void(a), right, _has_void(b)),
            _only_one("a palette", left, np.array(a.coloured), right, np.array(b.coloured)),
            _sizes(left, a, right, b),
        ]
        if not (marked(a, EXCHANGED).any() or marked(b, EXCHANGED).any()):  # found mask by mask
            lines.append(_numbering(left, a.class_pixels.sum(0), right, b.class_pixels.sum(0)))
        found += [line for line in lines if line]
    seen = np.flatnonzero(sum(split.class_pixels.sum(0) for split in splits.values())).tolist()
    if len(seen) > 2 and {*seen} - {0} <= VOC_GREYS:
        found.append(
            f"the only labels are {', '.join(map(str, seen))}, as of colours turned into grey; "
            "make class ids of the colours"
        )
    return found


def _has_void(split: Split) -> npt.NDArray[np.bool_]:
    """(n,) whether a mask has void, but for those in which it stands for a class."""
    return np.asarray((split.void_pixels > 0) & ~marked(split, ZERO_255))


def _only_one(
    what: str, left: str, a: npt.NDArray[np.bool_], right: str, b: npt.NDArray[np.bool_]
) -> str:
    """That masks of one split have it and none of the other, which chance would not bring about."""
    for one, has, other, lacks in ((left, a, right, b), (right, b, left, a)):
        if not lacks.any() and (1 - has.mean()) ** len(lacks) < CHANCE:
            return f"{has.sum()} of {len(has)} {one} masks have {what}, and none of {other}"
    return ""


def _sizes(left: str, a: Split, right: str, b: Split) -> str:
    """That all images of one split are larger than those of the other, as the files have them."""
    sides = [np.sqrt(split.whole_pixels.sum(1)) for split in (a, b)]
    for (one, larger), (other, smaller) in (
        ((left, sides[0]), (right, sides[1])),
        ((right, sides[1]), (left, sides[0])),
    ):
        if larger.min() > SIZE_RATIO * smaller.max():
            return (
                f"every {one} image is larger than every {other} image: "
                f"about {np.median(larger):.0f} against {np.median(smaller):.0f} px square"
            )
    return ""


def _numbering(left: str, a: npt.NDArray[np.int64], right: str, b: npt.NDArray[np.int64]) -> str:
    """That the classes' shares in two splits agree once one of them is numbered otherwise."""
    for skip in (0, 1):  # with and without label 0, which may be most of all
        p, q = _share(a[skip:]), _share(b[skip:])
        if (far := _distance(p, q)) <= FAR:
            continue
        for how, other in _numberings(p, q, whole=not skip):
            if _distance(other, q) < EXPLAINED * far:
                return (
                    f"labels of {right} look {how} against {left}: the shares of the classes are "
                    f"{_listed(a)} in {left}, {_listed(b)} in {right}"
                )
    return ""


def _numberings(p: Shares, q: Shares, *, whole: bool) -> list[tuple[str, Shares]]:
    """Other numberings of `p` that the labels in `q` allow: a shift loses the label at its end, and
    brings one that `p` has not; `whole`: with label 0."""
    first, last = np.flatnonzero(p)[[0, -1]].tolist()
    brings = bool(((p == 0) & (q > 0)).any())
    ways = []
    if not q[first] and not p[-1] and (brings or whole):
        ways.append(("one higher", np.append(0, p[:-1])))
    if not q[last] and not p[0] and brings:
        ways.append(("one lower", np.append(p[1:], 0)))
    if whole and not p[2:].any():
        ways.append(("exchanged, 0 and 1", p[[1, 0, *range(2, len(p))]]))
    return ways


def _share(pixels: npt.NDArray[np.int64]) -> Shares:
    return np.asarray(pixels / max(1, int(pixels.sum())))


def _distance(p: Shares, q: Shares) -> float:
    return float(abs(p - q).sum() / 2) if p.any() and q.any() else 0.0


def _listed(pixels: npt.NDArray[np.int64]) -> str:
    """The three largest, by label."""
    share = _share(pixels)
    largest = sorted(np.argsort(-share, kind="stable")[:3].tolist())
    return ", ".join(f"{label}: {share[label]:.0%}" for label in largest if share[label])
