"""Owns the analysis' view of a study: its declaration and one record per final run, checked.

Only role "final" runs of declared cells count; everything else is set aside by name, never pooled.
Must not know: tables, figures, trackers, models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from analysis.run import Record, Told, numbered
from seglib.metrics import terciles
from study.record import (
    Cell,
    DataFacts,
    Declaration,
    RunDir,
    check_file,
    files,
    read_declaration,
    read_npz,
)

AXES = ("model", "init", "loss", "tuning")  # told as network, loss and tuning


@dataclass(frozen=True)
class Panel:
    """A few test images to look at: n names, n (H, W, 3) uint8, n (H, W) uint8 with 255 = void."""

    names: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """A declaration and the runs found for it."""

    declaration: Declaration
    runs: tuple[Record, ...]  # of declared cells, in declaration order, then by seed
    superseded: tuple[Record, ...]  # final runs of cells that are not declared
    strays: tuple[tuple[str, str], ...]  # (folder, why it could not be read as a run)
    root: Path

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.declaration.cells

    @property
    def untuned(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if not cell.tuned)

    @property
    def data(self) -> DataFacts:
        return self.declaration.data

    @property
    def classes(self) -> tuple[str, ...]:
        return self.data.classes

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any declared arm has a run of, ascending."""
        return tuple(sorted({run.seed for run in self.runs}))

    @cached_property
    def _by_arm(self) -> dict[str, list[Record]]:
        runs: dict[str, list[Record]] = {cell.arm: [] for cell in self.cells}
        for run in self.runs:
            runs[run.arm].append(run)
        return runs

    def runs_of(self, arm: str) -> tuple[Record, ...]:
        """Runs of one declared arm by seed, whatever their state."""
        return tuple(self._by_arm[self.declaration.cell(arm).arm])

    def finished(self, arm: str | None = None) -> tuple[Record, ...]:
        """Finished runs of one declared arm, or of all of them."""
        return tuple(run for run in (self.runs_of(arm) if arm else self.runs) if run.finished)

    @property
    def varied(self) -> list[str]:
        """Fields and factors, beside network and loss, in which the untuned arms differ.

        A field that a factor sets is told by its factor, one that a budget sets by its network.
        """
        factors, narrowed = self.declaration.factors, self.declaration.narrowed
        bundled = {name for levels in factors.values() for one in levels.values() for name in one}
        fields = dict.fromkeys(name for cell in self.untuned for name in cell.values)
        names = [name for name in fields if name not in (*AXES, *bundled, *narrowed)]
        return [
            name
            for name in (*names, *factors)
            if len({str(cell.levels.get(name)) for cell in self.untuned}) > 1
        ]

    @property
    def extra_axes(self) -> list[str]:
        """Axes beside network and loss that tell arms apart in a table.

        The label where cells have one, else what varies among the untuned cells (tuned values
        differ by nature); tuning as soon as one arm is tuned.
        """
        labelled = any(cell.label for cell in self.untuned)
        tuning = ["tuning"] if len(self.untuned) < len(self.cells) else []
        return (["label"] if labelled else self.varied) + tuning

    def present(self, split: str) -> tuple[bool, ...]:
        """Per class: does the truth of this split hold at least one pixel of it?"""
        return tuple(share > 0 for share in self.data.pixel_share[split])

    @property
    def by_frequency(self) -> dict[str, list[int]]:
        """Classes in fit and in test by their share of the fit pixels: thirds, rare first.

        Without background. Returns: rare, medium, frequent -> class indices.
        """
        shares = np.where(self.present("test"), self.data.pixel_share["fit"], 0.0)
        return terciles(shares, exclude=(0,) if self.data.background else ())

    def panel(self) -> Panel | None:
        """The study's example images, None if it stored none."""
        path = self.root / files.PANEL
        if not check_file(path):
            return None
        arrays = read_npz(path, "delete it, the next --grid writes it", "names")
        names = tuple(str(name) for name in arrays["names"].ravel())
        images, masks = numbered(arrays, "image"), numbered(arrays, "mask")
        if not len(names) == len(images) == len(masks):
            raise ValueError(
                f"{path}: must hold as many images and masks as its {len(names)} names, "
                f"got {len(images)} and {len(masks)}"
            )
        return Panel(names, images, masks)


