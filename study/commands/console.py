"""What the user sees while a study runs: rich progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from study.commands.words import visible

NAME_CELLS = 24  # that a table should leave to names


class Terminal(Console):
    """A console where text is text: no markup, nothing that a terminal would obey.

    A line of text is not wrapped, so that a path or command in it can be copied.
    """

    def print(self, *objects: typing.Any, **options: typing.Any) -> None:
        """As rich's; text with control characters written out."""
        if all(isinstance(one, str) for one in objects):
            options = {"soft_wrap": True} | options
        super().print(*(visible(o) if isinstance(o, str) else o for o in objects), **options)


def make_console() -> Terminal:
    """Standard output; as wide as 200 letters when it is not a terminal."""
    plain = partial(Terminal, highlight=False, markup=False, emoji=False)
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
    text = visible(text)
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


def fitted(parts: Sequence[str], width: int) -> list[str]:
    """Parts of a line in one line, or in as few as hold each whole, indented after the first."""
    lines: list[str] = []
    for part in map(visible, parts):
        if lines and cell_len(longer := f"{lines[-1]}  {part}") <= width:
            lines[-1] = longer
        else:
            lines.append(f"  {part}" if lines else part)
    return lines


def shortened(name: str, width: int) -> str:
    """A name in at most `width` cells; what is left out is in the middle, as arms differ at both
    ends."""
    if cell_len(name) <= width:
        return name
    ahead = max(1, (width - 1) // 2)
    behind = name
    while cell_len(behind) > max(1, width - 1 - ahead):
        behind = behind[1:]
    return f"{set_cell_size(name, ahead)}…{behind}"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str = "",
    *,
    width: int,
    spare: Sequence[str] = (),
) -> Table:
    """A rich table at most `width` cells wide; names left and whole, numbers to the right.

    Args: spare: columns to leave out, the first one first, while the names get too little room.
    """
    texts = [[visible(str(value)) for value in row] for row in rows]
    entries = [[title, *cells] for title, *cells in zip(columns, *texts, strict=True)]
    whole = [max(map(cell_len, column)) for column in entries]
    least = [max(cell_len(word) for text in column for word in text.split()) for column in entries]
    kept = list(range(len(columns)))
    for name in spare:
        if sum(least[i] + 3 for i in kept[1:]) + min(whole[0], NAME_CELLS) + 4 > width:
            kept.remove(columns.index(name))
    narrow = sum(whole[i] + 3 for i in kept) + 1 > width
    result = Table(title=visible(title) or None, title_justify="left")
    for i in kept:  # where room lacks, the names are folded and the numbers are not
        number = i > 0 and not any(" " in row[i] for row in texts)
        result.add_column(
            columns[i],
            justify="right" if i else "left",
            overflow="fold",
            min_width=least[i] if i else None,
            width=least[i] if narrow and number else None,
        )
    for row in texts:
        result.add_row(*(row[i] for i in kept))
    return result
