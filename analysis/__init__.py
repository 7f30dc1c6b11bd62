"""From finished runs to tables, figures and a report; reads the files of a study, never a model.

Knows nothing of training, trackers or tuners. What stands here is what `runs.py` hands to commands;
pandas, SciPy, Matplotlib and Jinja are slow to import, so each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.figures.sample import Sample

if TYPE_CHECKING:  # slow to import
    import pandas as pd

    from analysis.records import Study
    from study.record import Inspection

__all__ = [
    "Sample",
    "aggregate_arms",
    "check_lines",
    "read_study",
    "summary",
    "write_check",
    "write_report",
]


def read_study(folder: Path) -> Study:
    """A study and its final runs; ValueError in one line where something is wrong with them."""
    from analysis.records import read_study as read  # slow

    return read(folder)


def write_report(
    study: Study, out_dir: Path, notes: Sequence[str] = (), place: Path | None = None
) -> Path:
    """Write the report of a study; see `analysis.report.write`. Returns the page's path."""
    from analysis.report import write  # slow

    return write.write_report(study, out_dir, notes, place)


def aggregate_arms(folder: Path, arms: Iterable[str]) -> dict[str, dict[str, float]]:
    """Test metrics of some arms over their finished seeds; see `tables.arms.aggregate_arm`."""
    from analysis.tables import arms as tables  # slow

    study = read_study(folder)
    return {arm: tables.aggregate_arm(study, arm) for arm in arms}


def summary(folder: Path) -> pd.DataFrame:
    """A row per declared arm, for the terminal; see `tables.arms.summary`."""
    from analysis.tables import arms as tables  # slow

    return tables.summary(read_study(folder))


def write_check(inspection: Inspection, sheet: Sequence[Sample], folder: Path) -> Path:
    """Write the page of a data check; see `analysis.report.check`. Returns the page's path."""
    from analysis.report import check  # slow

    return check.write_check(inspection, sheet, folder)


def check_lines(inspection: Inspection) -> list[str]:
    """What a data check found, as lines for a terminal."""
    from analysis.report import check_words  # slow

    return check_words.check_lines(inspection)
