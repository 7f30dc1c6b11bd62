"""Standard input, output and error, as far as they are there.

Imports the standard library alone, so that it can come before all other imports.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import typing
from collections.abc import Iterator
from contextlib import contextmanager

from study.commands.signals import unheard


def open_closed() -> None:
    """Open what was closed (`>&-`) on nothing, before a file of ours gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)


class _Output:
    """A text stream whose loss stops the work under way, once, instead of raising anywhere."""

    def __init__(self, stream: typing.TextIO) -> None:
        self._stream, self._lost = stream, False

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, call: typing.Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            call()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._lost = True
            discard(self._stream)
            unheard(_cause(error))

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._stream, name)


def _cause(error: OSError | ValueError) -> str:
    if isinstance(error, BrokenPipeError):
        return "the reader of standard output is gone"
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    what_to_do = "make room" if full else "send it elsewhere"
    return f"standard output must be writable, got: {reason}; {what_to_do}"


def discard(stream: typing.TextIO) -> None:
    """Let what a lost stream still holds go nowhere: Python writes it once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        number, nothing = stream.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, number)
        os.close(nothing)


@contextmanager
def guarded() -> Iterator[None]:
    """While inside, standard output never raises, and shows letters that it lacks as escapes."""
    before = sys.stdout
    with contextlib.suppress(AttributeError, OSError, ValueError):  # a test's may not have it
        before.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    output = sys.stdout = typing.cast(typing.TextIO, _Output(before))
    try:
        yield
    finally:
        output.flush()
        sys.stdout = before


def tell(line: str, stream: typing.TextIO) -> None:
    """One line, if anybody hears it."""
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        discard(stream)


def complain(line: str) -> None:
    """What is wrong, on standard error."""
    tell(f"runs.py: {line}", sys.stderr)
