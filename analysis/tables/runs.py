"""Owns the tables of runs: each of them, its epochs, what is missing, superseded or unlike.

Must not know: how a table is shown, figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.records import Study
from analysis.run import Record
from study.record import run_name

RUN_COLUMNS = (
    "arm network loss seed state error best_epoch test_miou dev_miou minutes peak_memory_mb device"
    " commit run_id"
).split()


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


def missing(study: Study) -> pd.DataFrame:
    """What a complete study would have and this one has not, by name with the reason.

    Failed, pruned and unfinished runs; seeds that other arms have; arms never run; unreadable
    folders. Returns: run, arm, seed, state, reason, run_id.
    """
    rows: list[tuple[str, str, int | None, str, str, str]] = []
    for cell in study.cells:
        found = {run.seed: run for run in study.runs_of(cell.arm)}
        if not found:
            reason = "no run of this arm" + ("" if cell.cell_id else "; its cell has no id yet")
            rows.append((cell.arm, cell.arm, None, "not run", reason, ""))
            continue
        for seed in study.seeds:
            name, run = run_name(cell.arm, seed), found.get(seed)
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
    recipe = {**study.declaration.recipe, "data": study.data.fingerprint}
    rows = []
    for run in study.superseded:
        differs = [
            f"{key} = {shown(run.config[key])} (study: {shown(value)})"
            for key, value in recipe.items()
            if key in run.config and run.config[key] != value
        ]
        test_miou = run.result.get("test/miou", math.nan)
        rows.append((run.name, run.state, test_miou, "; ".join(differs), run.run_id, run.cell_id))
    columns = ["run", "state", "test_miou", "differs", "run_id", "cell_id"]
    return pd.DataFrame(rows, columns=columns)


def history(study: Study, metric: str | None = None) -> pd.DataFrame:
    """Per-epoch metrics, or one of them, of all finished runs, long form; epochs without a value
    have no row.

    Returns: arm, network, loss, variant, seed, best_epoch, epoch, metric, value.
    """
    cells = {cell.arm: cell for cell in study.cells}
    columns = ["arm", "network", "loss", "variant", "seed", "best_epoch"]
    runs, parts = study.finished(), [_long(run, metric) for run in study.finished()]
    n_rows = [len(values) for _, _, values in parts]
    if not sum(n_rows):
        return pd.DataFrame(columns=[*columns, "epoch", "metric", "value"])
    told = [
        (r.arm, r.network, (c := cells[r.arm]).loss, c.variant, r.seed, r.best_epoch) for r in runs
    ]
    by_run = pd.DataFrame(told, columns=columns).astype(dict.fromkeys(columns[:4], "category"))
    table = by_run.iloc[np.repeat(np.arange(len(runs)), n_rows)].reset_index(drop=True)
    epochs, metrics, values = zip(*parts, strict=True)
    table["epoch"] = np.concatenate(epochs)
    table["metric"] = pd.api.types.union_categoricals(metrics)
    table["value"] = np.concatenate(values)
    return table


def _long(run: Record, metric: str | None) -> tuple[np.ndarray, pd.Categorical, np.ndarray]:
    """Epochs, metrics and values of a run, (m,) each, metric by metric."""
    columns = dict(zip(run.told.metrics, run.told.values.T, strict=True))
    if run.minutes is not None:
        columns["minutes"] = run.minutes
    if metric is not None:
        columns = {name: columns[name] for name in (metric,) if name in columns}
    values = np.stack([*columns.values()]) if columns else np.zeros((0, len(run.told.epochs)))
    index, epoch = np.nonzero(~np.isnan(values))
    names = pd.Categorical.from_codes(index, categories=list(columns))
    return run.told.epochs[epoch], names, values[index, epoch]


def environment_mixtures(study: Study) -> pd.DataFrame:
    """Environment keys whose value is not the same in all finished runs, every attempt looked at.

    Returns: key, value, n_runs, runs (arms and seeds); a run resumed elsewhere is in two rows.
    """
    found: dict[str, dict[str, list[Record]]] = {}
    done = study.finished()
    keys = dict.fromkeys(key for run in done for attempt in run.environments for key in attempt)
    for key in keys:
        for run in done:
            values = [shown(attempt.get(key, "(not recorded)")) for attempt in run.environments]
            for value in dict.fromkeys(values):
                found.setdefault(key, {}).setdefault(value, []).append(run)
    rows = [
        (key, value, len(those), _names(those))
        for key, values in found.items()
        if len(values) > 1
        for value, those in values.items()
    ]
    return pd.DataFrame(rows, columns=["key", "value", "n_runs", "runs"])


def _names(runs: Iterable[Record]) -> str:
    """Runs grouped by arm: "<arm> seed 0, 1; <arm> seed 2"."""
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.arm, []).append(str(run.seed))
    return "; ".join(f"{arm} seed {', '.join(those)}" for arm, those in seeds.items())


def shown(value: object) -> str:
    """A setting as it is written in a table: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
