"""Calls on a store that may fail, made from a thread of their own until they succeed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from study.errors import shown
from study.tracking.experiment import Experiment
from study.tracking.store import reason

GATHER_S, RETRY_S = 0.05, 5.0  # before calls are made; before those that failed are made again
CLOSE_S = 60.0  # for `close`
N_LAST = 10  # attempts then, as long as the store answers

Call = Callable[[], object]


class Outbox:
    """Makes calls on an experiment. Of several under one key only the last is made."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment, self._error = experiment, ""
        self._queue: queue.Queue[tuple[str, Call] | None] = queue.Queue()
        self._behind: dict[str, Call] = {}
        self._thread = threading.Thread(target=self._loop, name="outbox", daemon=True)
        self._thread.start()

    def put(self, key: str, call: Call) -> None:
        """Have a call made soon."""
        self._queue.put((key, call))

    def close(self, timeout_s: float = CLOSE_S) -> str:
        """Send what is left; "" when all of it has arrived, else why something has not."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return f"{shown(self._experiment.uri)} is slow or does not answer"
        return shown(self._error) if self._behind else ""

    def _loop(self) -> None:
        while not self._collect():
            self._send()
        for _ in range(N_LAST):
            if not self._send():
                return

    def _collect(self) -> bool:
        """Wait for calls, RETRY_S where some have failed before; True when told to close."""
        until = time.monotonic() + RETRY_S if self._behind else None
        while until is None or time.monotonic() < until:
            try:
                item = self._queue.get(timeout=until and max(0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return True
            self._behind[item[0]] = item[1]
            until = until or time.monotonic() + GATHER_S
        return False

    def _send(self) -> bool:
        """Make every call once; those that fail stay behind. Whether the store answers."""
        for key, call in list(self._behind.items()):
            try:
                call()
                del self._behind[key]
            except Exception as error:  # tracking must never stop the study; kept for later
                self._error = reason(error)
                try:
                    self._experiment.reconnect()
                except Exception:  # the store is lost, not this call: all the others wait too
                    return False
        return True
