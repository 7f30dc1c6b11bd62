"""A small study to put faults into, its comparison with one that nothing disturbed, and damage."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

from study.record import RunDir, run_dirs

ROOT = Path(__file__).parents[1]
N_RUNS = 6
TINY = {"width": 8, "crop_px": 32, "batch_size": 4, "precision": "fp32"}
TIMING = "minutes|memory|images_per_s|images/s|system/"  # columns, and metrics of history.csv


class Study:
    """A grid of 3 losses x 2 seeds on drawn images, run as a program."""

    def __init__(self, root: Path, name: str, data: Path) -> None:
        self.epochs = 100 if name.startswith("kill") else 40  # long enough for 20 kills
        self.out = root / name
        self.path = self.out / "s"
        settings = {**TINY, "epochs": self.epochs, "checkpoint_s": 0, "threads": 1, "retries": 99}
        self.words = "--study s --matrix losses --seeds 2 --workers 2".split()
        self.words += ["--data", str(data), "--out", str(self.out)]
        self.words += [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]

    def start(self, **more: object) -> subprocess.Popen:
        """Its process; `more` goes to Popen."""
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        return subprocess.Popen(
            [sys.executable, "runs.py", "--grid", *self.words],
            cwd=ROOT,
            env=environment,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **more},
        )

    def finish(self) -> None:
        process = self.start()
        text, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the study must finish, got exit code {process.returncode}: {text}")

    def runs(self) -> list[RunDir]:
        return run_dirs(self.path / "runs")

    def n_events(self) -> int:
        return sum(len(run.journal().events) for run in self.runs())

    def wait_for_events(self, process: subprocess.Popen) -> None:
        """Until some run has written to its journal."""
        before = self.n_events()
        while process.poll() is None and self.n_events() == before:
            time.sleep(0.05)

    def repeated(self) -> tuple[int, int]:
        """Attempts that went on inside a run after an epoch > 0, and epochs trained again."""
        resumed = again = 0
        for run in self.runs():
            reached = 0
            for event in run.journal().events:
                if event.event == "epoch":
                    reached = event.epoch
                elif event.event == "start":
                    resumed += event.after_epoch > 0
                    again += reached - event.after_epoch
        return resumed, again

    def tables(self) -> dict[str, pd.DataFrame]:
        words = [sys.executable, "runs.py", "--report", "--study", "s", "--out", str(self.out)]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return {
            p.name: untimed(pd.read_csv(p))
            for p in self.path.glob("report/tables/*.csv")
            if p.name != "score_at_cost.csv"
        }  # made of times

    def doubled_steps(self) -> int:
        """Points of a metric beyond the first at a step of an MLflow run."""
        with closing(sqlite3.connect(self.out / "mlflow.db")) as database:
            rows = database.execute(
                "SELECT count(*) FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid "
                "AND t.key = 'role' WHERE m.key = 'train/loss' GROUP BY m.run_uuid, step"
            )
            counts = [n for (n,) in rows]
        if len(counts) < N_RUNS * self.epochs:
            raise RuntimeError(f"MLflow must hold {N_RUNS * self.epochs} steps, got {len(counts)}")
        return sum(counts) - len(counts)

    def judge(self, reference: Study) -> tuple[int, str]:
        """Runs lost, and how the finished study differs from the undisturbed one."""
        lost = N_RUNS - sum(run.state() == "finished" for run in self.runs())
        differ = [
            name
            for name, table in self.tables().items()
            if not table.equals(reference.tables_cache[name])
        ]
        for run in self.runs():
            theirs = reference.path / "runs" / run.run_id
            ours, best = (torch.load(p / "best.pt", weights_only=True) for p in (run.path, theirs))
            if not all(torch.equal(ours[name], best[name]) for name in best):
                differ.append(f"{run.run_id}/best.pt")
            with np.load(run.path / "confusion.npz") as a, np.load(theirs / "confusion.npz") as b:
                differ += [f"{run.run_id}/{k}" for k in b.files if not np.array_equal(a[k], b[k])]
        doubled = self.doubled_steps()
        same = "tables, weights, confusions equal" if not differ else f"DIFFER: {differ}"
        return lost, f"{same}; MLflow steps doubled: {doubled}"


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the report without what no two runs share."""
    table = table[[name for name in table if not re.search(TIMING, name)]]
    if "metric" in table:
        table = table[~table["metric"].str.contains(TIMING)]
    return table.reset_index(drop=True)


def reference(root: Path, name: str, data: Path) -> Study:
    """The same study undisturbed."""
    study = Study(root, name, data)
    study.finish()
    study.tables_cache = study.tables()
    return study


def workers_of(driver: int) -> list[psutil.Process]:
    """The processes that work on runs: children of the driver's fork server."""
    return [worker for child in psutil.Process(driver).children() for worker in child.children()]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")
