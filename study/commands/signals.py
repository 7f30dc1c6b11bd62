"""Ctrl-C and SIGTERM, at any moment: the first stops in order, the second at once.

Ending at once is safe: what is on disk is whole at any moment, and workers die with their driver.
Imports the standard library alone, so that `during_imports` can come before all other imports.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODE = 130
LAST_S = 9.0  # an orderly stop may take so long
SAME_S = 0.3  # SIGINT and SIGTERM from one scheduler are one wish

_actions: list[Callable[[], None]] = []  # what stops the work under way


def during_imports() -> None:
    """Until `interruptible`: either signal ends the process at once, with the way to go on."""

    def end(*_: object) -> None:
        words = shlex.join(["python", *sys.argv])
        os.write(1, f"interrupted; continue with: {words}\n".encode())
        os._exit(EXIT_CODE)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def interruptible(last_words: str) -> Iterator[None]:
    """Around the whole program: the first signal stops what `stop_on_signal` says.

    Elsewhere it raises KeyboardInterrupt. The second signal ends the process, and so does LAST_S
    after the first, with the last words.
    """

    def end(words: str = f"{last_words}\n") -> None:
        show_cursor = "\x1b[?25h" if os.isatty(1) else ""  # a progress bar hides it
        os.write(1, f"{show_cursor}{words}".encode())
        os._exit(EXIT_CODE)

    began: list[float] = []
    timer = threading.Timer(LAST_S, end)
    timer.daemon = True

    def handle(number: int, frame: object) -> None:
        if began:
            if time.monotonic() - began[0] > SAME_S:
                end("")
            return
        began.append(time.monotonic())
        timer.start()
        if not _actions:
            raise KeyboardInterrupt
        _actions[-1]()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
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
