"""Owns the tables of an answer: contrasts, classes, frequency groups; a function each.

Differences are fractions (0.01 = one mIoU point). Must not know: wording, figures, pages.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.answer import TERCILES, UNKNOWN, Answer, Compared
from analysis.records import Study
from analysis.statistics.frequency import imbalance_slope


def compared(answer: Answer) -> list[Compared]:
    """The contrasts that have runs on both sides; a pair in two families counts once."""
    return list({(one.a, one.b): one for one in reversed(answer.compared)}.values())[::-1]


def contrasts(answer: Answer) -> pd.DataFrame:
    """One row per planned contrast: estimate, 95 % interval adjusted within its family.

    Returns: family, a, b, n_a, n_b (seeds), estimate, low, high, p (Holm), df, verdict, low_single,
        high_single (unadjusted); NaN where there is nothing to say.
    """
    columns = "family a b n_a n_b estimate low high p df verdict low_single high_single".split()
    rows: list[tuple[str | float, ...]] = []
    for one in answer.contrasts:
        head = (one.family, one.a, one.b, len(one.seeds_a), len(one.seeds_b))
        if not isinstance(one, Compared):
            rows.append((*head, *[math.nan] * 5, "not compared", math.nan, math.nan))
            continue
        single, family = one.difference.miou, one.miou
        word = one.verdict if one.seeds_known else UNKNOWN
        bounds = (single.estimate, family.low, family.high, family.p, single.df)
        rows.append((*head, *bounds, word, single.low, single.high))
    return pd.DataFrame(rows, columns=columns)


def classes(study: Study, answer: Answer) -> pd.DataFrame:
    """Differences per class: a row per contrast and class present in test.

    Returns: family, a, b, class, fit_pixel_share, estimate, low, high (adjusted over the classes of
        the contrast), p (Holm), verdict.
    """
    columns = "family a b class fit_pixel_share estimate low high p verdict".split()
    shares, present = study.data.pixel_share["fit"], study.present("test")
    rows = []
    for one in compared(answer):
        for i, name in enumerate(study.classes):
            if present[i]:
                part = one.classes.at(i)
                word = one.class_verdicts[i] if one.seeds_known else UNKNOWN
                head = (one.family, one.a, one.b, name, shares[i])
                rows.append((*head, part.estimate, part.low, part.high, part.p, word))
    return pd.DataFrame(rows, columns=columns)


def terciles(answer: Answer) -> pd.DataFrame:
    """Change of the mean IoU of rare, medium and frequent classes: a row per contrast and group.

    Returns: family, a, b, group, classes, estimate, low, high (adjusted over the three groups).
    """
    rows = []
    for one in compared(answer):
        if one.terciles is None:
            continue
        for i, name in enumerate(TERCILES):
            part, names = one.terciles.at(i), ", ".join(answer.terciles[name])
            head = (one.family, one.a, one.b, name, names)
            rows.append((*head, part.estimate, part.low, part.high))
    return pd.DataFrame(rows, columns="family a b group classes estimate low high".split())


def slopes(study: Study, answer: Answer) -> pd.DataFrame:
    """How the difference of a class goes with its frequency: IoU points per tenfold more pixels.

    Ordinary least squares of the per-class difference on log10 of the share of fit pixels, without
    background; classes are the units, so it speaks of these classes only. A negative slope: the
    rarer the class, the more `a` gains over `b`.

    Returns: family, a, b, n_classes, slope, lowest, highest (leaving one class out).
    """
    shares = np.array(study.data.pixel_share["fit"], dtype=float)
    chosen = [
        i
        for i, there in enumerate(study.present("test"))
        if there and shares[i] > 0 and not (i == 0 and study.data.background)
    ]
    rows = []
    for one in compared(answer):
        found = imbalance_slope(one.difference.per_class.estimate[chosen], shares[chosen])
        numbers = (found.n_classes, found.slope, found.lowest, found.highest)
        rows.append((one.family, one.a, one.b, *numbers))
    return pd.DataFrame(rows, columns="family a b n_classes slope lowest highest".split())
