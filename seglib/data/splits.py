"""Which images are fit, dev and test; `split_seed` alone drives every draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

GROUP_RULE = "dev: the whole groups nearest to the share"  # part of the data's fingerprint


def n_wanted(n_images: int, share: float) -> int:
    """How many of `n_images` dev should have."""
    return max(1, round(share * n_images))


def draw_dev(
    class_pixels: npt.NDArray[np.int64],
    groups: Sequence[str] | None,
    *,
    share: float,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Choose the dev images among the development images.

    Whole groups where there are groups; else a draw stratified by label: classes from the rarest
    on, each gives `share` of its images that are not placed yet.

    Args:
        class_pixels: (n, C) valid pixels of each class in each image.
        groups: n group names, or None.
        share: wanted share of images in dev, in (0, 1).
    Returns: sorted indices (n_dev,), at least 1 and at most n - 1 images.
    Raises: ValueError when dev or fit would be empty.
    Source: a simple form of Sechidis et al. 2011, iterative stratification.
    """
    rng = np.random.default_rng([seed, 0xDE7])
    n_images = len(class_pixels)
    wanted = n_wanted(n_images, share)
    if groups is not None:
        return _whole_groups(groups, wanted, rng)
    if n_images < 2:
        raise ValueError(f"at least 2 training images are needed to cut a dev set, got {n_images}")
    dev: set[int] = set()
    present = class_pixels > 0
    free = np.ones(n_images, bool)
    for label in np.argsort(present.sum(0), kind="stable"):
        candidates = rng.permutation(np.flatnonzero(present[:, label] & free))
        free[candidates] = False
        dev |= set(candidates[: round(share * len(candidates))].tolist())
    rest = rng.permutation([i for i in range(n_images) if i not in dev])
    dev |= set(rest[: max(0, wanted - len(dev))].tolist())
    return np.array(sorted(dev)[: n_images - 1])


def _whole_groups(
    groups: Sequence[str], wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Whole groups whose images are as near to `wanted` as any choice of them comes; among such
    choices one at random."""
    sizes = Counter(groups)
    if len(sizes) < 2:
        raise ValueError(
            f"groups.txt must give the training images at least 2 groups, got {sorted(sizes)}: "
            "dev is made of whole groups; split that group, or give val.txt and test.txt"
        )
    by_size: dict[int, list[str]] = {}
    for name in sorted(sizes):
        by_size.setdefault(sizes[name], []).append(name)
    order = rng.permutation(sorted(by_size)).tolist()
    reach = [1]  # bit s: some of the groups so far have s images together
    for size in order:
        reach.append(_with(reach[-1], size, len(by_size[size])))
    sums = bin(reach[-1])[:1:-1]
    totals = {total for total in range(1, len(groups)) if sums[total] == "1"}
    off = min(abs(total - wanted) for total in totals)
    left = int(rng.choice(sorted(totals & {wanted - off, wanted + off})))
    chosen: set[str] = set()
    for size, before in reversed(list(zip(order, reach, strict=False))):
        names = by_size[size]
        possible = [
            k for k in range(min(len(names), left // size) + 1) if before >> (left - k * size) & 1
        ]
        n_taken = int(rng.choice(possible))
        chosen |= set(rng.permutation(names)[:n_taken].tolist())
        left -= n_taken * size
    return np.flatnonzero([group in chosen for group in groups])


def _with(reach: int, size: int, n_groups: int) -> int:
    """The sums that can be reached with up to `n_groups` more groups of `size` images."""
    step = 1
    while n_groups:
        taken = min(step, n_groups)  # 1, 2, 4, ... of them at once make every number of them
        reach |= reach << taken * size
        n_groups, step = n_groups - taken, step * 2
    return reach
