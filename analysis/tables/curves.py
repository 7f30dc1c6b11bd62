"""Owns the tables of dev curves: speed of convergence, score at equal cost.

Must not know: how a table is shown, figures.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.records import Study
from analysis.run import Record
from analysis.statistics import curves
from analysis.statistics.curves import FRACTIONS, score_at_cost
from analysis.statistics.seeds import mean_sd


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
    found = curves.convergence([(run.told.epochs, values) for run, values in runs])
    rows = []
    for arm in dict.fromkeys(run.arm for run, _ in runs):
        mine = [i for i, (run, _) in enumerate(runs) if run.arm == arm]
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
    for run, values in _evaluated(study):
        minutes = run.minutes
        if minutes is not None and (np.diff(minutes, prepend=0.0) > 0).all():
            curves.setdefault(run.arm, []).append((minutes, values))
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


def _evaluated(study: Study) -> list[tuple[Record, np.ndarray]]:
    """The finished runs that have a dev curve, and (E,) its mIoU."""
    found = [(run, run.curve("dev/miou")) for run in study.finished()]
    return [(run, v) for run, v in found if v is not None and not np.isnan(v).all()]
