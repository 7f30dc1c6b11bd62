"""What commands need of the analysis, handed in by `runs.py`: study never imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.record import Inspection, Sample

# Arms' values of a study in a folder: arm -> "n", "<metric>/mean", ...
Aggregate = Callable[[Path, Sequence[str]], dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Analysis:
    """Functions of study folders."""

    aggregate: Aggregate
    # rows of the summary: "arm", "n", "test/miou mean", ..., "status"
    summary: Callable[[Path], Sequence[Mapping[str, object]]]
    # (folder to read, folder of the report, notes, folder that commands name) -> page
    report: Callable[[Path, Path, Sequence[str], Path], Path]
    # (facts, sample images, folder) -> page, and the lines for a terminal
    check: Callable[[Inspection, Sequence[Sample], Path], tuple[Path, Sequence[str]]]
