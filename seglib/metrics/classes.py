"""Some of the classes: those chosen by frequency or by score, and their mean IoU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from seglib.metrics.counts import Array, mean_where, totals
from seglib.metrics.pooled import iou


def mean_iou_of(counts: Array, classes: Iterable[int]) -> float:
    """Mean IoU of the given classes, those absent from the truth left out; NaN if none is left.

    Args: counts: as `mean_iou`. classes: different class indices in [0, C), or none.
    Raises: ValueError if a class is repeated or does not exist.
    """
    tp, _, fn = totals(counts)
    chosen = [int(c) for c in classes]
    if len(set(chosen)) < len(chosen) or not all(0 <= c < len(tp) for c in chosen):
        raise ValueError(f"classes must be different and in [0, {len(tp)}), got {chosen}")
    return mean_where(iou(counts)[chosen], (tp + fn > 0)[chosen])


def mean_iou_by_group(counts: Array, groups: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """`mean_iou_of` each named group of classes, such as `terciles` makes."""
    return {name: mean_iou_of(counts, classes) for name, classes in groups.items()}


def worst_classes(counts_dev: Array, k: int) -> list[int]:
    """The k classes of lowest IoU among those in the truth, worst first; ties: lower index first.

    Choose on dev, report `mean_iou_of` them on test: the lowest k of the data that is reported are
    a minimum over noise. Counts as `mean_iou`.

    Raises: ValueError if the truth does not hold k classes, or k is below 1.
    """
    tp, _, fn = totals(counts_dev)
    values = iou(counts_dev).tolist()
    present = [c for c, n_pixels in enumerate((tp + fn).tolist()) if n_pixels]
    if not 1 <= k <= len(present):
        raise ValueError(f"k must be in [1, {len(present)}], the classes in the truth, got {k}")
    return sorted(present, key=lambda c: values[c])[:k]


def terciles(train_pixel_share: Array, *, exclude: Iterable[int] = ()) -> dict[str, list[int]]:
    """Class indices by frequency in training: "rare", "medium", "frequent", each rarest first.

    Of n classes the first round(n / 3) are rare and those from round(2 n / 3) on frequent: 20 are
    7, 6, 7; 11 are 4, 3, 4; 2 are 1, 0, 1; 1 is 0, 1, 0. Equal shares are ordered by class index.
    A class of share 0 is in no group: it cannot be learnt, so it says nothing about rare classes
    (`mean_iou` still counts it where the truth shows it).

    Args:
        train_pixel_share: (C,) shares of the valid pixels; counts serve too, only order matters.
        exclude: classes in no group, such as the background.
    Raises: ValueError if a share is negative or not finite, or an excluded class does not exist.
    """
    share, left_out = np.asarray(train_pixel_share, np.float64), {int(c) for c in exclude}
    if share.ndim != 1 or not (np.isfinite(share) & (share >= 0)).all():
        raise ValueError(f"train_pixel_share must be (C,), finite and not negative, got {share}")
    if not left_out <= set(range(len(share))):
        raise ValueError(f"exclude must be in [0, {len(share)}), got {sorted(left_out)}")
    order = np.argsort(share, kind="stable").tolist()
    ranked = [c for c in order if share[c] > 0 and c not in left_out]
    low, high = round(len(ranked) / 3), round(2 * len(ranked) / 3)
    return {"rare": ranked[:low], "medium": ranked[low:high], "frequent": ranked[high:]}
