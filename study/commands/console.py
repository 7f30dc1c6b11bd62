"""What the user sees while a study runs: rich progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


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


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> Table:
    """A rich table; numbers to the right, everything escaped."""
    result = Table(title=escape(title) or None, title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(escape(column), justify="left" if number == 0 else "right")
    for row in rows:
        result.add_row(*(escape(str(value)) for value in row))
    return result
