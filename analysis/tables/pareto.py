"""Owns the table of score against cost, and what is on the Pareto front of each cost.

Must not know: how a table is shown, figures.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.records import Study
from analysis.tables import arms

COSTS = {"parameters, M": 1, "images/s": -1, "minutes": 1}  # -1: the less there is, the dearer


def pareto(study: Study) -> pd.DataFrame:
    """Mean test mIoU and cost of each arm that has a finished run, in declaration order.

    Returns: arm, network, variant (what the arm is beside its network), n, "test/miou mean", the
        COSTS, and "front: <cost>" each: whether the arm is on its front, by means alone.
    """
    scores = arms.summary(study)[["arm", "network", "n", "test/miou mean"]]
    scores.insert(2, "variant", [cell.variant for cell in study.cells])
    table = scores.merge(arms.cost(study)[["arm", *COSTS]], on="arm")
    table = table[table["n"] > 0].reset_index(drop=True)
    for cost, sign in COSTS.items():
        values = sign * table[cost].to_numpy(float)
        table[f"front: {cost}"] = front(table["test/miou mean"].to_numpy(float), values)
    return table


def front(scores: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """(A,) whether no other is as good at no more cost, and better or cheaper; False with a NaN.

    Args: scores, costs: (A,) each; of two that are equal in both, both are on it.
    """
    as_good = (scores[:, None] >= scores) & (costs[:, None] <= costs)
    beats = as_good & ((scores[:, None] > scores) | (costs[:, None] < costs))
    return ~beats.any(axis=0) & np.isfinite(scores) & np.isfinite(costs)
