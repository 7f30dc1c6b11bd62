"""Owns the tables of an answer: contrasts, classes, frequency groups; a function each.

Differences are fractions (0.01 = one mIoU point). Must not know: wording, figures, pages.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.answer import TERCILES, UNKNOWN, Answer, Compared
from analysis.records import Record, Study
from analysis.statistics import effects
from analysis.statistics.effects import FRACTIONS, imbalance_slope, score_at_cost
from analysis.tables.tables import mean_sd


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
        rows.append(
            (
                *head,
                single.estimate,
                one.miou.low,
                one.miou.high,
                one.miou.p,
                single.df,
                word,
                single.low,
                single.high,
            )
        )
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
                rows.append(
                    (
                        one.family,
                        one.a,
                        one.b,
                        name,
                        shares[i],
                        float(part.estimate[i]),
                        float(part.low[i]),
                        float(part.high[i]),
                        float(part.p[i]),
                        one.class_verdicts[i] if one.seeds_known else UNKNOWN,
                    )
                )
    return pd.DataFrame(rows, columns=columns)


def terciles(answer: Answer) -> pd.DataFrame:
    """Change of the mean IoU of rare, medium and frequent classes: a row per contrast and group.

    Returns: family, a, b, group, classes, estimate, low, high (adjusted over the three groups).
    """
    rows = [
        (
            one.family,
            one.a,
            one.b,
            name,
            ", ".join(answer.terciles[name]),
            float(one.terciles.estimate[i]),
            float(one.terciles.low[i]),
            float(one.terciles.high[i]),
        )
        for one in compared(answer)
        if one.terciles is not None
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
    chosen = [
        i
        for i, there in enumerate(study.present("test"))
        if there and shares[i] > 0 and not (i == 0 and study.data.get("background"))
    ]
    rows = []
    for one in compared(answer):
        found = imbalance_slope(
            np.asarray(one.difference.per_class.estimate)[chosen], shares[chosen]
        )
        rows.append(
            (one.family, one.a, one.b, found.n_classes, found.slope, found.lowest, found.highest)
        )
    return pd.DataFrame(rows, columns="family a b n_classes slope lowest highest".split())


def convergence(study: Study) -> pd.DataFrame:
    """How soon each arm's dev curve gets near the best final dev mIoU of the study.

    Returns: arm, n, then for 50, 75 and 90 %: "epochs to 50 %" (mean over the seeds that reach it)
        and "reach 50 %" (how many do); "area" (mean height of the curve), mIoU fractions.
    """
    runs = _evaluated(study)
    percents = [f"{100 * f:.0f} %" for f in FRACTIONS]
    columns = [
        "arm",
        "n",
        *(f"{what} {p}" for p in percents for what in ("epochs to", "reach")),
        "area",
    ]
    if not runs:
        return pd.DataFrame(columns=columns)
    curves = [
        (run.history["epoch"].to_numpy(float), run.history["dev/miou"].to_numpy(float))
        for run in runs
    ]
    found = effects.convergence(curves)
    rows = []
    for arm in dict.fromkeys(run.arm for run in runs):
        mine = [i for i, run in enumerate(runs) if run.arm == arm]
        reached = [epochs[np.isfinite(epochs)] for epochs in found.epochs[mine].T]
        rows.append(
            (
                arm,
                len(mine),
                *(x for e in reached for x in (mean_sd(e)[0], len(e))),
                float(found.area[mine].mean()),
            )
        )
    return pd.DataFrame(rows, columns=columns)


def at_cost(study: Study) -> pd.DataFrame:
    """What each arm's dev score had come to when all had trained for the same time.

    Runs that were resumed, or whose clock was set back, have no such time and are left out.

    Returns: arm, n (seeds with a time), first_min (when the fastest arm's last seed was done),
        second_min (when more than half of the arms were), end_min (when this arm was), and the
        means over these n of the best dev mIoU so far, "first", "second" and "end": NaN where a
        seed had no evaluation yet. Empty with fewer than two arms.
    """
    curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for run in _evaluated(study):
        minutes = run.history.get("minutes", pd.Series(math.nan)).to_numpy(float)
        if (np.diff(minutes, prepend=0.0) > 0).all():
            curves.setdefault(run.arm, []).append((minutes, run.history["dev/miou"].to_numpy()))
    columns = ["arm", "n", "first_min", "second_min", "end_min", "first", "second", "end"]
    if len(curves) < 2:
        return pd.DataFrame(columns=columns)
    ends = {arm: max(minutes[-1] for minutes, _ in mine) for arm, mine in curves.items()}
    done = sorted(ends.values())
    rows = []
    for arm, mine in curves.items():
        times = done[0], done[len(done) // 2], ends[arm]
        scores = np.mean([score_at_cost(*curve, times) for curve in mine], axis=0)
        rows.append((arm, len(mine), *times, *scores))
    return pd.DataFrame(rows, columns=columns)


def _evaluated(study: Study) -> list[Record]:
    return [
        run
        for run in study.finished()
        if "dev/miou" in run.history and run.history["dev/miou"].notna().any()
    ]
