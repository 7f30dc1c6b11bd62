"""Seconds to send a study of many finished runs to MLflow and to read it back for a report.

    python -m benchmarks.reading [N_RUNS]      default 1000; SQLite with local artifacts
    python -m benchmarks.reading N_RUNS http   a server on loopback that hands out the artifacts

The run directories are made up, of the size of VOC2007's: 21 classes, 40 epochs, 210 test images.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from analysis import aggregate_arms
from analysis.records import read_study
from benchmarks.made_up import with_runs
from benchmarks.server import server
from study.study import Study
from study.tracking.fetch import fetch
from study.tracking.store import tracking_uri
from study.tracking.sync import sync

N_EPOCHS = 40


@contextmanager
def timed(text: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{text}: {time.perf_counter() - began:.1f} s", flush=True)


def main(n_runs: int, over_http: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        with timed(f"{n_runs} run directories made"):
            study = with_runs(out / "s", n_runs, N_EPOCHS)
        n_bytes = sum(p.stat().st_size for p in (study.path / "runs").rglob("*") if p.is_file())
        print(f"{n_bytes / n_runs / 1e3:.0f} kB a run")
        if over_http:
            with server(out / "server") as address:
                os.environ["MLFLOW_TRACKING_URI"] = address
                measure(study, out)
        else:
            measure(study, out)


def measure(study: Study, out: Path) -> None:
    aggregate = partial(aggregate_arms, study.path)
    with timed("sent (--sync)"):
        done = sync(study, out, aggregate)
    assert done.n_sent == done.n_runs and not done.problems, done
    with timed("sent again, nothing missing"):
        assert sync(study, out, aggregate).n_sent == 0
    with timed("fetched"):
        notes = fetch(tracking_uri(out), "s", out / "fetched")
    assert not notes, notes
    with timed("fetched files read into records"):
        fetched = read_study(out / "fetched")
    there = {run.run_id: run.result for run in read_study(study.path).runs}
    assert {run.run_id: run.result for run in fetched.runs} == there and len(there) == done.n_runs


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, "http" in sys.argv)
