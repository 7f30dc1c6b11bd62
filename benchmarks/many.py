"""Many runs at once, and kills of their workers: a row of `benchmarks.faults`."""

import random
import signal
import sys
import threading
from pathlib import Path

from benchmarks.fault_study import TINY
from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.shapes import write_shapes
from study.config import RunConfig
from study.execution.executor import Job, LocalExecutor
from study.record import RunDir


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
    for message in executor.run(jobs):
        if message.event.event in ("died", "failed"):
            died += 1
            executor.again(message.job)
    signal.alarm(0)
    events = [[event.event for event in RunDir(job.path).journal().events] for job in jobs]
    lost = sum("finished" not in names for names in events)
    twice = sum(names.count("finished") > 1 for names in events)
    how = (
        f"1 epoch, 2 images, 8 workers; {died} workers killed"
        if kill_every
        else ("1 epoch, 2 images, 8 workers")
    )
    return ("100 runs", how, 100, lost, f"{twice} finished twice", "none hung")
