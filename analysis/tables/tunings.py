"""Owns the table of tunings: how each tuned arm was chosen, and what became of it."""

from __future__ import annotations

import math

import pandas as pd

from analysis.records import Study
from analysis.statistics.seeds import mean_sd

COLUMNS = ["arm", "trials", "epochs", "default dev", "dev at selection", "dev again"]
COLUMNS += ["random again", "default n", "default test", "n", "test", "importances"]


def tunings(study: Study) -> pd.DataFrame:
    """How each tuned arm was chosen, and what became of it.

    Returns: arm, trials (by state), epochs (trained, of the budget), "default dev", "dev at
        selection", "dev again", "random again" (the same for random search of the same budget,
        where it was run), "default n", "default test", n and "test" (finished seeds and their mean
        test mIoU, of the default arm and of this one), importances ("name share, ...").
    """
    rows = []
    for arm, chosen in study.declaration.tunings.items():
        default = study.declaration.cell(arm).default
        tests: list[float] = []
        for runs in (study.finished(default) if default else (), study.finished(arm)):
            tests += [len(runs), mean_sd([run.result["test/miou"] for run in runs])[0]]
        weights = sorted(chosen.importances.items(), key=lambda item: -item[1])
        rows.append(
            (
                arm,
                chosen.states,
                f"{chosen.epochs} of {chosen.budget_epochs}",
                math.nan if chosen.default_dev is None else chosen.default_dev,
                chosen.dev_selected,
                chosen.dev_rerank,
                chosen.control.dev_rerank if chosen.control else math.nan,
                *tests,
                ", ".join(f"{name.removeprefix('loss.')} {share:.2f}" for name, share in weights),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)
