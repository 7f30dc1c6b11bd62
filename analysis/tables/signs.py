"""Owns the table of what finished runs show of not having learnt, and the classes none predicts.

From the records alone, so that it holds for runs of before too. Must not know: wording of a report.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.records import Study
from analysis.run import Record
from seglib.metrics import Predicted, Sign, class_counts, predicted
from seglib.metrics import signs as signs_of

COLUMNS = ["run", "arm", "seed", "kind", "what"]


def signs(study: Study) -> pd.DataFrame:
    """Every sign of every finished run, in declaration order; see `seglib.metrics.signs`.

    Returns: run, arm, seed, kind (one class, never predicted, no rise, plateau), what.
    """
    rows = [
        (run.name, run.arm, run.seed, sign.kind, sign.text)
        for run in study.finished()
        for sign in _signs(run, study.classes)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def predictions(study: Study) -> dict[str, list[Predicted]]:
    """What the test predictions of each arm's finished runs hold; arms without one left out."""
    return {
        cell.arm: [predicted(class_counts(run.test_total)) for run in done]
        for cell in study.cells
        if (done := study.finished(cell.arm))
    }


def _signs(run: Record, classes: tuple[str, ...]) -> tuple[Sign, ...]:
    nowhere = np.full(len(run.told.epochs), math.nan)
    dev, loss = (run.curve(name) for name in ("dev/miou", "train/loss"))
    params = run.config.get("loss_params")
    return signs_of(
        {"dev": run.dev_counts, "test": class_counts(run.test_total)},
        classes,
        epochs=run.told.epochs,
        dev_miou=nowhere if dev is None else dev,
        train_loss=nowhere if loss is None else loss,
        ramp=float(params.get("ramp") or 0) if isinstance(params, dict) else 0.0,
    )
