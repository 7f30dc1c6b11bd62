"""Keeps MLflow up to date behind the back of a study under way, which it never holds up or stops.

Reads run directories only. Knows no console and no command lines: `close` says what is behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from study.record import Cell, TuningPlace
from study.tracking.outbox import CLOSE_S, Outbox
from study.tracking.projection import Projection

HURRY_S = 3.0  # for `close` when interrupted


class Sender:
    """Sends what has changed of a study, soon, from a thread of its own."""

    def __init__(self, projection: Projection) -> None:
        self._projection, self._outbox = projection, Outbox(projection.experiment)

    def seed(self, path: Path) -> None:
        """Bring one final run up to date, nested under its arm."""
        self._outbox.put(path.name, partial(self._projection.run, path))

    def trial(self, path: Path, place: TuningPlace) -> None:
        """Bring one trial up to date, nested under its tuning."""
        self._outbox.put(f"{place.title} {path.name}", partial(self._projection.run, path, place))

    def arm(self, cell: Cell, values: Mapping[str, float]) -> None:
        """Write an arm's own values."""
        self._outbox.put(f"arm {cell.arm}", partial(self._projection.arm, cell, values))

    def tuning(self, place: TuningPlace) -> None:
        """Write what a tuning chose."""
        self._outbox.put(place.title, partial(self._projection.tuning, place))

    def catch_up(self) -> None:
        """Send what an earlier call left behind."""
        self._outbox.put("study", self._projection.files)
        for path in self._projection.finals():
            self.seed(path)

    def close(self, quickly: bool = False) -> str:
        """Send what is left; "" when all of it has arrived, else why something has not."""
        self._outbox.put("study", self._projection.files)
        return self._outbox.close(HURRY_S if quickly else CLOSE_S)
