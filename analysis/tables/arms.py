"""Owns the tables of arms: scores, settings, cost, means over seeds; a row per declared arm.

A mean never skips a value; its n is in the same table, or `n_finished` of its arm.
Must not know: how a table is shown, figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.records import AXES, Study
from analysis.run import Record
from analysis.statistics.seeds import mean_interval, mean_sd
from analysis.tables.runs import shown


def status(runs: Iterable[Record]) -> str:
    """An arm's state in a word: finished, incomplete, failed, pruned, unfinished or not run."""
    states = [run.state for run in runs]
    if set(states) <= {"finished"}:
        return "finished" if states else "not run"
    if "finished" in states:
        return "incomplete"
    return next(state for state in ("failed", "unfinished", "pruned") if state in states)


def summary(study: Study) -> pd.DataFrame:
    """One row per declared arm, in declaration order; arms without a finished run keep n = 0.

    Returns: arm, network, loss, extra axes, status, n (finished seeds), n_failed; "test/miou mean",
        "... sd", "... min", "... max"; "dev/miou mean" (at the best epoch); "test/pixel_accuracy
        mean"; "minutes per run mean" (training and evaluation); "parameters, M" (millions).
    """
    rows = []
    for cell in study.cells:
        runs, done = study.runs_of(cell.arm), study.finished(cell.arm)
        test = [run.result["test/miou"] for run in done]
        mean, sd = mean_sd(test)
        accuracy = [run.result["test/pixel_accuracy"] for run in done]
        sizes = [run.n_parameters for run in runs if run.n_parameters is not None]
        rows.append(
            {
                "arm": cell.arm,
                "network": cell.network,
                "loss": cell.loss,
                **{axis: str(cell.levels.get(axis, "")) for axis in study.extra_axes},
                "status": status(runs),
                "n": len(done),
                "n_failed": sum(run.state == "failed" for run in runs),
                "test/miou mean": mean,
                "test/miou sd": sd,
                "test/miou min": min(test, default=math.nan),
                "test/miou max": max(test, default=math.nan),
                "dev/miou mean": mean_sd([run.result["dev/miou"] for run in done])[0],
                "test/pixel_accuracy mean": mean_sd(accuracy)[0],
                "minutes per run mean": mean_sd([run.duration_s / 60 for run in done])[0],
                "parameters, M": sizes[-1] / 1e6 if sizes else math.nan,
            }
        )
    return pd.DataFrame(rows)


def settings(study: Study) -> pd.DataFrame:
    """What an arm sets beside network and loss: fields, factors, loss parameters.

    Loss parameters are those of a run, if there is any.

    Returns: arm, settings ("name = value, ..."), one row per declared arm.
    """
    rows = []
    for cell in study.cells:
        own = {k: v for k, v in cell.levels.items() if k not in (*AXES, "network", "arm")}
        for run in study.runs_of(cell.arm)[:1]:
            if isinstance(params := run.config["loss_params"], dict):
                own |= {f"loss.{name}": value for name, value in params.items()}
        rows.append((cell.arm, ", ".join(f"{k} = {shown(v)}" for k, v in own.items())))
    return pd.DataFrame(rows, columns=["arm", "settings"])


def n_finished(study: Study) -> dict[str, int]:
    """Finished seeds of each declared arm: the n of every mean over its seeds."""
    return {cell.arm: len(study.finished(cell.arm)) for cell in study.cells}


def void_scored(study: Study) -> pd.DataFrame:
    """Arms that learnt void as a class: their mIoU, and what it is when void is scored too.

    Returns: arm, n, "test/miou mean" (void not scored), "test/miou_void_scored mean" (void as one
        more class in truth and prediction); a row per arm whose finished runs hold both.
    """
    rows = []
    for cell in study.cells:
        done = [run for run in study.finished(cell.arm) if "test/miou_void_scored" in run.result]
        if done:
            rows.append(
                {"arm": cell.arm, "n": len(done)}
                | {
                    f"{key} mean": mean_sd([run.result[key] for run in done])[0]
                    for key in ("test/miou", "test/miou_void_scored")
                }
            )
    return pd.DataFrame(rows, columns=["arm", "n", "test/miou mean", "test/miou_void_scored mean"])


def cost(study: Study) -> pd.DataFrame:
    """What an arm costs: means over its finished seeds.

    Returns: arm, n, "minutes", "peak memory, MB", "parameters, M", "images/s" (training).
    """
    rows = []
    for cell in study.cells:
        done = study.finished(cell.arm)
        speeds = [run.curve("train/images_per_s") for run in done]
        speed = [_mean(column) for column in speeds if column is not None]
        sizes = [run.n_parameters for run in done if run.n_parameters is not None]
        rows.append(
            (
                cell.arm,
                len(done),
                mean_sd([run.duration_s / 60 for run in done])[0],
                mean_sd([run.peak_memory_mb for run in done])[0],
                sizes[0] / 1e6 if sizes else math.nan,
                mean_sd(speed)[0],
            )
        )
    return pd.DataFrame(
        rows, columns=["arm", "n", "minutes", "peak memory, MB", "parameters, M", "images/s"]
    )


def _mean(values: np.ndarray) -> float:
    """Of those that there are."""
    there = ~np.isnan(values)
    return float(np.where(there, values, 0).sum() / there.sum()) if there.any() else math.nan


def aggregate_arm(study: Study, arm: str) -> dict[str, float]:
    """An arm's test metrics over its finished seeds, flat, to fill the parent run in MLflow.

    Returns: "n", and for each test metric that every run has a finite value of "<metric>/mean"
        and, from two runs on, "<metric>/sd" (ddof 1) and "<metric>/low", "<metric>/high": the 95 %
        t interval of the mean over seeds, on these test images. Never NaN: what does not exist is
        left out, as are classes absent from the test truth (an IoU of 0 there says only that a run
        predicted them).
    """
    done = study.finished(arm)
    in_test = dict(zip(study.classes, study.present("test"), strict=True))
    aggregate: dict[str, float] = {"n": len(done)}
    for metric in done[0].result if done else ():
        values = [run.result.get(metric, math.nan) for run in done]
        if not metric.startswith("test/") or not all(map(math.isfinite, values)):
            continue
        if not in_test.get(metric.removeprefix("test/iou/"), True):
            continue
        aggregate[f"{metric}/mean"], sd = mean_sd(values)
        if len(done) > 1:
            aggregate[f"{metric}/sd"] = sd
            aggregate[f"{metric}/low"], aggregate[f"{metric}/high"] = mean_interval(values)
    return aggregate
