"""From finished runs to tables, figures and a report; reads the files of a study, never a model.

Knows nothing of training, trackers or tuners. These functions are what `runs.py` hands to commands;
pandas, SciPy, Matplotlib and Jinja are slow to import, so each imports what it needs itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from study.record import Inspection, Sample

__all__ = ["aggregate_arms", "check_data", "report_study", "summary"]


def aggregate_arms(folder: Path, arms: Iterable[str]) -> dict[str, dict[str, float]]:
    """Test metrics of some arms over their finished seeds; see `tables.arms.aggregate_arm`."""
    from analysis.records import read_study  # slow to import
    from analysis.tables.arms import aggregate_arm

    study = read_study(folder)
    return {arm: aggregate_arm(study, arm) for arm in arms}


def summary(folder: Path) -> list[Mapping[str, object]]:
    """A row per declared arm, for the terminal; see `tables.arms.summary`."""
    from analysis.records import read_study  # slow to import
    from analysis.tables import arms

    rows: list[Mapping[str, object]] = arms.summary(read_study(folder)).to_dict("records")
    return rows


def report_study(folder: Path, out_dir: Path, notes: Sequence[str], place: Path) -> Path:
    """Write the report of the study in `folder` to `out_dir`; see `report.write`.

    Args: place: the study's folder as the commands to reproduce name it.
    Returns: the page's path.
    """
    from analysis.records import read_study  # slow to import
    from analysis.report.write import write_report

    return write_report(read_study(folder), out_dir, notes, place)


def check_data(
    facts: Inspection, sheet: Sequence[Sample], folder: Path
) -> tuple[Path, Sequence[str]]:
    """Write the page of a data check; see `report.check`.

    Returns: the page's path, and lines for a terminal.
    """
    from analysis.report.check import write_check  # slow to import
    from analysis.report.check_words import check_lines

    return write_check(facts, sheet, folder), check_lines(facts)