def read_study(place: Path | str) -> Study:
    """Read the declaration and every final run of a study.

    Raises: ValueError in one line if there is no study, a file is broken, two runs claim the same
        declared arm and seed, or finished runs lack a number that every table needs, are of other
        data or were scored by another metric contract than the study declares.
    """
    folder = Path(place)
    declaration = read_declaration(folder)
    by_id = {cell.cell_id: cell for cell in declaration.cells if cell.cell_id is not None}
    counted: dict[tuple[str, int], Record] = {}
    superseded, strays = [], []
    for path in sorted(p for p in (folder / files.RUNS).glob("*") if p.is_dir()):
        if not (path / files.CONFIG).is_file():
            strays.append((path.name, f"folder without {files.CONFIG}"))
            continue
        record = _read_record(path, by_id, declaration.data)
        if record is None:
            continue
        if record.cell_id not in by_id:
            superseded.append(record)
            continue
        _check_result(record, declaration.data)
        twin = counted.setdefault((record.arm, record.seed), record)
        if twin is not record:
            raise ValueError(
                f"arm and seed must be unique, got runs {twin.run_id} and {record.run_id} both for "
                f"{record.name}; move one of them out of {folder / files.RUNS}"
            )
    order = {cell.arm: index for index, cell in enumerate(declaration.cells)}
    runs = sorted(counted.values(), key=lambda run: (order[run.arm], run.seed))
    _check_alike([run for run in runs if run.finished], declaration, folder / files.STUDY)
    return Study(declaration, tuple(runs), tuple(superseded), tuple(strays), folder.resolve())


def _read_record(path: Path, by_id: Mapping[str, Cell], data: DataFacts) -> Record | None:
    """A final run's folder as a record, None for another role.

    A declared cell's labels win over those the run stored.
    """
    run_dir = RunDir(path)
    stored = run_dir.record()
    if stored.role != "final":
        return None
    cell = by_id.get(stored.cell_id, stored)
    told = Told.by(run_dir.journal())
    return Record(stored, cell.arm, cell.network, told, path, _most_bytes(data))


def _most_bytes(data: DataFacts) -> int:
    """What the confusions of a run can be, as they were stored at the most: 8 bytes a cell; names
    of up to 255 letters of 4 bytes."""
    n_images = data.n_images["test"] + data.n_images["dev"]
    return n_images * (8 * (len(data.classes) + 1) ** 2 + 1020) + 1_000_000


def _check_result(record: Record, data: DataFacts) -> None:
    """A finished run without one of its numbers would silently shrink a mean: refuse it."""
    if not record.finished:
        return
    shares = zip(data.classes, data.pixel_share["test"], strict=True)
    needed = ["dev/miou", "test/miou", "test/pixel_accuracy"]
    needed += [f"test/iou/{name}" for name, share in shares if share > 0]
    lacking = [key for key in needed if not math.isfinite(record.result.get(key, math.nan))]
    if lacking:
        raise ValueError(
            f"{record.path / files.JOURNAL}: a finished run must record finite numbers, got none "
            f"for {', '.join(lacking)}; move the run's folder away and run it again"
        )


def _check_alike(runs: Sequence[Record], declaration: Declaration, path: Path) -> None:
    """Numbers of other data or by another metric contract than declared compare with nothing."""
    fingerprint, contract = declaration.data.fingerprint, declaration.contract
    odd: dict[str, list[str]] = {}
    for run in runs:
        data, found = str(run.config.get("data")), run.end.contract if run.end else contract
        differs = [] if data == fingerprint else [f"data {data[:12]} (study: {fingerprint[:12]})"]
        differs += [
            f"{rule}: {found.get(rule)!r} (study: {contract.get(rule)!r})"
            for rule in sorted({*found, *contract})
            if found.get(rule) != contract.get(rule)
        ]
        if differs:
            odd.setdefault("; ".join(differs), []).append(f"{run.name} ({run.run_id})")
    if odd:
        told = "; ".join(f"{', '.join(names)} with {what}" for what, names in odd.items())
        raise ValueError(
            f"{path}: all finished runs must be of its data and scored by its metric contract, got "
            f"{told}; move their folders away and run them again"
        )
