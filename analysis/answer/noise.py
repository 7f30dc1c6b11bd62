"""Owns what the seeds of a study can tell: the smallest detectable difference in each network."""

from __future__ import annotations

import math
from itertools import combinations

import pandas as pd

from analysis.answer.scores import Scores
from analysis.records import Study
from analysis.statistics.power import detectable_difference, seeds_needed

COLUMNS = ["network", "a", "b", "n", "seed sd", "image sd", "detectable", "seeds needed"]


def noise(study: Study, scores: Scores | None, smallest: float) -> pd.DataFrame:
    """What each network's seeds can tell, for one contrast of two of its arms, not adjusted.

    By the planned contrast within the network (else any pair of its arms) whose standard error is
    the median. Returns: network, a, b, n (seeds per arm, the fewer), "seed sd" (of one arm, what
    does not cancel), "image sd" (of the difference), "detectable" (told with 80 % power), "seeds
    needed" for the smallest difference of interest; mIoU fractions. NaN where no pair has two
    seeds.
    """
    rows = []
    for network in dict.fromkeys(scores.networks if scores else ()):
        assert scores is not None
        told = zip(scores.arms, scores.networks, scores.seeds, strict=True)
        n_seeds = {arm: len(seeds) for arm, name, seeds in told if name == network}
        planned = [(c.a, c.b) for c in study.declaration.contrasts if {c.a, c.b} <= set(n_seeds)]
        pairs = planned or list(combinations(n_seeds, 2))
        if pairs:
            rows.append((network, *_row(scores, pairs, n_seeds, smallest)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    scores: Scores, pairs: list[tuple[str, str]], n_seeds: dict[str, int], smallest: float
) -> tuple[str | float, ...]:
    """The columns but the network's name."""
    known = []
    for a, b in pairs:
        one = scores.contrast({a: 1.0, b: -1.0}).miou
        if math.isfinite(one.low):
            known.append((one.se, a, b, one))
    if not known:
        return *pairs[0], min(n_seeds.values()), *[math.nan] * 4
    _, a, b, one = sorted(known, key=lambda row: row[0])[len(known) // 2]
    n = min(n_seeds[a], n_seeds[b])
    variance = one.seed_variance / (1 / n_seeds[a] + 1 / n_seeds[b])
    n_arms, images = max(2.0, 1 + one.seed_df / (n - 1)), one.image_variance
    return (
        a,
        b,
        n,
        math.sqrt(variance),
        math.sqrt(images),
        detectable_difference(variance, n, n_arms=n_arms, image_variance=images),
        seeds_needed(smallest, variance, n_arms=n_arms, image_variance=images)
        if smallest > 0
        else math.nan,
    )
