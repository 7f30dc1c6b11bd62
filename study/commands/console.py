"""What the user sees while a study runs: rich progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def make_console() -> Console:
    """Standard output, where text is text: no markup; whole lines when it is not a terminal."""
    plain = partial(Console, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal else plain(width=200, soft_wrap=True)


def clock(seconds: float) -> str:
    """1234 -> 20:34, 4000 -> 1:06:40."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def duration(seconds: float) -> str:
    """In words, as exactly as a forecast is: 40 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{60 * hours + minutes} min" if seconds < 6000 else f"{hours} h {minutes} min"


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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, n: progress.update(task, completed=done, total=n)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> Table:
    """A rich table; numbers to the right."""
    result = Table(title=title or None, title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        result.add_row(*map(str, row))
    return result
