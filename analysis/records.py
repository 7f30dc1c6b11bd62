"""Owns reading a study directory: the declaration and one record per run, checked.

Only role "final" runs of declared cells count; everything else is set aside by name, never pooled.
Must not know: tables, figures, trackers, models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.declaration import Cell, read_cells, read_declaration
from analysis.journal import read_journal, read_json
from seglib.metrics import class_counts


@dataclass(frozen=True, eq=False)
class Record:
    """One final run as it lies on disk."""

    run_id: str
    cell_id: str
    arm: str
    network: str
    seed: int
    role: str
    state: str  # finished | failed | pruned | unfinished
    error: str  # why it is not finished, one line; "" if finished
    config: Mapping[str, Any]
    # One row per epoch: "epoch", a column per metric and, unless resumed, "minutes" since its start
    history: pd.DataFrame
    result: Mapping[str, float]  # final metrics: "dev/miou", "test/miou", "test/iou/<class>", ...
    best_epoch: int | None
    duration_s: float  # training and evaluation, all attempts; NaN unless finished
    peak_memory_mb: float
    n_parameters: int | None
    environments: tuple[Mapping[str, Any], ...]  # one per attempt
    contract: Mapping[str, str] | None  # what its metrics mean; None: from before it was recorded
    path: Path

    @property
    def finished(self) -> bool:
        return self.state == "finished"

    @property
    def name(self) -> str:
        """How a reader knows the run."""
        return f"{self.arm} seed {self.seed}"

    @property
    def environment(self) -> Mapping[str, Any]:
        """The last attempt's environment, {} if the run never started."""
        return self.environments[-1] if self.environments else {}

    def confusion(self, split: Literal["test", "dev"]) -> tuple[tuple[str, ...], np.ndarray]:
        """Image names (n,) and confusion matrices (n, C, C) int64, rows truth, of one split."""
        if split not in ("test", "dev"):
            raise ValueError(f"split must be 'test' or 'dev', got {split!r}")
        path = self.path / "confusion.npz"
        if not path.is_file():
            raise ValueError(f"run {self.name} must have {path}, got none; is it finished?")
        arrays = _arrays(
            path, "move the run's folder away and run it again", split, f"{split}_names"
        )
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
        read = {split: self.confusion(split) for split in ("test", "dev")}
        return {split: (names, class_counts(counts)) for split, (names, counts) in read.items()}

    def panel(self) -> tuple[np.ndarray, ...] | None:
        """Predicted class maps (H, W) uint8 in the order of the study's panel; None if absent."""
        path = self.path / "panel.npz"
        if not path.is_file():
            return None
        return _numbered(_arrays(path, "move the run's folder away and run it again"), "prediction")


