"""Owns the tables of what a study declared and what its runs gave: from a Study to a DataFrame.

A mean never skips a value; its n is in the same table, or `n_finished` of its arm.
Must not know: how a table is shown, figures, statistics beyond mean and s.d.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from analysis.declaration import SPLITS, extra_axes
from analysis.records import Record, Study

RUN_COLUMNS = (
    "arm network loss seed state error best_epoch test_miou dev_miou minutes peak_memory_mb device"
    " commit run_id"
).split()


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1) of finite values; NaN for none, s.d. NaN for one."""
    mean = float(np.mean(values)) if len(values) else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


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
                **{axis: str(cell.values.get(axis, "")) for axis in extra_axes(study.cells)},
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
    """What an arm sets beside network and loss: loss parameters (of a run, if any) and own values.

    Returns: arm, settings ("name = value, ..."), one row per declared arm.
    """
    rows = []
    for cell in study.cells:
        own = {k: v for k, v in cell.values.items() if k not in ("model", "init", "loss", "tuning")}
        for run in study.runs_of(cell.arm)[:1]:
            params = run.config.get("loss_params") or {}
            own |= {f"loss.{name}": value for name, value in params.items()}
        rows.append((cell.arm, ", ".join(f"{k} = {_shown(v)}" for k, v in own.items())))
    return pd.DataFrame(rows, columns=["arm", "settings"])


def n_finished(study: Study) -> dict[str, int]:
    """Finished seeds of each declared arm: the n of every mean over its seeds."""
    return {cell.arm: len(study.finished(cell.arm)) for cell in study.cells}


def class_frequencies(data: Mapping[str, Any]) -> pd.DataFrame:
    """How rare is each class: shares by split, most frequent class of `fit` first.

    Args: data: with "classes", "pixel_share" and "image_share", as in study.json.
    Returns: class, then for fit, dev, test: <split>_pixel_share (of valid pixels) and
        <split>_image_share (of images that contain it).
    """
    table = pd.DataFrame({"class": list(data["classes"])})
    for split in SPLITS:
        table[f"{split}_pixel_share"] = data["pixel_share"][split]
        table[f"{split}_image_share"] = data["image_share"][split]
    return table.sort_values("fit_pixel_share", ascending=False, kind="stable", ignore_index=True)


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


def per_class(study: Study) -> pd.DataFrame:
    """Mean test IoU over the finished seeds, one row per class, most frequent in `fit` first.

    Returns: class, fit_pixel_share, fit_image_share, in_test (bool), one column per declared arm;
        NaN for a class absent from the test truth and for an arm without a finished run. The n of
        a column is `n_finished(study)[arm]`.
    """
    table = class_frequencies(study.data)[["class", "fit_pixel_share", "fit_image_share"]]
    present = dict(zip(study.classes, study.present("test"), strict=True))
    table["in_test"] = [present[name] for name in table["class"]]
    for cell in study.cells:
        done = study.finished(cell.arm)
        table[cell.arm] = [
            mean_sd([run.result[f"test/iou/{name}"] for run in done])[0]
            if present[name]
            else math.nan
            for name in table["class"]
        ]
    return table


def runs(study: Study) -> pd.DataFrame:
    """Every run of a declared arm, finished or not.

    Returns: arm, network, loss, seed, state, error, best_epoch, test_miou, dev_miou, minutes,
        peak_memory_mb, device, commit, run_id.
    """
    losses = {cell.arm: cell.loss for cell in study.cells}
    rows = [
        (
            run.arm,
            run.network,
            losses[run.arm],
            run.seed,
            run.state,
            run.error,
            run.best_epoch,
            run.result.get("test/miou", math.nan),
            run.result.get("dev/miou", math.nan),
            run.duration_s / 60,
            run.peak_memory_mb,
            str(run.environment.get("device", "")),
            str(run.environment.get("commit", "")),
            run.run_id,
        )
        for run in study.runs
    ]
    return pd.DataFrame(rows, columns=RUN_COLUMNS).astype({"best_epoch": "Int64"})


def tunings(study: Study) -> pd.DataFrame:
    """How each tuned arm was chosen, and what became of it.

    Returns: arm, trials (by state), epochs (trained, of the budget), "default dev", "dev at
        selection", "dev again", "random again" (the same for random search of the same budget,
        where it was run), "default n", "default test", n and "test" (finished seeds and their mean
        test mIoU, of the default arm and of this one), importances ("name share, ...").
    """
    rows = []
    defaults = {cell["arm"]: cell.get("default") for cell in study.declaration["cells"]}
    for arm, chosen in study.declaration.get("tunings", {}).items():
        weights = sorted(chosen.get("importances", {}).items(), key=lambda item: -item[1])
        dev = [
            math.nan if value is None else value
            for value in (
                chosen.get("default_dev"),
                chosen.get("dev_selected"),
                chosen.get("dev_rerank"),
                chosen.get("control", {}).get("dev_rerank"),
            )
        ]
        tests = [
            [run.result["test/miou"] for run in runs]
            for runs in (
                study.finished(defaults[arm]) if defaults.get(arm) else (),
                study.finished(arm),
            )
        ]
        trials = ", ".join(f"{n} {state}" for state, n in chosen.get("trials", {}).items())
        if chosen.get("dropped"):
            trials += f"; {chosen['dropped']} of the best dropped, a re-run failed"
        rows.append(
            (
                arm,
                trials,
                f"{chosen.get('epochs', '?')} of {chosen.get('budget_epochs', '?')}",
                *dev,
                *(part for values in tests for part in (len(values), mean_sd(values)[0])),
                ", ".join(f"{name.removeprefix('loss.')} {share:.2f}" for name, share in weights),
            )
        )
    return pd.DataFrame(
        rows,
        columns=[
            "arm",
            "trials",
            "epochs",
            "default dev",
            "dev at selection",
            "dev again",
            "random again",
            "default n",
            "default test",
            "n",
            "test",
            "importances",
        ],
    )


