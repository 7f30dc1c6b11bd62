"""Seconds to read journals: of a run under way, event by event, and of a large study at once.

    python -m benchmarks.journal

The first must grow with the number of epochs, not with its square; the second be 10 s at most.
MLflow itself is left out: a stand-in takes what the projection writes.
"""

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np

from benchmarks.made_up import begin, declared, epoch, with_runs
from study.record import Journal, files, run_dirs
from study.tracking.projection import Projection

N_RUNS, N_EPOCHS = 2000, 60


def under_way(out: Path, n_epochs: int) -> tuple[float, float]:
    """Seconds reading the journal, and seconds in the projection, over all events of a run."""
    study, rng = declared(out / f"s{n_epochs}", n_epochs), np.random.default_rng(0)
    projection = Projection(study, out)
    data = SimpleNamespace(tags={"state": "running"}, params={}, metrics={})
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="r", status="RUNNING", end_time=None), data=data, inputs=None
    )
    projection.experiment = MagicMock(arrived={"r": set()})
    projection.experiment.run.return_value = run
    run_dir, spent, refresh = begin(study, study.cells[0], 0), [0.0, 0.0], Journal.refresh

    def timed(journal: Journal) -> Journal:
        began = time.perf_counter()
        try:
            return refresh(journal)
        finally:
            spent[0] += time.perf_counter() - began

    with run_dir.lock():
        for number in range(1, n_epochs + 1):
            run_dir.append(epoch(number, rng, evaluated=True))
            Journal.refresh = timed
            began = time.perf_counter()
            projection.run(run_dir.path)
            spent[1] += time.perf_counter() - began
            Journal.refresh = refresh
    assert projection.experiment.arrived["r"] == set(range(1, n_epochs + 1))
    return spent[0], spent[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        under_way(Path(scratch), 1)  # imports mlflow
        for n_epochs in (250, 500, 1000):
            reading, projecting = under_way(Path(scratch), n_epochs)
            print(
                f"{n_epochs} epochs sent one by one: {reading:.2f} s reading the journal, "
                f"{projecting:.2f} s in all but MLflow",
                flush=True,
            )
        study = with_runs(
            Path(scratch) / "many", N_RUNS, N_EPOCHS, "*.npz", "*.p[nt]*", "history.json"
        )
        began = time.perf_counter()
        for run_dir in run_dirs(study.path / files.RUNS):
            run_dir.record()
            assert len(run_dir.journal().epochs) == N_EPOCHS
        spent = time.perf_counter() - began
        print(f"{N_RUNS} runs of {N_EPOCHS} epochs read: {spent:.1f} s")


if __name__ == "__main__":
    main()
