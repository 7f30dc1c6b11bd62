"""Owns what a study could tell: the smallest detectable difference, the seeds that one needs.

Must not know: images, counts, files.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.statistics.seeds import ALPHA

MAX_SEEDS = 1000  # beyond this many seeds a difference counts as out of reach


def detectable_difference(
    variance: float, n_seeds: int, *, n_arms: float, image_variance: float = 0.0, power: float = 0.8
) -> float:
    """Noise floor: the smallest difference of two arms told with `power` at two-sided 5 %.

    Args:
        variance: of one arm's score between seeds, as in `SeedVariance` (mIoU fractions squared).
        n_seeds: per arm. n_arms: arms of the network that share the variance, seeds as blocks; a
            fraction where their variances were told apart.
        image_variance: of the difference over images, no smaller with more seeds.
    Returns: in the unit of the scores, before any correction for several contrasts; NaN without
        degrees of freedom.
    Source: noncentral t, e.g. Cohen 1988; df by Satterthwaite, images taken as known.
    """
    seeds = 2 * variance / n_seeds
    total, free = seeds + image_variance, (n_arms - 1) * (n_seeds - 1)
    if free < 1 or not total >= 0:
        return float("nan")
    df = free * (total / seeds) ** 2 if seeds > 0 else np.inf
    if df > 1e6:
        shift = special.ndtri(1 - ALPHA / 2) + special.ndtri(power)
    else:
        shift = special.nctdtrinc(df, 1 - power, special.stdtrit(df, 1 - ALPHA / 2))
    return float(shift * np.sqrt(total))


def seeds_needed(
    difference: float,
    variance: float,
    *,
    n_arms: float,
    image_variance: float = 0.0,
) -> float:
    """Fewest seeds per arm whose detectable difference is at most `difference`.

    Returns: a whole number from 2; inf where the images alone exceed it (or over 1000 seeds would
        be needed); NaN without a variance. Arguments as in `detectable_difference`.
    """

    def reached(n_seeds: int) -> bool:
        found = detectable_difference(
            variance, n_seeds, n_arms=n_arms, image_variance=image_variance
        )
        return found <= difference

    if not difference > 0 or n_arms < 2:
        raise ValueError(
            f"difference must be above 0 and n_arms at least 2, got {difference} and {n_arms}"
        )
    if not variance >= 0 or not image_variance >= 0:
        return float("nan")
    return float(next((n for n in range(2, MAX_SEEDS + 1) if reached(n)), np.inf))
