"""Faults put into small studies, and what became of them: a table for NOTES.md.

    python benchmarks/faults.py [NAME ...]     of kill damage signals disk many many-killed

Each study is compared with one that nothing disturbed: tables of the report (timing columns
aside), best weights, confusion matrices; and each epoch must be in MLflow once. About 15 minutes.
`tests/test_faults.py` holds the faults that need no study.
"""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.shapes import write_shapes
from study.config import RunConfig
from study.execution.executor import Job, LocalExecutor
from study.record.rundir import RunDir

ROOT = Path(__file__).parents[1]
N_RUNS = 6
NAMES = ("kill", "damage", "signals", "disk", "many", "many-killed")
TINY = {"width": 8, "crop_px": 32, "batch_size": 4, "precision": "fp32"}
TIMING = "minutes|memory|images_per_s|images/s|system/"  # columns, and metrics of history.csv
COLUMNS = ("fault", "how", "times", "lost", "repeated", "outcome")


class Study:
    """A grid of 3 losses x 2 seeds on drawn images, run as a program."""

    def __init__(self, root: Path, name: str, data: Path) -> None:
        self.epochs = 100 if name.startswith("kill") else 40  # long enough for 20 kills
        self.out = root / name
        self.path = self.out / "s"
        settings = {**TINY, "epochs": self.epochs, "checkpoint_s": 0, "threads": 1, "retries": 99}
        self.words = [
            "--study",
            "s",
            "--matrix",
            "losses",
            "--data",
            str(data),
            "--out",
            str(self.out),
            "--seeds",
            "2",
            "--workers",
            "2",
            *(w for k, v in settings.items() for w in ("--set", f"{k}={v}")),
        ]

    def start(self) -> subprocess.Popen:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        return subprocess.Popen(
            [sys.executable, "runs.py", "--grid", *self.words],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def finish(self) -> None:
        process = self.start()
        text, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the study must finish, got exit code {process.returncode}: {text}")

    def runs(self) -> list[RunDir]:
        return [RunDir(p.parent) for p in self.path.glob("runs/*/config.json")]

    def n_rows(self) -> int:
        return sum(len(run.rows()) for run in self.runs())

    def wait_for_rows(self, process: subprocess.Popen) -> None:
        """Until some run has written to its journal."""
        before = self.n_rows()
        while process.poll() is None and self.n_rows() == before:
            time.sleep(0.05)

    def repeated(self) -> tuple[int, int]:
        """Attempts that went on inside a run after an epoch > 0, and epochs trained again."""
        resumed = again = 0
        for run in self.runs():
            reached = 0
            for row in run.rows():
                if row["event"] == "epoch":
                    reached = row["epoch"]
                elif row["event"] == "start":
                    resumed += row["after_epoch"] > 0
                    again += reached - row["after_epoch"]
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


def kill(study: Study, whole: Study, rng: random.Random) -> tuple:
    """20 kills at random moments, driver and worker in turn; one driver in five while it starts."""
    n_driver = n_worker = n_early = 0
    process = study.start()
    while n_driver + n_worker < 20:
        early = n_driver % 5 == 4 and n_driver == n_worker
        if early:
            time.sleep(rng.uniform(0, 4))
        else:
            study.wait_for_rows(process)
            time.sleep(rng.uniform(0, 1.5))
        if process.poll() is not None:
            raise RuntimeError(
                f"the study must outlast 20 kills, got {n_driver + n_worker}; give it more epochs"
            )
        if n_driver <= n_worker:
            process.kill()
            process.communicate()
            process = study.start()
            n_driver, n_early = n_driver + 1, n_early + early
        elif workers := workers_of(process.pid):
            rng.choice(workers).kill()
            n_worker += 1
    process.communicate()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    times = f"{n_driver} driver ({n_early} at its start), {n_worker} worker"
    return (
        "kill -9",
        f"random moments; resumed {resumed} times after an epoch > 0",
        times,
        lost,
        f"{again} epochs",
        outcome,
    )


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


def damage(study: Study, whole: Study, rng: random.Random) -> tuple:
    """Driver killed, the checkpoints of its runs damaged, continued; twice each way."""
    evil, n = study.out / "evil", 0
    ways = (truncate, flip, lambda path: path.write_bytes(pickle.dumps(Evil(evil))))
    for way in [*ways] * 2:
        process = study.start()
        study.wait_for_rows(process)
        time.sleep(rng.uniform(0.3, 1))
        process.kill()
        process.communicate()
        for run in study.runs():
            while run.locked():
                time.sleep(0.05)
            if run.last.exists():
                way(run.last)
                n += 1
    study.finish()
    said = sum(row["event"] == "note" for run in study.runs() for row in run.rows())
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    code = "code was run" if evil.exists() else "no code run"
    return (
        "checkpoint truncated, bit flipped, malicious pickle",
        f"driver killed, every last.pt damaged; {said} said, {resumed} resumed",
        n,
        lost,
        f"{again} epochs",
        f"{outcome}; {code}",
    )


def signals(study: Study, whole: Study, rng: random.Random) -> tuple:
    """Ctrl-C and SIGTERM at random moments from the first on: seconds to the end, exit code."""
    took_s, bad = [], []
    for i in range(8):
        process = study.start()
        if i % 2:
            study.wait_for_rows(process)
        time.sleep(rng.uniform(0.2, 3))
        began = time.monotonic()
        process.send_signal((signal.SIGINT, signal.SIGTERM)[i // 2 % 2])
        text, _ = process.communicate()
        took_s.append(time.monotonic() - began)
        if process.returncode != 130 or "continue with: python" not in text or "Trace" in text:
            bad.append(f"exit code {process.returncode}: {text[-300:]}")
    study.finish()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    said = "exit 130 and the command each time" if not bad else f"BAD: {bad}"
    return (
        "Ctrl-C, SIGTERM",
        f"random moments, imports included; resumed {resumed} times",
        len(took_s),
        lost,
        f"{again} epochs",
        f"at most {max(took_s):.1f} s; {said}; {outcome}",
    )


def disk(study: Study, whole: Study, rng: random.Random) -> tuple:
    """A small tmpfs filled while two runs train; continued after room was made."""
    study.out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", study.out])
    if mounted.returncode:
        return "disk full", "no tmpfs may be mounted here", 0, "-", "-", "not tried"
    try:
        process = study.start()
        study.wait_for_rows(process)
        time.sleep(rng.uniform(1, 2))
        filler = study.out / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**12))
            except OSError:
                pass
        text, _ = process.communicate()
        lines = [line for line in text.splitlines() if line.startswith("disk full: no more runs")]
        states = sorted(run.state() for run in study.runs())
        filler.unlink()
        study.finish()
        resumed, again = study.repeated()
        lost, outcome = study.judge(whole)
        return (
            "disk full",
            "tmpfs filled while 2 runs train",
            1,
            lost,
            f"{again} epochs",
            f"exit {process.returncode}, {len(lines)} line, left {', '.join(states)}; with "
            f"room again {resumed} resumed; {outcome}",
        )
    finally:
        subprocess.run(["umount", study.out], check=True)


def many(root: Path, rng: random.Random, kill_every: int = 0) -> tuple:
    """100 runs of one epoch on two images with 8 workers; some workers killed."""
    folder = root / "two"
    if not folder.exists():
        write_shapes(folder, n_train=2, n_val=2, n_test=2)
    store = build_store(open_folder(folder), root / "store", max_side=None)
    configs = [
        RunConfig(
            data=store.fingerprint,
            model="unet",
            init="scratch",
            loss="bce",
            seed=seed,
            epochs=1,
            **TINY,
            store=str(store.path),
        )
        for seed in range(100)
    ]
    jobs = [Job(c, f"seed {c.seed}", root / f"many{kill_every}" / c.run_id) for c in configs]
    executor, died = LocalExecutor(8), 0
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("hung: 100 runs took more than 10 minutes"))
    signal.alarm(600)
    begun: set[int] = set()
    start = executor._start

    def start_and_kill(job: Job) -> None:
        start(job)
        if kill_every and job.config.seed % kill_every == 0 and job.config.seed not in begun:
            begun.add(job.config.seed)
            process = executor._workers[job.config.run_id].process
            threading.Timer(rng.uniform(0, 0.5), process.kill).start()

    executor._start = start_and_kill
    for event in executor.run(jobs):
        if event.kind in ("died", "failed"):
            died += 1
            executor.again(event.job)
    signal.alarm(0)
    events = [[row["event"] for row in RunDir(job.path).rows()] for job in jobs]
    lost = sum("finished" not in names for names in events)
    twice = sum(names.count("finished") > 1 for names in events)
    how = (
        f"1 epoch, 2 images, 8 workers; {died} workers killed"
        if kill_every
        else ("1 epoch, 2 images, 8 workers")
    )
    return ("100 runs", how, 100, lost, f"{twice} finished twice", "none hung")


def main(names: list[str]) -> None:
    if unknown := set(names) - set(NAMES):
        sys.exit(f"names must be among {', '.join(NAMES)}, got {', '.join(sorted(unknown))}")
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    try:
        data, wholes = root / "drawn", {}
        write_shapes(data, n_train=16, n_val=8, n_test=8)
        for name in names or NAMES:
            rng = random.Random(0)
            if name.startswith("many"):
                row = many(root, rng, 5 if name == "many-killed" else 0)
            else:
                study = Study(root, name, data)
                if study.epochs not in wholes:
                    wholes[study.epochs] = reference(root, f"{name}-reference", data)
                row = globals()[name](study, wholes[study.epochs], rng)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1:])
