"""`python -m analysis --study NAME`: the report of a study, from its runs on disk or in MLflow."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from analysis.records import Study, read_study
from analysis.report import write_report
from study.tracking import TrackingError, tracking_uri
from study.tracking_read import deleted, fetch, publish


def report(out: Path, name: str) -> tuple[Path, list[str]]:
    """Write `<out>/<name>/report/` and log it to MLflow.

    The run directories are read where they are; else (another machine) what MLflow has of them.
    Returns: the page's path, and lines on what was not as usual.
    Raises: ValueError in one line.
    """
    folder, uri = out / name, tracking_uri(out)
    reachable = not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()
    if (folder / "study.json").exists():
        study, notes = read_study(folder), []
        if reachable:
            try:
                gone = set(deleted(uri, name)) & {run.run_id for run in study.runs}
            except Exception as error:  # the report needs no tracker
                gone, notes = set(), [f"MLflow could not be asked for deleted runs: {error}"]
            names = [run.name for run in study.runs if run.run_id in gone]
            notes += [f"deleted in MLflow, used here from disk: {', '.join(names)}"] * bool(names)
        return _write(study, folder, uri if reachable else "", notes)
    if not reachable:
        read_study(folder)  # says which studies there are
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch) / name
        try:
            fetch(uri, name, fetched)
        except TrackingError as error:
            raise ValueError(f"study {name} is not in {out}, and {error}") from None
        notes = [f"read from MLflow at {uri}: the run directories are not here"]
        return _write(read_study(fetched), folder, uri, notes)


def _write(study: Study, folder: Path, uri: str, notes: list[str]) -> tuple[Path, list[str]]:
    page = write_report(study, folder / "report", notes)
    behind = publish(uri, study.name, study.declaration["uuid"], folder / "report") if uri else ""
    return page, notes + [f"the report is not in MLflow: {behind}"] * bool(behind)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and print the page's path; 2 and one line if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study, a folder under --out")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="where studies lie")
    options = parser.parse_args(arguments)
    try:
        page, notes = report(options.out, options.study)
    except ValueError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    for note in notes:
        print(f"note: {note}")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
