"""A worker process: forked from a server that has imported torch already, for one job.

It ignores Ctrl-C (the driver tells it to stop) and dies with its driver.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from filelock import Timeout

from study.config import RunConfig
from study.execution.failure import CRASH, fresh, keep_traceback, told, unforeseen
from study.record import RecordError, RunDir, run_name
from study.record.files import disk_full
from study.record.journal import Event, Failed


@dataclass(frozen=True)
class Job:
    """A run to do.

    `arm` is what its record is called by; `owner` the key of the tuning that asked for it, "" for
    a run of the study itself.
    """

    config: RunConfig
    arm: str
    path: Path
    commit: str = ""
    owner: str = ""

    @property
    def name(self) -> str:
        return run_name(self.arm, self.config.seed)


def worker_context() -> ForkServerContext:
    """How worker processes are made; starts the fork server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["study.execution.run"])
    # Ctrl-C and a closed terminal reach the whole process group, and some schedulers send SIGTERM
    # to it: the server and what it forks have all three blocked from their first instruction on
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    multiprocessing.resource_tracker.ensure_running()  # it would unblock the others on its way
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    multiprocessing.forkserver.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def begin_worker() -> None:
    """First of all in a worker: only the driver stops it, or SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))


def listen(pipe: Connection, heard: Callable[[], object]) -> None:
    """Call `heard` whenever the driver sends something; end with the driver."""

    def wait() -> None:
        try:
            while True:
                pipe.recv()
                heard()
        except (EOFError, OSError):
            os._exit(1)  # the driver is gone

    threading.Thread(target=wait, daemon=True).start()


def work(job: Job, pipe: Connection) -> None:
    """Body of a worker: its job's run; anything that comes through `pipe` tells it to stop."""
    begin_worker()
    end = dump_when_killed(job.path)
    # the server has imported these; the driver, which imports this file, need not
    from study.execution.drift import DriftError
    from study.execution.run import run

    stop = threading.Event()
    listen(pipe, stop.set)

    def emit(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:
            os._exit(1)

    try:
        run(
            job.config,
            RunDir(job.path),
            arm=job.arm,
            commit=job.commit,
            emit=emit,
            should_stop=stop.is_set,
        )
    except Timeout:
        emit(Failed(error=f"another process works on {job.path}"))
    except (DriftError, RecordError) as error:
        emit(Failed(error=str(error)))
    except (Exception, SystemExit) as error:
        keep_traceback(job.path, where := traceback.format_exc())
        text = told(error) if disk_full(error) else unforeseen(error, job.path)
        emit(Failed(error=text, traceback=where, disk_full=disk_full(error)))
    end()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed or full terminal
            stream.flush()
    os._exit(0)  # skip interpreter teardown: everything is on disk


def dump_when_killed(folder: Path) -> Callable[[], None]:
    """A fault of the machine (SIGSEGV and its kind) leaves what Python was doing in the folder.

    Returns: what to call at the end of a process that no fault has ended.
    """
    path = folder / CRASH
    try:
        file = fresh(path)
    except OSError:
        return lambda: None  # what follows will say why nothing can be written
    faulthandler.enable(file)

    def end() -> None:
        faulthandler.disable()
        file.close()
        path.unlink(missing_ok=True)

    return end