@dataclass(frozen=True)
class Panel:
    """A few test images to look at: n names, n (H, W, 3) uint8, n (H, W) uint8 with 255 = void."""

    names: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """A declaration and the runs found for it."""

    declaration: Mapping[str, Any]
    cells: tuple[Cell, ...]
    runs: tuple[Record, ...]  # of declared cells, in declaration order, then by seed
    superseded: tuple[Record, ...]  # final runs of cells that are not declared
    strays: tuple[tuple[str, str], ...]  # (folder, why it could not be read as a run)
    root: Path

    @property
    def name(self) -> str:
        return self.declaration["name"]

    @property
    def data(self) -> Mapping[str, Any]:
        return self.declaration["data"]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.data["classes"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any declared arm has a run of, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    def runs_of(self, arm: str) -> tuple[Record, ...]:
        """Runs of one declared arm by seed, whatever their state."""
        if arm not in {cell.arm for cell in self.cells}:
            choices = ", ".join(cell.arm for cell in self.cells)
            raise ValueError(f"arm must be one of {choices}, got {arm!r}")
        return tuple(run for run in self.runs if run.arm == arm)

    def finished(self, arm: str | None = None) -> tuple[Record, ...]:
        """Finished runs of one declared arm, or of all of them."""
        return tuple(r for r in (self.runs_of(arm) if arm else self.runs) if r.finished)

    def present(self, split: str) -> tuple[bool, ...]:
        """Per class: does the truth of this split hold at least one pixel of it?"""
        return tuple(share > 0 for share in self.data["pixel_share"][split])

    def panel(self) -> Panel | None:
        """The study's example images, None if it stored none."""
        path = self.root / "panel.npz"
        if not path.is_file():
            return None
        arrays = _arrays(path, "delete it, the next --grid writes it", "names")
        names = tuple(str(name) for name in arrays["names"].ravel())
        images, masks = _numbered(arrays, "image"), _numbered(arrays, "mask")
        if not len(names) == len(images) == len(masks):
            raise ValueError(
                f"{path}: must hold as many images and masks as its {len(names)} names, "
                f"got {len(images)} and {len(masks)}"
            )
        return Panel(names, images, masks)


def read_study(study_dir: Path) -> Study:
    """Read `study.json` and every final run under `runs/`.

    Raises: ValueError in one line if there is no study, a file is broken, two runs claim the same
        declared arm and seed, or finished runs lack a number that every table needs, are of other
        data or were scored by another metric contract than the study declares.
    """
    study_dir = Path(study_dir)
    declaration = read_declaration(study_dir)
    cells = read_cells(declaration, study_dir / "study.json")
    by_id = {cell.cell_id: cell for cell in cells if cell.cell_id is not None}
    counted: dict[tuple[str, int], Record] = {}
    superseded, strays = [], []
    for path in sorted(p for p in (study_dir / "runs").glob("*") if p.is_dir()):
        if not (path / "config.json").is_file():
            strays.append((path.name, "folder without config.json"))
            continue
        record = _read_record(path, by_id)
        if record.role != "final":
            continue
        if record.cell_id not in by_id:
            superseded.append(record)
            continue
        _check_result(record, declaration["data"])
        twin = counted.setdefault((record.arm, record.seed), record)
        if twin is not record:
            raise ValueError(
                f"arm and seed must be unique, got runs {twin.run_id} and {record.run_id} both for "
                f"{record.name}; move one of them out of {study_dir / 'runs'}"
            )
    order = {cell.arm: index for index, cell in enumerate(cells)}
    runs = sorted(counted.values(), key=lambda run: (order[run.arm], run.seed))
    _check_alike([run for run in runs if run.finished], declaration, study_dir / "study.json")
    return Study(
        declaration, cells, tuple(runs), tuple(superseded), tuple(strays), study_dir.resolve()
    )


def _read_record(path: Path, by_id: Mapping[str, Cell]) -> Record:
    """A run's folder as a record; a declared cell's labels win over those the run stored."""
    file = path / "config.json"
    stored = read_json(file)
    try:
        cell_id, config = stored["cell_id"], dict(stored["config"])
        cell = by_id.get(cell_id)
        return Record(
            run_id=stored["run_id"],
            cell_id=cell_id,
            arm=cell.arm if cell else stored["arm"],
            network=cell.network if cell else stored["network"],
            seed=int(config["seed"]),
            role=config["role"],
            config=config,
            path=path,
            **vars(read_journal(path / "journal.jsonl")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file} must have run_id, cell_id, arm, network and config with seed and role, "
            f"got {error!r}; move the folder away and run it again"
        ) from error


def _check_result(record: Record, data: Mapping[str, Any]) -> None:
    """A finished run without one of its numbers would silently shrink a mean: refuse it."""
    if not record.finished:
        return
    shares = zip(data["classes"], data["pixel_share"]["test"], strict=True)
    needed = ["dev/miou", "test/miou", "test/pixel_accuracy"]
    needed += [f"test/iou/{name}" for name, share in shares if share > 0]
    lacking = [key for key in needed if not math.isfinite(record.result.get(key, math.nan))]
    if lacking:
        raise ValueError(
            f"{record.path / 'journal.jsonl'}: a finished run must record finite numbers, got none "
            f"for {', '.join(lacking)}; move the run's folder away and run it again"
        )


def _check_alike(runs: Sequence[Record], declaration: Mapping[str, Any], path: Path) -> None:
    """Numbers of other data or by another metric contract than declared compare with nothing."""
    fingerprint, contract = declaration["data"]["fingerprint"], declaration.get("contract")
    odd: dict[str, list[str]] = {}
    for run in runs:
        data = run.config.get("data", fingerprint)
        differs = [] if data == fingerprint else [f"data {data[:12]} (study: {fingerprint[:12]})"]
        if None not in (run.contract, contract):
            differs += [
                f"{rule}: {run.contract.get(rule)!r} (study: {contract.get(rule)!r})"
                for rule in sorted({*run.contract, *contract})
                if run.contract.get(rule) != contract.get(rule)
            ]
        if differs:
            odd.setdefault("; ".join(differs), []).append(f"{run.name} ({run.run_id})")
    if odd:
        found = "; ".join(f"{', '.join(names)} with {what}" for what, names in odd.items())
        raise ValueError(
            f"{path}: all finished runs must be of its data and scored by its metric contract, got "
            f"{found}; move their folders away and run them again"
        )


def _arrays(path: Path, remedy: str, *needed: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; ValueError when it is damaged or lacks one that is needed."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy and zipfile raise many types for damaged files
        raise ValueError(f"{path} must be a whole .npz file, got {error}; {remedy}") from None
    if missing := [name for name in needed if name not in found]:
        raise ValueError(
            f"{path} must hold {' and '.join(needed)}, got no {', '.join(missing)}; {remedy}"
        )
    return found


def _numbered(arrays: Mapping[str, np.ndarray], stem: str) -> tuple[np.ndarray, ...]:
    """Arrays `stem_0`, `stem_1`, ... in number order, as far as they go."""
    numbers = itertools.takewhile(lambda i: f"{stem}_{i}" in arrays, itertools.count())
    return tuple(arrays[f"{stem}_{i}"] for i in numbers)
