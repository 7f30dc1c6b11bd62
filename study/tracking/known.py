"""What MLflow has of a run: through its client, or straight from a SQLite file.

MLflow's search reads all of every run, 5 ms each; whether anything is missing is told by less.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to import
    from mlflow.entities import Run

RUNS = """SELECT run_uuid, runs.name, status, end_time, artifact_uri FROM runs JOIN experiments
    USING (experiment_id) WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'"""
TAGS = """SELECT tags.run_uuid, key, value FROM tags JOIN runs USING (run_uuid) JOIN experiments
    USING (experiment_id) WHERE experiments.name = ? AND key IN ('run_key', 'state', 'kind')"""
TAG = "SELECT key, value FROM tags WHERE run_uuid = ?"
PARAM = "SELECT key, value FROM params WHERE run_uuid = ?"
METRIC = """SELECT key, CASE WHEN is_nan THEN NULL ELSE value END FROM latest_metrics
    WHERE run_uuid = ?"""


@dataclass(frozen=True)
class Known:
    """A run in MLflow. Unless it is `whole`, only what tells whether it is complete."""

    run_id: str
    name: str
    status: str
    end_time: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    has_data: bool = False
    whole: bool = True

    @classmethod
    def of(cls, run: Run) -> Known:
        info, data = run.info, run.data
        has_data = bool(run.inputs and run.inputs.dataset_inputs)
        return cls(
            info.run_id,
            info.run_name,
            info.status,
            info.end_time,
            info.artifact_uri,
            data.tags,
            data.params,
            data.metrics,
            has_data,
        )


def read(path: Path, name: str) -> tuple[str, dict[str, Known]] | None:
    """(where its artifacts go, runs by tag run_key) of an experiment in a SQLite file.

    Parents and the study's own run are whole.
    Returns: None where the file or the experiment is not there, or is deleted.
    """
    if not path.is_file():
        return None
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.execute("BEGIN")  # one state of it
        place = connection.execute(
            "SELECT artifact_location FROM experiments WHERE name = ? AND lifecycle_stage = ?",
            (name, "active"),
        ).fetchone()
        if place is None:
            return None
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for run_id, key, value in connection.execute(TAGS, (name,)):
            tags[run_id][key] = value
        found = {}
        for run_id, title, status, end, uri in connection.execute(RUNS, (name,)).fetchall():
            run = Known(run_id, title, status, end, uri, tags[run_id], whole=False)
            if "kind" in run.tags:
                run = _whole(connection, run)
            if "run_key" in run.tags:
                found[run.tags["run_key"]] = run
        return str(place[0] or ""), found


def _whole(connection: sqlite3.Connection, run: Known) -> Known:
    tags, params, metrics = (
        dict(connection.execute(sql, (run.run_id,)).fetchall()) for sql in (TAG, PARAM, METRIC)
    )
    values = {name: math.nan if value is None else value for name, value in metrics.items()}
    return replace(run, tags=tags, params=params, metrics=values, whole=True)
