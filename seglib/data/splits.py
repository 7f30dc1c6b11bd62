"""Which images are fit, dev and test; `split_seed` alone drives every draw."""

from __future__ import annotations

import numpy as np


def draw_dev(
    class_pixels: np.ndarray, groups: list[str] | None, *, share: float, seed: int
) -> np.ndarray:
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
    n_wanted = max(1, round(share * n_images))
    dev: set[int] = set()
    if groups is not None:
        names = sorted(set(groups))
        if len(names) < 2:
            raise ValueError(
                f"groups.txt must give the training images at least 2 groups, got {names}; "
                "dev is made of whole groups"
            )
        sizes = {name: groups.count(name) for name in names}
        for name in rng.permutation(names)[: len(names) - 1]:
            overshoot = len(dev) + sizes[name] - n_wanted
            if not dev or overshoot < n_wanted - len(dev):
                dev |= {i for i, group in enumerate(groups) if group == name}
        return np.array(sorted(dev))
    if n_images < 2:
        raise ValueError(f"at least 2 training images are needed to cut a dev set, got {n_images}")
    present = class_pixels > 0
    free = np.ones(n_images, bool)
    for label in np.argsort(present.sum(0), kind="stable"):
        candidates = rng.permutation(np.flatnonzero(present[:, label] & free))
        free[candidates] = False
        dev |= set(candidates[: round(share * len(candidates))].tolist())
    rest = rng.permutation([i for i in range(n_images) if i not in dev])
    dev |= set(rest[: max(0, n_wanted - len(dev))].tolist())
    return np.array(sorted(dev)[: n_images - 1])
