"""Every way to be stopped, at any moment: the first stops in order, the second signal at once.

Ctrl-C, SIGTERM, SIGHUP (unless nohup has it ignored), and standard output that can no longer be
written. Ending at once is safe: what is on disk is whole at any moment, and workers die with their
driver. Imports the standard library alone, so that it can come before all other imports.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from study.commands.words import command_line

INTERRUPTED, UNHEARD = 130, 141  # exit codes: by a signal; standard output cannot be written
LAST_S = 9.0  # an orderly stop may take so long
SAME_S = 0.3  # SIGINT and SIGTERM from one scheduler are one wish
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _State:
    command: str = ""  # that continues the work under way
    watching: bool = False  # inside `interruptible`
    began: float | None = None  # when the first signal came
    number: int = 0  # of that signal
    unheard: str = ""  # why standard output cannot be written


_now = _State()
_actions: list[Callable[[], None]] = []  # what stops the work under way


def wanted() -> list[signal.Signals]:
    """The signals to listen to: nohup has SIGHUP ignored, and means it."""
    return [n for n in NUMBERS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]


def during_imports() -> None:
    """Until `interruptible`: any signal ends the process at once, with the way to go on."""

    def end(number: int, _: object) -> None:
        _now.command, _now.number = command_line(["python", *sys.argv]), number
        _leave()

    for number in wanted():
        signal.signal(number, end)


def farewell() -> tuple[str, int, int]:
    """The last line, the descriptor that it belongs on, the exit code."""
    way_on = f"; continue with: {_now.command}" if _now.command else ""
    if _now.unheard:
        return f"runs.py: stopped, {_now.unheard}{way_on}", 2, UNHEARD
    if _now.number == signal.SIGHUP:
        return f"runs.py: interrupted, the terminal is gone (SIGHUP){way_on}", 2, INTERRUPTED
    return f"interrupted{way_on}", 1, INTERRUPTED


def _leave(quietly: bool = False) -> None:
    """End the process; a reader that does not read must not hold it up."""
    words, descriptor, code = farewell()
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [descriptor], [], 0)[1]:
            if os.isatty(descriptor):
                os.write(descriptor, b"\x1b[?25h")  # a progress bar hides the cursor
            if not quietly:
                os.write(descriptor, f"{words}\n".encode(errors="backslashreplace"))
    os._exit(code)


def unheard(cause: str) -> None:
    """Standard output cannot be written: stop the work under way, as the first signal does."""
    if _now.watching and _now.began is None:
        _now.unheard = cause
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextmanager
def interruptible(command: str) -> Iterator[None]:
    """Around the whole program: the first signal stops what `stop_on_signal` says.

    Elsewhere it raises KeyboardInterrupt. The second signal ends the process, and so does LAST_S
    after the first, with the last words.

    Args: command: what continues the work; "" where nothing is to be continued.
    """
    _now.__init__(command, watching=True)  # type: ignore[misc]  # as it was at first
    timer = threading.Timer(LAST_S, _leave)
    timer.daemon = True

    def handle(number: int, frame: object) -> None:
        if _now.began is not None:
            if time.monotonic() - _now.began > SAME_S:
                _leave(quietly=True)
            return
        _now.began, _now.number = time.monotonic(), number
        timer.start()
        if not _actions:
            raise KeyboardInterrupt
        _actions[-1]()

    before = {number: signal.signal(number, handle) for number in wanted()}
    try:
        yield
    finally:
        _now.watching = False
        if timer.ident is None:  # else it still watches over the way out
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """While inside, the first signal calls `stop`."""
    _actions.append(stop)
    try:
        yield
    finally:
        _actions.pop()
