"""What MLflow holds after its store failed during a study, against the journals.

    python -m benchmarks.tracking_faults [FAULT ...]      about 2 minutes each; default all

Each fault hits a real `--grid` (three small runs of one thread on shapes) after its first epoch. At
the end the store is made whole and `--sync` sends what is missing. Lost: (run, metric, step) of a
journal that MLflow does not have; repeated: that it has more than once, or runs that it has twice.
"""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import free_port, server
from study.record import files, run_dirs
from study.record.journal import Finished, Metrics
from study.tracking.child import STATUS
from study.tracking.store import all_runs, connect, tracking_uri

ROOT = Path(__file__).parents[1]
STUDY = ["--study", "s"]
GRID = ["--grid", *STUDY, *"--matrix losses --seeds 1 --workers 1".split()]
GRID += "--set epochs=6 --set width=4 --set n_evaluations=6 --set threads=1".split()


@contextmanager
def lost(out: Path, seconds: float | None) -> Iterator:
    """A server that is killed and, after `seconds`, started again; None: after the study."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        first = contextlib.ExitStack()
        os.environ["MLFLOW_TRACKING_URI"] = first.enter_context(server(out / "server", port))

        def inject() -> None:
            first.close()
            if seconds:
                time.sleep(seconds)
                stack.enter_context(server(out / "server", port))

        def mend() -> None:
            if not seconds:
                stack.enter_context(server(out / "server", port))

        yield inject, mend


@contextmanager
def frozen(out: Path, seconds: float) -> Iterator:
    """A server that takes requests and does not answer for a while."""
    with server(out / "server") as address:
        os.environ["MLFLOW_TRACKING_URI"] = address
        group = int((out / "server/pid").read_text())

        def inject() -> None:
            os.killpg(group, signal.SIGSTOP)
            time.sleep(seconds)
            os.killpg(group, signal.SIGCONT)

        yield inject, lambda: None


@contextmanager
def locked(out: Path, seconds: float) -> Iterator:
    """A SQLite file that another process keeps locked for writing."""

    def inject() -> None:
        with contextlib.closing(sqlite3.connect(out / "mlflow.db", timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)

    yield inject, lambda: None


@contextmanager
def read_only(out: Path) -> Iterator:
    """A SQLite file that refuses every new row: by a trigger, since root may write to any file."""
    tables = ("metrics", "tags", "params", "runs")

    def execute(sql: str) -> None:
        with contextlib.closing(sqlite3.connect(out / "mlflow.db", timeout=60)) as other:
            for table in tables:
                other.execute(sql.format(table=table))

    yield (
        lambda: execute(
            "CREATE TRIGGER deny_{table} BEFORE INSERT ON {table} BEGIN SELECT "
            "RAISE(ABORT, 'attempt to write a readonly database'); END"
        ),
        lambda: execute("DROP TRIGGER deny_{table}"),
    )


@contextmanager
def driver_killed(out: Path) -> Iterator:
    """SIGKILL for the driver in the middle of a run; nothing continues it."""
    yield None, lambda: None


FAULTS = {
    "server killed for 60 s": lambda out: lost(out, 60),
    "server killed and started at once": lambda out: lost(out, 0.1),
    "server killed for the rest": lambda out: lost(out, None),
    "server frozen for 40 s": lambda out: frozen(out, 40),
    "SQLite locked for 30 s": lambda out: locked(out, 30),
    "SQLite read-only for the rest": read_only,
    "driver killed -9": driver_killed,
}


def difference(out: Path) -> tuple[int, int, int, int]:
    """(values in the journals, lost, repeated, runs whose state or status is another)."""
    client = connect(tracking_uri(out))
    found = list(all_runs(client, client.get_experiment_by_name("s").experiment_id))
    children = [run for run in found if "role" in run.data.tags]
    there = Counter(
        (run.data.tags["run_id"], key, point.step)
        for run in children
        for key in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, key)
    )
    wanted, wrong = set(), 0
    states = {
        run.data.tags["run_id"]: (run.data.tags.get("state"), run.info.status) for run in children
    }
    for run_dir in run_dirs(out / "s" / files.RUNS):
        journal, name = run_dir.journal(), run_dir.run_id
        for event in journal.epochs:
            wanted |= _values(name, event.metrics, event.epoch)
        last = journal.last
        if isinstance(last, Finished):
            test = {k: v for k, v in last.metrics.items() if k.startswith("test/")}
            wanted |= _values(name, test, last.best_epoch)
        state = last.event if last is not None and last.event in STATUS else "dead"
        wrong += states.get(name) != (state, STATUS.get(state, "KILLED"))
    names = Counter(run.data.tags["run_key"] for run in found)
    repeated = sum(n - 1 for n in there.values()) + sum(n - 1 for n in names.values())
    return len(wanted), len(wanted - set(there)), repeated, wrong


def _values(run: str, metrics: Metrics, step: int) -> set[tuple[str, str, int]]:
    return {(run, name, step) for name, value in metrics.items() if value is not None}


def main(chosen: list[str]) -> None:
    print(
        "| fault | values | at the end of --grid: lost, repeated | --grid said | sent by --sync "
        "| lost, repeated, wrong states |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in chosen or FAULTS:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch)
            with FAULTS[name](out) as (inject, mend):
                print(
                    f"| {name} | " + " | ".join(map(str, one(out, inject, mend))) + " |", flush=True
                )


def one(out: Path, inject, mend) -> tuple:
    """Run the study with one fault; the cells of its row."""
    process = subprocess.Popen(
        [sys.executable, "runs.py", *GRID, "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not any(b'"epoch"' in p.read_bytes() for p in out.glob("s/runs/*/journal.jsonl")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    if inject:
        inject()
    else:
        process.kill()
    text = process.communicate()[0]
    assert process.returncode in (0, -9), text
    said = re.search(r"MLflow is behind .*", text)
    mend()
    before = difference(out)
    sync = subprocess.run(
        [sys.executable, "runs.py", "--sync", *STUDY, "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    sent = re.search(r"sync: (\d+ of \d+)", sync.stdout)
    after = difference(out)
    return (
        after[0],
        f"{before[1]}, {before[2]}",
        said[0] if said else "nothing",
        f"{sent[1] if sent else sync.stdout}, exit {sync.returncode}",
        f"{after[1]}, {after[2]}, {after[3]}",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
