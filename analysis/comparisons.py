"""Owns the tables of an answer: contrasts, classes, frequency groups; a function each.

Differences are fractions (0.01 = one mIoU point). Must not know: wording, figures, pages.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis import effects
from analysis.answer import TERCILES, UNKNOWN, Answer, Compared
from analysis.effects import FRACTIONS, imbalance_slope
from analysis.records import Study


def compared(answer: Answer) -> list[Compared]:
    """The planned contrasts that have runs on both sides; a pair in two families counts once."""
    done = [one for one in answer.contrasts if one.difference is not None]
    return list({(one.a, one.b): one for one in reversed(done)}.values())[::-1]


def contrasts(answer: Answer) -> pd.DataFrame:
    """One row per planned contrast: estimate, 95 % interval adjusted within its family.

    Returns: family, a, b, n_a, n_b (seeds), estimate, low, high, p (Holm), df, verdict, low_single,
        high_single (unadjusted); NaN where there is nothing to say.
    """
    columns = ("family a b n_a n_b estimate low high p df verdict low_single high_single").split()
    rows = []
    for one in answer.contrasts:
        head = (one.family, one.a, one.b, len(one.seeds_a), len(one.seeds_b))
        if one.difference is None or one.miou is None:
            rows.append((*head, *[math.nan] * 5, "not compared", math.nan, math.nan))
            continue
        single = one.difference.miou
        word = one.verdict if one.seeds_known else UNKNOWN
        rows.append((*head, single.estimate, one.miou.low, one.miou.high, one.miou.p, single.df,
                     word, single.low, single.high))
    return pd.DataFrame(rows, columns=columns)


def classes(study: Study, answer: Answer) -> pd.DataFrame:
    """Differences per class: a row per contrast and class present in test.

    Returns: family, a, b, class, fit_pixel_share, estimate, low, high (adjusted over the classes of
        the contrast), p (Holm), verdict.
    """
    columns = "family a b class fit_pixel_share estimate low high p verdict".split()
    shares, present = study.data["pixel_share"]["fit"], study.present("test")
    rows = []
    for one in compared(answer):
        for i, name in enumerate(study.classes):
            if present[i]:
                part = one.classes
                rows.append((one.family, one.a, one.b, name, shares[i], float(part.estimate[i]),
                             float(part.low[i]), float(part.high[i]), float(part.p[i]),
                             one.class_verdicts[i] if one.seeds_known else UNKNOWN))
    return pd.DataFrame(rows, columns=columns)


def terciles(answer: Answer) -> pd.DataFrame:
    """Change of the mean IoU of rare, medium and frequent classes: a row per contrast and group.

    Returns: family, a, b, group, classes, estimate, low, high (adjusted over the three groups).
    """
    rows = [
        (one.family, one.a, one.b, name, ", ".join(answer.terciles[name]),
         float(one.terciles.estimate[i]), float(one.terciles.low[i]), float(one.terciles.high[i]))
        for one in compared(answer) if one.terciles is not None
        for i, name in enumerate(TERCILES)
    ]
    return pd.DataFrame(rows, columns="family a b group classes estimate low high".split())


def slopes(study: Study, answer: Answer) -> pd.DataFrame:
    """How the difference of a class goes with its frequency: IoU points per tenfold more pixels.

    Ordinary least squares of the per-class difference on log10 of the share of fit pixels, without
    background; classes are the units, so it speaks of these classes only. A negative slope: the
    rarer the class, the more `a` gains over `b`.

    Returns: family, a, b, n_classes, slope, lowest, highest (leaving one class out).
    """
    shares = np.array(study.data["pixel_share"]["fit"], dtype=float)
    chosen = [i for i, there in enumerate(study.present("test")) if there and shares[i] > 0
              and not (i == 0 and study.data.get("background"))]
    rows = []
    for one in compared(answer):
        found = imbalance_slope(np.asarray(one.difference.per_class.estimate)[chosen],
                                shares[chosen])
        rows.append((one.family, one.a, one.b, found.n_classes, found.slope, found.lowest,
                     found.highest))
    return pd.DataFrame(rows, columns="family a b n_classes slope lowest highest".split())


def convergence(study: Study) -> pd.DataFrame:
    """How soon each arm's dev curve gets near the best final dev mIoU of the study.

    Returns: arm, n, "epochs to 50 %", "... 75 %", "... 90 %" (means over the seeds that reach it),
        "reach 90 %" (how many do), "area" (mean height of the curve), mIoU fractions.
    """
    runs = [run for run in study.finished()
            if "dev/miou" in run.history and run.history["dev/miou"].notna().any()]
    columns = ["arm", "n", *(f"epochs to {100 * f:.0f} %" for f in FRACTIONS), "reach 90 %", "area"]
    if not runs:
        return pd.DataFrame(columns=columns)
    curves = [(run.history["epoch"].to_numpy(float), run.history["dev/miou"].to_numpy(float))
              for run in runs]
    found = effects.convergence(curves)
    rows = []
    for arm in dict.fromkeys(run.arm for run in runs):
        mine = [i for i, run in enumerate(runs) if run.arm == arm]
        epochs = found.epochs[mine]
        means = [float(e[np.isfinite(e)].mean()) if np.isfinite(e).any() else math.nan
                 for e in epochs.T]
        rows.append((arm, len(mine), *means, int(np.isfinite(epochs[:, -1]).sum()),
                     float(found.area[mine].mean())))
    return pd.DataFrame(rows, columns=columns)
