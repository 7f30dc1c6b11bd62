"""What the user sees while a study runs: rich progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from study.execution.executor import Event


def make_console() -> Console:
    """Standard output; wide enough for whole lines when it is not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200, soft_wrap=True)


def clock(seconds: float) -> str:
    """1234 -> 20:34, 4000 -> 1:06:40."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


@contextmanager
def step(console: Console, text: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of one piece of preparation; the yielded function takes (done, all)."""
    began = time.monotonic()
    if not console.is_terminal:
        shown = [False]

        def line(done: int, n: int) -> None:
            if not shown[0]:
                console.print(f"{text} ...")
                shown[0] = True

        yield line
        if shown[0]:
            console.print(f"{text}: {time.monotonic() - began:.0f} s")
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(escape(text), total=None)
        yield lambda done, n: progress.update(task, completed=done, total=n)


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
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[note]}"),
                console=self.console,
                transient=True,
            )
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

    def show(self, event: Event) -> None:
        """Take in one event of the executor."""
        run_id, row = event.job.config.run_id, event.row
        name = f"{event.job.arm} seed {event.job.config.seed}"
        n_epochs = event.job.config.epochs
        if event.kind == "start":
            self._started[run_id] = (event.job.config.network, time.monotonic())
            self._base.pop(run_id, None)  # of an earlier attempt
            again = f", attempt {row['attempt']}" if row["attempt"] > 1 else ""
            self._line(f"{name} started{again}", plain_only=True)
            if self._progress:
                self._tasks[run_id] = self._progress.add_task(escape(name), total=n_epochs, note="")
        elif event.kind == "epoch":
            self._epoch(run_id, name, n_epochs, row)
        elif event.kind == "note":
            self._line(f"{name}: {row['text']}", style="yellow")
        else:
            self._end(run_id, name, event)
        if self._progress:
            self._progress.update(
                self._study,
                completed=self.n_done + sum(self._share.values()),
                note=f"{self.n_done} of {self.n_runs} runs, {self._eta()}",
            )

    def _epoch(self, run_id: str, name: str, n_epochs: int, row: dict) -> None:
        metrics = row["metrics"]
        self._share[run_id] = row["epoch"] / n_epochs
        base = self._base.setdefault(run_id, (row["epoch"] - 1) / n_epochs)  # a resumed run's start
        network, started = self._started[run_id]
        self._seconds[network] = (time.monotonic() - started) / (self._share[run_id] - base)
        note = (
            f"epoch {row['epoch']}/{n_epochs}  loss {metrics['train/loss']:.3f}  "
            f"{metrics['train/images_per_s']:.0f} images/s"
        )
        if "dev/miou" in metrics:
            note += f"  dev mIoU {metrics['dev/miou']:.3f}"
            self._line(
                f"{name}  {note}  [{self.n_done} of {self.n_runs} runs, {self._eta()}]",
                plain_only=True,
            )
        if run_id in self._tasks:
            self._progress.update(self._tasks[run_id], completed=row["epoch"], note=note)

    def _end(self, run_id: str, name: str, event: Event) -> None:
        row = event.row
        self._share.pop(run_id, None)
        again = row.get("again")
        if not again and (event.kind != "stopped" or row.get("reason") == "pruned"):
            self.n_done += 1
            self._left[event.job.config.network] -= 1
        if run_id in self._tasks:
            self._progress.remove_task(self._tasks.pop(run_id))
        if event.kind == "stopped":
            self._line(f"{name} {row.get('reason') or 'stopped'}")
            return
        if event.kind == "finished":
            scores = "  ".join(
                f"{k.split('/')[0]} mIoU {row['metrics'][k]:.3f}"
                for k in ("dev/miou", "test/miou")
                if k in row["metrics"]
            )
            self._line(
                f"{name} finished in {clock(row['duration_s'])}  {scores}  "
                f"[{self.n_done} of {self.n_runs} runs, {self._eta()}]"
            )
        else:
            self._line(
                f"{name} FAILED: {row.get('error', event.kind)}"
                + ("; tried again after the others" if again else ""),
                style="red",
            )

    def _line(self, text: str, *, plain_only: bool = False, style: str = "") -> None:
        if not (plain_only and self.console.is_terminal):
            self.console.print(escape(text), style=style)


def table(columns: list[str], rows: list[list[object]], title: str = "") -> Table:
    """A rich table; numbers to the right, everything escaped."""
    result = Table(title=escape(title) or None, title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(escape(column), justify="left" if number == 0 else "right")
    for row in rows:
        result.add_row(*(escape(str(value)) for value in row))
    return result
