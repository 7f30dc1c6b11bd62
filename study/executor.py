"""Many runs at once: local worker processes, one fresh process a run.

`run(jobs)` pulls a job whenever a worker is free and yields what happens. Workers are forked from
a server process that has imported torch already; each ignores Ctrl-C (the driver tells it to stop)
and dies with its driver.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from filelock import Timeout

from study.config import RunConfig
from study.rundir import TERMINAL, RunDir

STOP_S = 10.0  # how long a worker may take to stop before it is killed


@dataclass(frozen=True)
class Job:
    """A run to do: its configuration, the arm's name, its directory."""

    config: RunConfig
    arm: str
    path: Path
    commit: str = ""


@dataclass(frozen=True)
class Event:
    """What a run reported. kind: start, epoch, finished, failed, stopped or died."""

    job: Job
    kind: str
    row: dict


@dataclass
class _Worker:
    job: Job
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    n_rows: int  # journal lines of earlier attempts
    last: str = ""
    kill_at: float | None = None
    reason: str = ""


def _work(job: Job, pipe: Connection) -> None:
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    from study.runner import run

    stop = threading.Event()

    def listen() -> None:
        try:
            while True:
                pipe.recv()
                stop.set()
        except (EOFError, OSError):
            os._exit(1)  # the driver is gone

    threading.Thread(target=listen, daemon=True).start()

    def emit(row: dict) -> None:
        try:
            pipe.send(row)
        except OSError:
            os._exit(1)

    try:
        run(job.config, RunDir(job.path), arm=job.arm, commit=job.commit, emit=emit,
            should_stop=stop.is_set)
    except Timeout:
        emit({"event": "failed", "error": f"another process works on {job.path}",
              "time": time.time()})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # skip interpreter teardown: everything is on disk


class LocalExecutor:
    """Runs jobs in `n_workers` processes; `interrupt()` stops all, `stop(run_id)` one."""

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise ValueError(f"workers must be at least 1, got {n_workers}")
        self.n_workers = n_workers
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
        self._context = multiprocessing.get_context(method or "spawn")
        if method:
            self._context.set_forkserver_preload(["study.runner"])
            # Ctrl-C reaches the whole process group: the server and what it forks must ignore it
            # from their first instruction on, so the disposition is inherited
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            multiprocessing.forkserver.ensure_running()
            signal.signal(signal.SIGINT, before)
        self._workers: dict[str, _Worker] = {}
        self.interrupted = False

    def interrupt(self) -> None:
        """Stop every worker and start no more; safe to call from a signal handler."""
        self.interrupted = True

    def stop(self, run_id: str, reason: str) -> None:
        """Ask one run to stop; it ends with a `stopped` event whose row holds `reason`."""
        worker = self._workers.get(run_id)
        if worker and worker.kill_at is None:
            worker.reason, worker.kill_at = reason, time.monotonic() + STOP_S
            try:
                worker.pipe.send("stop")
            except OSError:
                pass  # it is ending already

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Do all jobs; pulls the next one only when a worker is free."""
        queue = iter(jobs)
        more = True
        try:
            while True:
                while more and not self.interrupted and len(self._workers) < self.n_workers:
                    job = next(queue, None)
                    if job is None:
                        more = False
                    else:
                        self._start(job)
                if not self._workers:
                    return
                if self.interrupted:
                    for run_id in list(self._workers):
                        self.stop(run_id, "interrupted")
                yield from self._poll()
        finally:
            self.kill()

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers.values():
            worker.process.kill()
        for worker in self._workers.values():
            worker.process.join()
        self._workers.clear()

    def _start(self, job: Job) -> None:
        run_dir = RunDir(job.path)
        run_dir.create(job.config.record(job.arm))
        n_rows = len(run_dir.rows())
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(job, theirs), daemon=True)
        process.start()
        theirs.close()
        self._workers[job.config.run_id] = _Worker(job, process, ours, n_rows)

    def _poll(self) -> Iterator[Event]:
        by_pipe = {worker.pipe: worker for worker in self._workers.values()}
        for pipe in wait(list(by_pipe), timeout=0.2):
            worker = by_pipe[pipe]
            try:
                row = pipe.recv()
            except (EOFError, OSError):
                yield from self._reap(worker)
                continue
            if worker.reason and row["event"] == "stopped":
                row = {**row, "reason": worker.reason}
            worker.last = row["event"]
            yield Event(worker.job, row["event"], row)
        for worker in list(self._workers.values()):
            if worker.kill_at is not None and time.monotonic() > worker.kill_at:
                worker.process.kill()

    def _reap(self, worker: _Worker) -> Iterator[Event]:
        worker.process.join()
        worker.pipe.close()
        del self._workers[worker.job.config.run_id]
        run_dir = RunDir(worker.job.path)
        if worker.last in ("finished", "failed", "stopped"):
            return
        new = run_dir.rows()[worker.n_rows:]
        if new and new[-1]["event"] in TERMINAL:  # ended, not heard
            yield Event(worker.job, new[-1]["event"], new[-1])
            return
        if worker.reason:
            row = run_dir.append("stopped", reason=worker.reason)
            yield Event(worker.job, "stopped", row)
            return
        code = worker.process.exitcode
        why = f"worker ended with exit code {code}"
        if code is not None and code < 0:
            why = f"worker was killed by signal {-code} ({signal.Signals(-code).name})"
        row = run_dir.append("died", error=why)
        yield Event(worker.job, "died", row)
