"""How an error is told in one line, and the file that holds where it arose."""

from __future__ import annotations

import contextlib
import os
import typing
from pathlib import Path

from study.record.files import disk_full

TRACEBACK = "traceback.txt"  # of a run that failed
CRASH = "crash.txt"  # what Python was doing in a process that a fault ended


def told(error: BaseException) -> str:
    """What an error says, in words: never empty, no bare number of the operating system's."""
    if disk_full(error):
        return "disk full: the run could not be written"
    if isinstance(error, OSError) and error.errno is not None:
        what = f"{type(error).__name__}: {os.strerror(error.errno)}"
        return f"{what}: {error.filename}" if error.filename else what
    text = " ".join((str(error).splitlines() or [""])[0].split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unforeseen(error: BaseException, folder: Path) -> str:
    """The same, with where the traceback lies and what to do; an error of ours says that itself."""
    if type(error).__module__.split(".")[0] in ("seglib", "study"):
        return told(error)
    return (
        f"{told(error)}; the traceback is in {folder / TRACEBACK}: run the same command again, or "
        "report it with that file"
    )


def keep_traceback(folder: Path, text: str) -> None:
    """Write it into the run's folder; the journal holds it too."""
    with contextlib.suppress(OSError):  # no room, no permission: what failed is told all the same
        with fresh(folder / TRACEBACK) as file:
            file.write(text)


def fresh(path: Path) -> typing.TextIO:
    """A new file in place of what is there: a link is not followed. Raises: OSError."""
    path.unlink(missing_ok=True)
    return path.open("x", encoding="utf-8")
