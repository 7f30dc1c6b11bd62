"""Progress of many runs: rich bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from study.commands.console import clock, fitted, shortened
from study.commands.words import visible
from study.execution.executor import Job, Message
from study.record.journal import Died, Epoch, Event, Failed, Finished, Note, Start, Stopped

WIDE = 100  # cells, below which a bar gives way to names


class Display:
    """Progress of many runs: the study (n of m, ETA) and each run under way.

    `todo` counts the runs of each network: the ETA uses the measured time of each, and for a
    network not seen yet the slowest one's.
    """

    def __init__(self, console: Console, todo: Mapping[str, int], n_workers: int) -> None:
        self.console, self.n_workers = console, n_workers
        self.n_runs, self.n_done = sum(todo.values()), 0
        self._left = dict(todo)  # network -> runs not ended
        self._seconds: dict[str, float] = {}  # network -> a whole run
        self._started: dict[str, tuple[str, float]] = {}  # run id -> network, when
        self._share: dict[str, float] = {}  # run id -> part done
        self._base: dict[str, float] = {}  # run id -> part done when it started
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            text = TextColumn("{task.description}", markup=False)
            note = TextColumn("{task.fields[note]}", markup=False)
            bar = [BarColumn(bar_width=20)] if self._wide else []
            self._progress = Progress(text, *bar, note, console=self.console, transient=True)
            self._progress.start()
            self._study = self._progress.add_task("study", total=self.n_runs, note="")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._progress:
            self._progress.stop()

    def _eta(self) -> str:
        if not self._seconds:
            return "ETA ?"
        slowest = max(self._seconds.values())
        left = sum(n * self._seconds.get(network, slowest) for network, n in self._left.items())
        for run_id, share in self._share.items():
            left -= share * self._seconds[self._started[run_id][0]]
        return f"ETA {clock(left / min(self.n_workers, max(1, sum(self._left.values()))))}"

    def show(self, message: Message, *, again: bool = False) -> None:
        """Take in what happened to a run; `again`: it will be begun once more."""
        job, event = message.job, message.event
        if isinstance(event, Start):
            self._start(job, event)
        elif isinstance(event, Epoch):
            self._epoch(job, event)
        elif isinstance(event, Note):
            self._line(f"{job.name}: {event.text}", style="yellow")
        else:
            self._end(job, event, again)
        if self._progress:
            self._progress.update(
                self._study,
                completed=self.n_done + sum(self._share.values()),
                note=f"{self.n_done} of {self.n_runs} runs, {self._eta()}",
            )

    def _start(self, job: Job, event: Start) -> None:
        name, run_id = job.name, job.config.run_id
        self._started[run_id] = (job.config.network, time.monotonic())
        self._base.pop(run_id, None)  # of an earlier attempt
        attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
        self._line(f"{name} started{attempt}", plain_only=True)
        if self._progress:
            name = (
                visible(name) if self._wide else shortened(visible(name), self.console.width - 25)
            )
            self._tasks[run_id] = self._progress.add_task(name, total=job.config.epochs, note="")

    def _epoch(self, job: Job, event: Epoch) -> None:
        run_id, n_epochs, metrics = job.config.run_id, job.config.epochs, event.metrics
        self._share[run_id] = event.epoch / n_epochs
        base = self._base.setdefault(run_id, (event.epoch - 1) / n_epochs)  # a resumed run's start
        network, started = self._started[run_id]
        self._seconds[network] = (time.monotonic() - started) / (self._share[run_id] - base)
        note = (
            f"epoch {event.epoch}/{n_epochs}  loss {metrics['train/loss']:.3f}  "
            f"{metrics['train/images_per_s']:.0f} images/s"
        )
        if "dev/miou" in metrics:
            note += f"  dev mIoU {metrics['dev/miou']:.3f}"
            self._line(f"{job.name}  {note}", self._standing(), plain_only=True)
        if not self._wide:
            note = f"epoch {event.epoch}/{n_epochs}"
        if self._progress and run_id in self._tasks:
            self._progress.update(self._tasks[run_id], completed=event.epoch, note=note)

    def _end(self, job: Job, event: Event, again: bool) -> None:
        name, run_id = job.name, job.config.run_id
        self._share.pop(run_id, None)
        if not again and (not isinstance(event, Stopped) or event.reason == "pruned"):
            self.n_done += 1
            self._left[job.config.network] -= 1
        if self._progress and run_id in self._tasks:
            self._progress.remove_task(self._tasks.pop(run_id))
        if isinstance(event, Stopped):
            self._line(f"{name} {event.reason or 'stopped'}")
        elif isinstance(event, Finished):
            scores = [
                f"{key.split('/')[0]} mIoU {event.metrics[key]:.3f}"
                for key in ("dev/miou", "test/miou")
                if key in event.metrics
            ]
            took = clock(event.duration_s)
            self._line(f"{name} finished in {took}", *scores, self._standing())
        elif isinstance(event, Failed | Died):
            later = "; tried again after the others" if again else ""
            self._line(f"{name} FAILED: {event.error}{later}", style="red")

    def _standing(self) -> str:
        return f"[{self.n_done} of {self.n_runs} runs, {self._eta()}]"

    @property
    def _wide(self) -> bool:
        return self.console.width >= WIDE

    def _line(self, *parts: str, plain_only: bool = False, style: str = "") -> None:
        if plain_only and self.console.is_terminal:
            return
        width = self.console.width if self.console.is_terminal else sys.maxsize
        for line in fitted(parts, width):
            self.console.print(line, style=style)