def cost(study: Study) -> pd.DataFrame:
    """What an arm costs: means over its finished seeds.

    Returns: arm, n, "minutes", "peak memory, MB", "parameters, M", "images/s" (training).
    """
    rows = []
    for cell in study.cells:
        done = study.finished(cell.arm)
        speed = [
            run.history["train/images_per_s"].mean()
            for run in done
            if "train/images_per_s" in run.history
        ]
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


def missing(study: Study) -> pd.DataFrame:
    """What a complete study would have and this one has not, by name with the reason.

    Failed, pruned and unfinished runs; seeds that other arms have; arms never run; unreadable
    folders. Returns: run, arm, seed, state, reason, run_id.
    """
    rows = []
    for cell in study.cells:
        found = {run.seed: run for run in study.runs_of(cell.arm)}
        if not found:
            reason = "no run of this arm" + ("" if cell.cell_id else "; its cell has no id yet")
            rows.append((cell.arm, cell.arm, None, "not run", reason, ""))
            continue
        for seed in study.seeds:
            name, run = f"{cell.arm} seed {seed}", found.get(seed)
            if run is None:
                rows.append((name, cell.arm, seed, "not run", "other arms have this seed", ""))
            elif not run.finished:
                rows.append((name, cell.arm, seed, run.state, run.error, run.run_id))
    rows += [(folder, "", None, "unreadable", why, "") for folder, why in study.strays]
    table = pd.DataFrame(rows, columns=["run", "arm", "seed", "state", "reason", "run_id"])
    return table.astype({"seed": "Int64"})


def superseded(study: Study) -> pd.DataFrame:
    """Final runs of cells this study does not declare: listed, never pooled.

    Returns: run, state, test_miou, differs (recipe fields or data of another value), run_id,
        cell_id.
    """
    recipe = {**study.declaration["recipe"], "data": study.data["fingerprint"]}
    rows = []
    for run in study.superseded:
        differs = [
            f"{key} = {_shown(run.config[key])} (study: {_shown(value)})"
            for key, value in recipe.items()
            if key in run.config and run.config[key] != value
        ]
        test_miou = run.result.get("test/miou", math.nan)
        rows.append((run.name, run.state, test_miou, "; ".join(differs), run.run_id, run.cell_id))
    columns = ["run", "state", "test_miou", "differs", "run_id", "cell_id"]
    return pd.DataFrame(rows, columns=columns)


def history(study: Study) -> pd.DataFrame:
    """Per-epoch metrics of all finished runs, long form; epochs without a value have no row.

    Returns: arm, network, loss, variant, seed, best_epoch, epoch, metric, value.
    """
    cells = {cell.arm: cell for cell in study.cells}
    columns = ["arm", "network", "loss", "variant", "seed", "best_epoch", "epoch"]
    parts = []
    for run in study.finished():
        long = run.history.melt(id_vars="epoch", var_name="metric").dropna(subset="value")
        cell = cells[run.arm]
        labels = (run.arm, run.network, cell.loss, cell.variant)
        for index, value in enumerate((*labels, run.seed, run.best_epoch)):
            long.insert(index, columns[index], value)
        if len(long):
            parts.append(long)
    if not parts:
        return pd.DataFrame(columns=[*columns, "metric", "value"])
    return pd.concat(parts, ignore_index=True)


def environment_mixtures(study: Study) -> pd.DataFrame:
    """Environment keys whose value is not the same in all finished runs, every attempt looked at.

    Returns: key, value, n_runs, runs (arms and seeds); a run resumed elsewhere is in two rows.
    """
    found: dict[str, dict[str, list[Record]]] = {}
    done = study.finished()
    keys = dict.fromkeys(key for run in done for attempt in run.environments for key in attempt)
    for key in keys:
        for run in done:
            values = [_shown(attempt.get(key, "(not recorded)")) for attempt in run.environments]
            for value in dict.fromkeys(values):
                found.setdefault(key, {}).setdefault(value, []).append(run)
    rows = [
        (key, value, len(those), _names(those))
        for key, values in found.items()
        if len(values) > 1
        for value, those in values.items()
    ]
    return pd.DataFrame(rows, columns=["key", "value", "n_runs", "runs"])


def aggregate_arm(study: Study, arm: str) -> dict[str, float]:
    """An arm's test metrics over its finished seeds, flat, to fill a tracker's parent run.

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
        mean, sd = mean_sd(values)
        aggregate[f"{metric}/mean"] = mean
        if len(done) > 1:
            aggregate[f"{metric}/sd"] = sd
            half = float(special.stdtrit(len(done) - 1, 0.975)) * sd / math.sqrt(len(done))
            aggregate[f"{metric}/low"], aggregate[f"{metric}/high"] = mean - half, mean + half
    return aggregate


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _names(runs: Iterable[Record]) -> str:
    """Runs grouped by arm: "<arm> seed 0, 1; <arm> seed 2"."""
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.arm, []).append(str(run.seed))
    return "; ".join(f"{arm} seed {', '.join(those)}" for arm, those in seeds.items())
