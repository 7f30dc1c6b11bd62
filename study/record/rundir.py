"""The run directory: the truth about one run. Its files, its state, its lock.

config.json     what the run is
journal.jsonl   what happened, append-only, one event a line
last.pt         checkpoint, and previous.pt the one before (gone when the run is finished)
best.pt         weights of the best dev epoch
confusion.npz panel.npz panel.png history.json    results
"""

from __future__ import annotations

import contextlib
import os
import typing
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout
from pydantic import model_validator

from study.record import files, inside
from study.record.files import OnDisk, Scalar, read_model, write_json
from study.record.inside import RecordError
from study.record.journal import Event, Journal
from study.record.names import ArmName, CellId, RunId, is_run_id

State = typing.Literal["new", "running", "dead", "failed", "pruned", "finished"]
# Events after which nothing of a run is under way. Any other last event means it was cut off.
TERMINAL: tuple[State, ...] = ("failed", "pruned", "finished")
ROLES = ("final", "trial", "rerank")
WAY_OUT = "move the run's folder away and run it again"


def run_name(arm: str, seed: int) -> str:
    """How a reader knows a run."""
    return f"{arm} seed {seed}"


class RunRecord(OnDisk):
    """What a run is: config.json of its directory."""

    run_id: RunId
    cell_id: CellId
    arm: ArmName
    network: str
    config: dict[str, Scalar | dict[str, Scalar]]  # every field of its RunConfig

    @model_validator(mode="after")
    def _has_seed_and_role(self) -> typing.Self:
        seed, role = self.config.get("seed"), self.config.get("role")
        if type(seed) is not int:
            raise ValueError(f"must have config.seed, got {seed!r}")
        if role not in ROLES:
            raise ValueError(f"must have config.role, got {role!r} (not {', '.join(ROLES)})")
        return self

    @property
    def name(self) -> str:
        return run_name(self.arm, self.seed)

    @property
    def seed(self) -> int:
        return typing.cast(int, self.config["seed"])

    @property
    def role(self) -> str:
        return str(self.config["role"])


class RunDir:
    """One run's directory; cheap to make, touches the disk only when asked.

    Every method raises RecordError when the directory, or the one around it, is a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / files.CONFIG
        self.best = self.path / files.BEST
        self.last = self.path / files.LAST
        self.previous = self.path / files.PREVIOUS
        self._journal = Journal(self.path / files.JOURNAL)

    @property
    def run_id(self) -> str:
        return self.path.name

    def _check(self) -> None:
        inside.check_folders(self.path.parent, self.path)

    def create(self, record: RunRecord) -> None:
        """Make the directory and its config.json; those that are there must be of this run."""
        self._check()
        self.path.mkdir(parents=True, exist_ok=True)
        if not inside.check_file(self.config):
            write_json(self.config, record)
        elif (there := self.record().run_id) != record.run_id:
            raise self._of_another(record.run_id, there)

    def record(self) -> RunRecord:
        """What config.json holds; RecordError unless it is what `create` wrote."""
        self._check()
        record = read_model(self.config, RunRecord, WAY_OUT)
        if record.run_id != self.run_id:
            raise self._of_another(self.run_id, record.run_id)
        return record

    def _of_another(self, run_id: str, there: str) -> RecordError:
        return RecordError(f"{self.config} must be of run {run_id}, got run {there}; {WAY_OUT}")

    def journal(self) -> Journal:
        """The journal as it is now; only what is new since the last call is read.

        Raises: JournalError.
        """
        self._check()
        return self._journal.refresh()

    def append(self, event: Event) -> Event:
        """Add an event to the journal, on disk before this returns, and return it as written."""
        self._check()
        return self._journal.append(event)

    def clean(self) -> None:
        """Remove what a killed process left half-written; call with the lock held."""
        self._check()
        files.clean(self.path)

    def drop_checkpoints(self) -> None:
        """A run that has ended keeps only its best weights."""
        self._check()
        self.last.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)

    def state(self) -> State:
        """new, running (its lock is held), dead (cut off), failed, pruned or finished."""
        last = self.journal().last
        if last is not None and last.event in TERMINAL:
            return typing.cast(State, last.event)
        if self.locked():
            return "running"
        return "new" if last is None else "dead"

    def locked(self) -> bool:
        """Whether some process works on this run now."""
        self._check()
        if not inside.check_file(self.path / files.RUN_LOCK):
            return False
        try:
            with inside.lock(self.path / files.RUN_LOCK, 0):
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run; raises filelock.Timeout when another process does.

        Waits a little: `locked` takes the lock for an instant to look.
        """
        self._check()
        self.path.mkdir(parents=True, exist_ok=True)
        with inside.lock(self.path / files.RUN_LOCK, 3):
            yield


def run_dirs(folder: Path) -> list[RunDir]:
    """The directories below `folder` that hold a run, by name.

    Raises: RecordError when it is a link, or what is named like a run is no directory.
    """
    inside.check_folders(folder)
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_run_id(path.name):
            inside.check_folders(path)
        if os.path.lexists(path / files.CONFIG):
            found.append(RunDir(path))
    return found
