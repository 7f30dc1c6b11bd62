"""The run directory: the truth about one run. Journal, state, lock and atomic files.

config.json     what the run is
journal.jsonl   what happened, append-only, one JSON object a line
last.pt         checkpoint, and previous.pt the one before (gone when the run is finished)
best.pt         weights of the best dev epoch
confusion.npz panel.npz panel.png history.json    results
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

# Events after which nothing of a run is under way. Any other last event means it was cut off.
TERMINAL = ("failed", "pruned", "finished")


class JournalError(ValueError):
    """A file of a run is damaged: not just a last line that was cut short."""


def disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk, or the user's quota, is used up.

    torch.save may raise a RuntimeError over the OSError of the file it writes to.
    """
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or (error.__context__ is not None and disk_full(error.__context__))


def atomic_write(path: Path, write: Callable[[Path], None], keep: Path | None = None) -> None:
    """Call `write` on a temporary neighbour, flush it to disk and rename it to `path`.

    What was there before is renamed to `keep` where that is given.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def parse_json(text: str | bytes) -> object:
    """JSON of finite numbers; ValueError for anything else."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def sync_folder(path: Path) -> None:
    """Flush a folder to disk: what was made or renamed in it survives a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_weights(path: Path, weights: dict) -> None:
    """Write a state dict atomically."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # given a path, torch.save hides the error of a full disk
            torch.save(weights, file)

    atomic_write(path, write)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8") and None)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write compressed arrays atomically."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # a path would get the suffix .npz
            np.savez_compressed(file, **arrays)

    atomic_write(path, write)


def _event(row: object) -> dict:
    """`row` if it can be an event; ValueError otherwise."""
    if not (
        isinstance(row, dict)
        and isinstance(row.get("event"), str)
        and isinstance(row.get("time"), (int, float))
    ):
        raise ValueError("no event with its time")
    if row["event"] == "epoch" and not (
        type(row.get("epoch")) is int and isinstance(row.get("metrics"), dict)
    ):
        raise ValueError("an epoch without its number or metrics")
    return row


class RunDir:
    """One run's directory; cheap to make, touches the disk only when asked."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.journal = self.path / "journal.jsonl"
        self.best = self.path / "best.pt"
        self.last = self.path / "last.pt"
        self.previous = self.path / "previous.pt"
        self._latest_s: float | None = None  # time of the last journal row, once known

    @property
    def run_id(self) -> str:
        return self.path.name

    def create(self, record: dict) -> None:
        """Make the directory and its config.json, unless they are there."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            write_json(self.config, record)

    def record(self) -> dict:
        """What config.json holds; JournalError unless it looks like what `create` wrote."""
        try:
            record = parse_json(self.config.read_bytes())
            record["run_id"], record["arm"], record["network"], record["config"]["seed"]
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"{self.config} must hold a run's configuration, got {error!r}; "
                "move the run's folder away and run it again"
            ) from None
        return record

    def clean(self) -> None:
        """Remove what a killed process left half-written; call with the lock held."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    def drop_checkpoints(self) -> None:
        """A run that has ended keeps only its best weights."""
        self.last.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)

    def append(self, event: str, **values: object) -> dict:
        """Add one line to the journal, on disk before this returns, and return it.

        Its time is never before the last line's: the clock may be set back meanwhile.
        """
        if self._latest_s is None:
            self._latest_s = max((row["time"] for row in self.rows()), default=0.0)
        self._latest_s = max(self._latest_s, time.time())
        row = {"event": event, "time": self._latest_s, **values}
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        new = not self.journal.exists()
        with self.journal.open("ab+") as file:
            if file.tell() and not self._ends_whole(file):
                line = b"\n" + line  # a crash cut the last line short; keep it on its own
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path)
        return row

    @staticmethod
    def _ends_whole(file) -> bool:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

    def rows(self) -> list[dict]:
        """The journal; lines cut short by a crash are left out.

        Raises: JournalError when a broken line is followed by more of the same attempt.
        """
        if not self.journal.exists():
            return []
        lines = self.journal.read_bytes().split(b"\n")
        rows: list[dict] = []
        broken: int | None = None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = _event(parse_json(line))
            except ValueError:
                broken = broken or number
                continue
            if broken and row["event"] in ("epoch", "finished"):
                raise JournalError(
                    f"{self.journal} line {broken} must be an event in JSON; the "
                    "file is damaged: move the run's folder away and run it again"
                )
            broken = None
            rows.append(row)
        return rows

    def epochs(self) -> list[dict]:
        """The first row of each epoch, in order."""
        first: dict[int, dict] = {}
        for row in self.rows():
            if row["event"] == "epoch":
                first.setdefault(row["epoch"], row)
        return [first[epoch] for epoch in sorted(first)]

    def last_row(self) -> dict | None:
        rows = self.rows()
        return rows[-1] if rows else None

    def state(self) -> str:
        """new, running (its lock is held), dead (cut off), failed, pruned or finished."""
        last = self.last_row()
        if last is not None and last["event"] in TERMINAL:
            return last["event"]
        if self.locked():
            return "running"
        return "new" if last is None else "dead"

    def locked(self) -> bool:
        """Whether some process works on this run now."""
        if not (self.path / "lock").exists():
            return False
        try:
            with FileLock(self.path / "lock", timeout=0):
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run; raises filelock.Timeout when another process does.

        Waits a little: `locked` takes the lock for an instant to look.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / "lock", timeout=3):
            yield
