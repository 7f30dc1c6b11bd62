"""What of a study stands in MLflow, under which names, with which tags; read from its record.

MLflow is a projection of the journals: everything here can be done again, and what is there already
is not written twice. Which of it is sent when: `sender` and `sync`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from study.record import Cell, Journal, RunDir, RunRecord, TuningPlace, files, run_dirs, tunings_of
from study.study import Study
from study.tracking.child import Child, standing
from study.tracking.experiment import Experiment, Values
from study.tracking.names import MetricNames
from study.tracking.pages import pages
from study.tracking.store import tracking_uri

if TYPE_CHECKING:  # slow to import
    from mlflow.entities import Metric


class Projection:
    """A study in MLflow.

    Every method may raise what MLflow raises (then call `experiment.reconnect`) or RecordError.
    """

    def __init__(self, study: Study, out: Path) -> None:
        data, arms = study.declaration.data, [cell.arm for cell in study.cells]
        budget = study.declaration.budget
        chosen = f"\n\n{budget.words}" if budget else ""
        self.study, self._out, self._data = study, out, data
        self._names = MetricNames(data.classes)
        self._under_way: dict[Path, RunDir] = {}  # of these, only new lines are read
        self.experiment = Experiment(
            tracking_uri(out),
            study.name,
            study.declaration.uuid,
            out / "mlartifacts" / study.name,
            f"Comparison on {data.name}: {len(arms)} arms{chosen}\n\n- " + "\n- ".join(arms),
        )

    def run(self, path: Path, place: TuningPlace | None = None) -> bool:
        """Bring a run up to date: a seed under its arm, or a trial under its tuning, `place`.

        Returns: whether anything was missing.
        """
        run_dir = self._under_way.pop(path, None) or RunDir(path)  # anew after a failure to read
        if not run_dir.config.exists() or not (journal := run_dir.journal()).events:
            return False
        record, now = run_dir.record(), standing(run_dir, journal)
        if now.under_way:
            self._under_way[path] = run_dir
        child = Child(self.experiment, self._names, self._data, path, record, journal, now)
        if place is None:
            tags = self._tags(record, journal, record.arm)
            return child.send(record.name, record.arm, tags)
        return child.send(record.arm, place.title, self._tags(record, journal, place.arm))

    def _tags(self, record: RunRecord, journal: Journal, arm: str) -> Values:
        config, starts = record.config, journal.starts
        return {
            "study": self.study.name,
            "arm": arm,
            "network": record.network,
            "loss": config["loss"],
            "role": record.role,
            "seed": record.seed,
            "weights": config["weights_source"] or "none",
            "weights_sha256": str(config["weights"])[:12],
            "commit": starts[0].environment.get("commit", "") if starts else "",
        }

    def arm(self, cell: Cell, values: Mapping[str, float]) -> bool:
        """Write n, means and intervals of an arm; whether any were missing."""
        tags = {"study": self.study.name, "arm": cell.arm}
        params = {k: v for k, v in cell.levels.items() if k not in ("network", "arm")}
        return self._parent_values(cell.arm, tags, params, values, int(values["n"]))

    def tuning(self, place: TuningPlace) -> bool:
        """Write what a finished tuning chose, and its figures; whether any was missing."""
        result = place.read()
        if result is None:
            return False
        goal = f"best/dev_{result.objective}"
        values = {
            goal: result.dev_selected,
            f"{goal}_again": result.dev_rerank,
            **{f"importance/{k}": v for k, v in result.importances.items()},
        }
        tags = {
            "study": self.study.name,
            "arm": result.arm,
            "objective": result.objective,
            "sampler": result.sampler,
            "pruner": result.pruner,
            "budget_epochs": result.budget_epochs,
            **{f"best.{k}": v for k, v in result.params.items()},
        }
        run = self.experiment.parent(place.title, tags)
        self.experiment.put(run, sorted(place.runs.glob("*.png")))
        return self._parent_values(place.title, tags, {}, values, result.epochs)

    def _parent_values(
        self, parent: str, tags: Values, params: Values, metrics: Mapping[str, float], step: int
    ) -> bool:
        """Write a parent run's own values, e.g. n, mean and s.d. of an arm; whether any changed.

        `step` grows with the runs summarised. Should it fall, because runs were deleted, the
        values are written at the highest step so far, else MLflow would go on showing the old ones.
        """
        run = self.experiment.parent(parent, tags)
        known = run.metrics
        # what can no longer be had (an s.d. of one run) is NaN: a metric cannot be deleted
        values = dict.fromkeys(known, math.nan)
        values |= {self._names.of(name): float(value) for name, value in metrics.items()}
        changed = {k: v for k, v in values.items() if str(known.get(k)) != str(v)}
        step = max(step, int(run.tags.get("step", 0)))
        points = _points(changed, step) if changed else ()
        new = self.experiment.log(run, points, params, {**tags, "step": step})
        if new:
            self.experiment.refresh(run)
        return new

    def files(self) -> None:
        """Store the declaration and the panel's images with the study's own run."""
        names = (files.STUDY, files.PANEL)
        self.experiment.put_with_study({name: self.study.path / name for name in names})

    def report(self) -> None:
        """Store the last report, where there is one, with the study's own run."""
        if found := pages(self.study.path / files.REPORT):
            self.experiment.put_with_study(found)

    def finals(self) -> list[Path]:
        """Directories of the study's own runs."""
        return [run_dir.path for run_dir in run_dirs(self.study.path / files.RUNS)]

    def trials(self) -> list[tuple[Path, TuningPlace]]:
        """Directories of trials and re-runs, each with its tuning."""
        return [
            (run_dir.path, place) for place in self.tunings() for run_dir in run_dirs(place.runs)
        ]

    def tunings(self) -> Iterator[TuningPlace]:
        """Tunings of the study's arms."""
        for cell in self.study.cells:
            yield from tunings_of(self._out, cell)


def _points(values: Mapping[str, float], step: int) -> list[Metric]:
    from mlflow.entities import Metric  # slow to import

    stamp = int(time.time() * 1000)
    return [Metric(name, value, stamp, step) for name, value in values.items()]
