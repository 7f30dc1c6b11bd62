"""Owns one final run as the analysis sees it: what its journal and its results say.

Must not know: other runs, tables, figures.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from seglib.metrics import Confusions, class_counts
from study.record import TERMINAL, Event, Journal, RunRecord, check_file, files, read_npz, run_name
from study.record.files import Arrays, Scalar
from study.record.journal import Died, Failed, Finished, Metrics, Pruned, Start, Stopped
from study.record.rundir import WAY_OUT

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Told:
    """What a journal says, as little of it as a table needs: of 2,000 runs all are kept."""

    starts: tuple[Start, ...]
    last: Event | None
    epochs: np.ndarray  # (E,) ascending
    times: np.ndarray  # (E,) seconds since 1970
    metrics: Names  # M, as they first appear
    values: np.ndarray  # (E, M), NaN where undefined or not measured

    @classmethod
    def by(cls, journal: Journal) -> Told:
        epochs = journal.epochs
        metrics = tuple(dict.fromkeys(name for one in epochs for name in one.metrics))
        values = np.array([[one.metrics.get(name) for name in metrics] for one in epochs], float)
        return cls(
            tuple(journal.starts),
            journal.last,
            np.array([one.epoch for one in epochs], int),
            np.array([one.time for one in epochs], float),
            metrics,
            values.reshape(len(epochs), len(metrics)),
        )


@dataclass(frozen=True, eq=False)
class Record:
    """One final run as it lies on disk."""

    stored: RunRecord
    arm: str
    network: str
    told: Told
    path: Path
    most_bytes: int = files.MOST_BYTES  # of its stored confusions, unpacked

    @property
    def run_id(self) -> str:
        return self.stored.run_id

    @property
    def cell_id(self) -> str:
        return self.stored.cell_id

    @property
    def seed(self) -> int:
        return self.stored.seed

    @property
    def config(self) -> Mapping[str, Scalar | dict[str, Scalar]]:
        return self.stored.config

    @property
    def name(self) -> str:
        return run_name(self.arm, self.seed)

    @property
    def state(self) -> str:
        """finished, failed, pruned or unfinished."""
        last = self.told.last
        return last.event if last is not None and last.event in TERMINAL else "unfinished"

    @property
    def end(self) -> Finished | None:
        """Its last event, if that says that the run is whole."""
        last = self.told.last
        return last if isinstance(last, Finished) else None

    @property
    def finished(self) -> bool:
        return self.end is not None

    @property
    def error(self) -> str:
        """Why it is not finished, one line; "" if it is."""
        last, epochs = self.told.last, self.told.epochs
        reached = f"epoch {epochs[-1]}" if len(epochs) else "no whole epoch"
        match last:
            case None:
                return "nothing recorded yet"
            case Finished():
                return ""
            case Failed():
                return " ".join(last.error.split()) or "no error message recorded"
            case Pruned():
                return f"pruned at epoch {last.epoch}"
            case Died():
                return f"died: {last.error}, {reached} recorded"
            case Stopped():
                return f"stopped on request, {reached} recorded"
            case _:
                return f"no end recorded (running or interrupted), {reached} recorded"

    @cached_property
    def result(self) -> Mapping[str, float]:
        """Final metrics: "dev/miou", "test/miou", "test/iou/<class>", ...; NaN where undefined."""
        return _floats(self.end.metrics) if self.end else {}

    @property
    def best_epoch(self) -> int | None:
        return self.end.best_epoch if self.end else None

    @property
    def duration_s(self) -> float:
        """Training and evaluation, all attempts; NaN unless finished."""
        return self.end.duration_s if self.end else math.nan

    @property
    def peak_memory_mb(self) -> float:
        return self.end.peak_memory_mb if self.end else math.nan

    @property
    def n_parameters(self) -> int | None:
        starts = self.told.starts
        return starts[-1].n_parameters if starts else None

    @property
    def environments(self) -> tuple[Mapping[str, Scalar], ...]:
        """One per attempt."""
        return tuple(start.environment for start in self.told.starts)

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """The last attempt's environment, {} if the run never started."""
        return self.environments[-1] if self.environments else {}

    @property
    def history(self) -> pd.DataFrame:
        """A row per epoch: "epoch", a column per metric and, unless resumed, "minutes"."""
        columns = dict(zip(self.told.metrics, self.told.values.T, strict=True))
        if self.minutes is not None:
            columns["minutes"] = self.minutes
        return pd.DataFrame({"epoch": self.told.epochs, **columns})

    @property
    def minutes(self) -> np.ndarray | None:
        """(E,) since the start; None of a resumed run: nobody knows what of it was done twice."""
        starts = self.told.starts
        return (self.told.times - starts[0].time) / 60 if len(starts) == 1 else None

    def curve(self, metric: str) -> np.ndarray | None:
        """(E,) a metric over the epochs, NaN where it was not measured; None if it never was."""
        if metric not in self.told.metrics:
            return None
        return self.told.values[:, self.told.metrics.index(metric)]

    def confusion(self, split: Literal["test", "dev"]) -> tuple[Names, Confusions]:
        """Image names (n,) and confusion matrices of one split."""
        if split not in ("test", "dev"):
            raise ValueError(f"split must be 'test' or 'dev', got {split!r}")
        return self._unpacked(split, self._arrays())

    def _arrays(self) -> Arrays:
        path = self.path / files.CONFUSION
        if not check_file(path):
            raise ValueError(f"run {self.name} must have {path}, got none; is it finished?")
        return read_npz(path, WAY_OUT, "test_names", "dev_names", at_most=self.most_bytes)

    def _unpacked(self, split: str, arrays: Arrays) -> tuple[Names, Confusions]:
        path = self.path / files.CONFUSION
        array = arrays[f"{split}_names"].ravel()
        names = _names(array.dtype.str, array.tobytes())
        try:
            found = Confusions.unpacked(split, arrays)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; run it again") from None
        if len(found) != len(names):
            raise ValueError(
                f"{path}: {split} must be ({len(names)}, C, C) for {len(names)} names, "
                f"got {found.shape}; run it again"
            )
        return names, found

    @cached_property
    def _scored(self) -> tuple[Names, Confusions, np.ndarray]:
        """What is read once and kept: names and confusions of test, class counts (C, 3) of dev."""
        arrays = self._arrays()
        dev = self._unpacked("dev", arrays)[1].total()
        return *self._unpacked("test", arrays), class_counts(dev)

    @property
    def test_names(self) -> Names:
        """The test images, in the order of their counts."""
        return self._scored[0]

    @property
    def test_counts(self) -> np.ndarray:
        """(n, C, 3) TP, FP, FN of the test images."""
        return self._scored[1].class_counts()

    @property
    def test_total(self) -> np.ndarray:
        """(C, C) the confusion matrix of all test images together."""
        return self._scored[1].total()

    @property
    def dev_counts(self) -> np.ndarray:
        """(C, 3) TP, FP, FN of all dev images together."""
        return self._scored[2]

    def panel(self) -> tuple[np.ndarray, ...] | None:
        """Predicted class maps (H, W) uint8 in the order of the study's panel; None if absent."""
        path = self.path / files.PANEL
        return numbered(read_npz(path, WAY_OUT), "prediction") if check_file(path) else None


@lru_cache(maxsize=8)  # the same in all runs of a study
def _names(kind: str, content: bytes) -> Names:
    return tuple(str(name) for name in np.frombuffer(content, kind))


def _floats(metrics: Metrics) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def numbered(arrays: Arrays, stem: str) -> tuple[np.ndarray, ...]:
    """Arrays `stem_0`, `stem_1`, ... in number order, as far as they go."""
    numbers = itertools.takewhile(lambda i: f"{stem}_{i}" in arrays, itertools.count())
    return tuple(arrays[f"{stem}_{i}"] for i in numbers)
