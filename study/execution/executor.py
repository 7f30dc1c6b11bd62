"""Many runs at once: local worker processes, one fresh process a run.

`run(jobs)` pulls a job whenever a worker is free and yields what happens. `study.execution.worker`
has what happens inside a worker. Knows nothing of studies, tunings or trackers.
"""

from __future__ import annotations

import multiprocessing.process
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from study.execution.failure import CRASH, told
from study.execution.memory import less_memory
from study.execution.worker import Job, work, worker_context
from study.record import TERMINAL, RecordError, RunDir
from study.record.files import disk_full
from study.record.journal import Died, Event, Failed, Stopped

__all__ = ["Job", "LocalExecutor", "Message"]
AGAIN = "run the same command again: it goes on from the last checkpoint"
STOP_S = 5.0  # how long a worker may take to stop before it is killed


@dataclass(frozen=True)
class Message:
    """What happened to a job's run: an event as its journal has it, or would have it."""

    job: Job
    event: Event


@dataclass
class _Worker:
    job: Job
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    n_events: int  # in the journal, of earlier attempts
    last: str = ""
    kill_at: float | None = None
    reason: str = ""


class LocalExecutor:
    """Runs jobs in `n_workers` processes; `interrupt()` stops all, `stop(run_id)` one."""

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise ValueError(f"workers must be at least 1, got {n_workers}")
        self.n_workers = n_workers
        self._context = worker_context()
        self._workers: dict[str, _Worker] = {}
        self._again: list[Job] = []
        self.interrupted = self.disk_full = False

    def interrupt(self) -> None:
        """Stop every worker and start no more; safe to call from a signal handler."""
        self.interrupted = True

    def stop(self, run_id: str, reason: str) -> None:
        """Ask one run to stop; it ends with a `stopped` event that holds `reason`."""
        worker = self._workers.get(run_id)
        if worker and worker.kill_at is None:
            worker.reason, worker.kill_at = reason, time.monotonic() + STOP_S
            try:
                worker.pipe.send("stop")
            except OSError:
                pass  # it is ending already

    @property
    def stopping(self) -> bool:
        """Whether no more runs are started."""
        return self.interrupted or self.disk_full

    def again(self, job: Job) -> None:
        """Do a job that has ended once more, after all others."""
        self._again.append(job)

    def run(self, jobs: Iterable[Job]) -> Iterator[Message]:
        """Do all jobs; pulls the next one only when a worker is free, none once the disk is full.

        A job ends with one event: finished, failed, stopped or died.
        """
        queue = iter(jobs)
        try:
            while True:
                while not self.stopping and len(self._workers) < self.n_workers:
                    job = next(queue, None) or (self._again.pop(0) if self._again else None)
                    if job is None:
                        break
                    try:
                        self._start(job)
                    except (RecordError, OSError) as error:
                        self.disk_full = disk_full(error)
                        text = str(error) if isinstance(error, RecordError) else told(error)
                        yield Message(job, Failed(error=text, disk_full=self.disk_full))
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
        n_events = len(run_dir.journal().events)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(job, theirs), daemon=True)
        process.start()
        theirs.close()
        self._workers[job.config.run_id] = _Worker(job, process, ours, n_events)

    def _poll(self) -> Iterator[Message]:
        ready = wait([worker.pipe for worker in self._workers.values()], timeout=0.2)
        for worker in [worker for worker in self._workers.values() if worker.pipe in ready]:
            try:
                event: Event = worker.pipe.recv()
            except (EOFError, OSError):
                yield from self._reap(worker)
                continue
            if worker.reason and isinstance(event, Stopped):
                event = event.having(reason=worker.reason)
            worker.last = event.event
            self.disk_full |= isinstance(event, Failed) and event.disk_full
            yield Message(worker.job, event)
        for worker in list(self._workers.values()):
            if worker.kill_at is not None and time.monotonic() > worker.kill_at:
                worker.process.kill()

    def _reap(self, worker: _Worker) -> Iterator[Message]:
        worker.process.join()
        worker.pipe.close()
        del self._workers[worker.job.config.run_id]
        run_dir = RunDir(worker.job.path)
        if worker.last in ("finished", "failed", "stopped"):
            return
        try:
            new = run_dir.journal().events[worker.n_events :]
        except RecordError as error:
            yield Message(worker.job, Failed(error=str(error)))
            return
        if new and new[-1].event in TERMINAL:  # ended, not heard
            yield Message(worker.job, new[-1])
            return
        told = worker.reason or ("interrupted" if self.interrupted else "")
        event: Event = Stopped(reason=told) if told else Died(error=_cause(worker))
        try:
            event = run_dir.append(event)
        except OSError as error:
            self.disk_full |= disk_full(error)
        yield Message(worker.job, event)


def _cause(worker: _Worker) -> str:
    """Why a worker ended without a word."""
    code = worker.process.exitcode
    if code is None or code >= 0:
        return f"worker ended with exit code {code}; {AGAIN}"
    text = f"worker was killed by signal {-code} ({signal.Signals(-code).name})"
    if code == -signal.SIGKILL:  # what the kernel sends when memory runs out
        return f"{text}, possibly out of memory: if so, {less_memory(worker.job.config)}"
    crash = worker.job.path / CRASH
    where = f"what it was doing is in {crash}; " if crash.exists() and crash.stat().st_size else ""
    return f"{text}; {where}{AGAIN}"
