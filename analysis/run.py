"""Owns one final run as the analysis sees it: what its journal and its results say.

Must not know: other runs, tables, figures.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from seglib.metrics import class_counts
from study.record import TERMINAL, Journal, RunRecord, check_file, files, read_npz, run_name
from study.record.files import Arrays, Scalar
from study.record.journal import Died, Failed, Finished, Metrics, Pruned, Stopped
from study.record.rundir import WAY_OUT


@dataclass(frozen=True, eq=False)
class Record:
    """One final run as it lies on disk."""

    stored: RunRecord
    arm: str
    network: str
    journal: Journal
    path: Path

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
        last = self.journal.last
        return last.event if last is not None and last.event in TERMINAL else "unfinished"

    @property
    def end(self) -> Finished | None:
        """Its last event, if that says that the run is whole."""
        last = self.journal.last
        return last if isinstance(last, Finished) else None

    @property
    def finished(self) -> bool:
        return self.end is not None

    @property
    def error(self) -> str:
        """Why it is not finished, one line; "" if it is."""
        last, epochs = self.journal.last, self.journal.epochs
        reached = f"epoch {epochs[-1].epoch}" if epochs else "no whole epoch"
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
        starts = self.journal.starts
        return starts[-1].n_parameters if starts else None

    @property
    def environments(self) -> tuple[Mapping[str, Scalar], ...]:
        """One per attempt."""
        return tuple(start.environment for start in self.journal.starts)

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """The last attempt's environment, {} if the run never started."""
        return self.environments[-1] if self.environments else {}

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row per epoch: "epoch", a column per metric and, unless resumed, "minutes"."""
        epochs, starts = self.journal.epochs, self.journal.starts
        rows = [{"epoch": one.epoch, **_floats(one.metrics)} for one in epochs]
        table = pd.DataFrame(rows) if rows else pd.DataFrame({"epoch": []}, dtype=int)
        if len(starts) == 1:  # of a resumed run, nobody knows which of its time was spent twice
            times = np.array([one.time for one in epochs])
            table["minutes"] = (times - starts[0].time) / 60
        return table

    def confusion(self, split: Literal["test", "dev"]) -> tuple[tuple[str, ...], np.ndarray]:
        """Image names (n,) and confusion matrices (n, C, C) int64, rows truth, of one split."""
        if split not in ("test", "dev"):
            raise ValueError(f"split must be 'test' or 'dev', got {split!r}")
        path = self.path / files.CONFUSION
        if not path.is_file():
            raise ValueError(f"run {self.name} must have {path}, got none; is it finished?")
        arrays = read_npz(path, WAY_OUT, split, f"{split}_names")
        names = tuple(str(name) for name in arrays[f"{split}_names"].ravel())
        counts = arrays[split].astype(np.int64)
        if counts.ndim != 3 or counts.shape[0] != len(names) or counts.shape[1] != counts.shape[2]:
            raise ValueError(
                f"{path}: {split} must be ({len(names)}, C, C) for {len(names)} names, "
                f"got {counts.shape}; run it again"
            )
        return names, counts

    @cached_property
    def counts(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """By split, "test" and "dev": image names (n,) and class counts (n, C, 3): TP, FP, FN."""
        read = {"test": self.confusion("test"), "dev": self.confusion("dev")}
        return {split: (names, class_counts(counts)) for split, (names, counts) in read.items()}

    def panel(self) -> tuple[np.ndarray, ...] | None:
        """Predicted class maps (H, W) uint8 in the order of the study's panel; None if absent."""
        path = self.path / files.PANEL
        return numbered(read_npz(path, WAY_OUT), "prediction") if check_file(path) else None


def _floats(metrics: Metrics) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def numbered(arrays: Arrays, stem: str) -> tuple[np.ndarray, ...]:
    """Arrays `stem_0`, `stem_1`, ... in number order, as far as they go."""
    numbers = itertools.takewhile(lambda i: f"{stem}_{i}" in arrays, itertools.count())
    return tuple(arrays[f"{stem}_{i}"] for i in numbers)
