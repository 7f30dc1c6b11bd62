"""What became of a trial's run, and of the re-runs of the best: scores on dev, states.

Reads journals; knows nothing of Optuna's study or the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from seglib.metrics import terciles
from study.config import RunConfig
from study.record import TERMINAL, DataFacts, RunDir, State
from study.record.journal import Died, Failed, Metrics
from study.tuning.options import TuningError

N_CANDIDATES, N_RERANK_SEEDS = 5, 2  # settings run again, and the fresh seeds of each
LAST_EVALUATIONS = 2  # the objective is the mean over this many last evaluations on dev


def rare_classes(data: DataFacts) -> list[str]:
    """The rarest third of the classes in fit, of those that dev shows, without background.

    Raises: TuningError when that is none.
    """
    fit, dev = np.array(data.pixel_share["fit"]), np.array(data.pixel_share["dev"])
    exclude = (0,) if data.background else ()
    rare = terciles(np.where(dev > 0, fit, 0.0), exclude=exclude)["rare"]
    if not rare:
        raise TuningError(
            "tune.objective=rare must have two classes in dev besides the background, got fewer; "
            "use miou"
        )
    return [data.classes[index] for index in rare]


def value_at(metrics: Metrics, rare: Sequence[str]) -> float:
    """The objective at one epoch, of all classes where `rare` is empty.

    NaN where dev was not evaluated or shows nothing of it.
    """
    names = [f"dev/iou/{name}" for name in rare] or ["dev/miou"]
    found = [value for name in names if (value := metrics.get(name)) is not None]
    return float(np.mean(found)) if found else math.nan


def objective(run_dir: RunDir, rare: Sequence[str]) -> float:
    """Mean over the last evaluations, not the best epoch: less lucky. NaN where undefined."""
    values = [value_at(epoch.metrics, rare) for epoch in run_dir.journal().epochs]
    values = [value for value in values if not math.isnan(value)]
    return float(np.mean(values[-LAST_EVALUATIONS:])) if values else math.nan


def met_full_disk(run_dir: RunDir) -> bool:
    """Whether a run ended because the disk was full, which is no fault of its settings."""
    last = run_dir.journal().last
    return isinstance(last, Failed | Died) and last.disk_full


def state_of(run_dir: RunDir) -> State:
    """The state of a trial's run; one that a full disk ended is to be gone on with."""
    return "dead" if met_full_disk(run_dir) else run_dir.state()


@dataclass(frozen=True)
class Candidate:
    """A trial whose settings may be chosen, with its re-runs."""

    trial: FrozenTrial
    runs: list[tuple[RunConfig, RunDir]]

    def missing(self) -> list[tuple[RunConfig, RunDir]]:
        """The re-runs that are not done."""
        return [run for run in self.runs if state_of(run[1]) not in TERMINAL]

    def score(self, rare: Sequence[str]) -> float | None:
        """The mean objective of the re-runs; None when one of them failed or has none."""
        if any(run_dir.state() != "finished" for _, run_dir in self.runs):
            return None
        score = float(np.mean([objective(run_dir, rare) for _, run_dir in self.runs]))
        return None if np.isnan(score) else score
