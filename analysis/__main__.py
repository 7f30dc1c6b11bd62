"""`python -m analysis --study NAME`: the report of a study, from its runs on disk or in MLflow."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from analysis.records import Study, read_study
from analysis.report.report import write_report
from study.tracking.fetch import deleted, fetch, publish
from study.tracking.projection import TrackingError, one_line, shown, tracking_uri


def report(out: Path, name: str) -> tuple[Path, list[str]]:
    """Write `<out>/<name>/report/` and log it to MLflow.

    The run directories are read where they are; else (another machine) what MLflow has of them.
    Returns: the page's path, and lines on what was not as usual.
    Raises: ValueError in one line.
    """
    folder, uri = out / name, tracking_uri(out)
    there = not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()
    if (folder / "study.json").exists() or not there:
        study, notes = read_study(folder), []  # or says which studies there are
        uuid = study.declaration.get("uuid", "")
        if there and uuid:
            try:
                gone = set(deleted(uri, name, uuid)) & {run.run_id for run in study.runs}
            except Exception as error:  # the report needs no tracker
                gone, there = set(), False
                notes.append(
                    f"MLflow could not be asked for deleted runs: {shown(one_line(error))}"
                )
            names = [run.name for run in study.runs if run.run_id in gone]
            notes += [f"deleted in MLflow, used here from disk: {', '.join(names)}"] * bool(names)
        return _write(study, folder, uri if there and uuid else "", notes)
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch) / name
        try:
            notes = fetch(uri, name, fetched)
        except TrackingError as error:
            raise ValueError(f"study {name} is not in {out}, and {error}") from None
        notes.insert(0, f"read from MLflow at {shown(uri)}: the run directories are not here")
        return _write(read_study(fetched), folder, uri, notes)


def _write(study: Study, folder: Path, uri: str, notes: list[str]) -> tuple[Path, list[str]]:
    if study.name != folder.name:
        notes.append(f"the folder is called {folder.name}, the study was declared as {study.name}")
    page = write_report(study, folder / "report", notes, folder)
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
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    for note in notes:
        print(f"note: {note}")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
