"""The journal of a run: its events with their fields, appended a line each and read once.

Writer, driver, MLflow projection and analysis all use these classes. Knows nothing of what a run
computes.
"""

from __future__ import annotations

import os
import time as clock
import typing
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from study.record.files import OnDisk, Scalar, parse_json, sync_folder
from study.record.inside import RecordError, check_file, open_file, read_rest

FORMAT = 3  # of journal and checkpoint: raised when a half-done run of before cannot be continued
Metrics = dict[str, float | None]  # None: undefined


class JournalError(RecordError):
    """A journal is damaged: not just a last line that was cut short."""


class _Event(OnDisk):
    time: float = Field(default_factory=clock.time)  # seconds since 1970


class Start(_Event):
    """An attempt began, after that many epochs of earlier attempts."""

    event: typing.Literal["start"] = "start"
    attempt: int
    after_epoch: int
    format: int = FORMAT
    n_parameters: int
    environment: dict[str, Scalar]


class Epoch(_Event):
    """An epoch is whole."""

    event: typing.Literal["epoch"] = "epoch"
    epoch: int
    metrics: Metrics


class Note(_Event):
    """Something that the user should read."""

    event: typing.Literal["note"] = "note"
    text: str


class Stopped(_Event):
    """The attempt ended because it was told to; the run can go on."""

    event: typing.Literal["stopped"] = "stopped"
    reason: str = ""


class Died(_Event):
    """The attempt's process ended without a word; the run can go on."""

    event: typing.Literal["died"] = "died"
    error: str
    disk_full: bool = False


class Failed(_Event):
    """The run failed; nothing of it is under way."""

    event: typing.Literal["failed"] = "failed"
    error: str
    traceback: str = ""
    disk_full: bool = False


class Pruned(_Event):
    """The tuner stopped a trial for good."""

    event: typing.Literal["pruned"] = "pruned"
    epoch: int


class Finished(_Event):
    """The run is whole: its results."""

    event: typing.Literal["finished"] = "finished"
    best_epoch: int
    duration_s: float  # of all attempts
    peak_memory_mb: float
    metrics: Metrics
    contract: dict[str, str]  # what the metrics mean


Event = typing.Annotated[
    Start | Epoch | Note | Stopped | Died | Failed | Pruned | Finished, Field(discriminator="event")
]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Journal:
    """The events of one journal as far as it has been read; `refresh` reads what is new.

    Lines cut short by a crash are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event]
        self._read: int  # bytes
        self._n_lines: int
        self._cut: str  # what is wrong with a line that a crash may have cut short
        self._forget()

    def refresh(self) -> typing.Self:
        """Read the whole lines that were added since.

        Raises: JournalError when a broken line is followed by more of the same attempt, or is no
            event of this version; RecordError when it is no plain file.
        """
        if not check_file(self.path):
            return self
        with open_file(self.path) as file:
            file.seek(self._read)
            new = read_rest(file, self.path)
        try:
            for line in _lines(new):
                if not line.endswith(b"\n") and _json(line) is None:
                    break  # being written, or cut short: looked at again next time
                self._read += len(line)
                self._n_lines += 1
                if line.strip():
                    self._take(line)
        except JournalError:
            self._forget()  # whoever asks again is told again
            raise
        return self

    def _forget(self) -> None:
        self.events, self._read, self._n_lines, self._cut = [], 0, 0, ""

    def _take(self, line: bytes) -> None:
        try:
            event = _EVENT.validate_json(line, strict=True)
            if len(event.model_fields_set) < len(type(event).model_fields):
                raise JournalError(self._damaged(line))  # defaults are for who writes
        except ValidationError:
            if isinstance(_json(line), dict):
                raise JournalError(self._damaged(line)) from None
            self._cut = self._cut or self._damaged(line)
            return
        if self._cut and event.event in ("epoch", "finished"):
            raise JournalError(self._cut)
        self._cut = ""
        self.events.append(event)

    def _damaged(self, line: bytes) -> str:
        return (
            f"{self.path} line {self._n_lines} must be an event in JSON, got {line[:40]!r}; the "
            "file is damaged, or of another version: move the run's folder away and run it again"
        )

    @property
    def last(self) -> Event | None:
        return self.events[-1] if self.events else None

    @property
    def starts(self) -> list[Start]:
        return [event for event in self.events if isinstance(event, Start)]

    @property
    def epochs(self) -> list[Epoch]:
        """The first event of each epoch, in order."""
        first: dict[int, Epoch] = {}
        for event in self.events:
            if isinstance(event, Epoch):
                first.setdefault(event.epoch, event)
        return [first[epoch] for epoch in sorted(first)]

    def append(self, event: Event) -> Event:
        """Add a line, on disk before this returns; returns the event as written.

        Its time is never before the last line's: the clock may be set back meanwhile.
        """
        latest = max((one.time for one in self.refresh().events[-1:]), default=0.0)
        event = event.having(time=max(latest, event.time))
        line = event.model_dump_json().encode() + b"\n"
        new = not self.path.exists()
        with open_file(self.path, "ab+") as file:
            found = os.fstat(file.fileno())
            if not self.events and found.st_size and found.st_nlink > 1:  # only a journal is sent
                raise JournalError(
                    f"{self.path} must be a journal, got a hard link to something else; move the "
                    "run's folder away and run it again"
                )
            if file.tell() and not _ends_whole(file):
                line = b"\n" + line  # a crash cut the last line short; keep it on its own
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)
        return event


def _lines(content: bytes) -> list[bytes]:
    """Lines with their ends, as written: a stray carriage return ends none."""
    *whole, rest = content.split(b"\n")
    return [line + b"\n" for line in whole] + [rest] * bool(rest)


def _json(line: bytes) -> object:
    try:
        return parse_json(line)
    except ValueError:
        return None


def _ends_whole(file: typing.BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
