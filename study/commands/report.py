"""--report: the report of a study, from its runs on disk or, on another machine, from MLflow."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rich.console import Console

from study.commands.console import step
from study.commands.hooks import Analysis
from study.commands.name import study_name
from study.commands.request import Request
from study.continuing import check_runs
from study.errors import one_line, shown
from study.record import Declaration, files, run_dirs
from study.study import load
from study.tracking.fetch import deleted, fetch, publish
from study.tracking.moved import settle
from study.tracking.store import TrackingError, database, probe, tracking_uri


def report(request: Request, console: Console, analysis: Analysis) -> int:
    """Write `<out>/<name>/report/` and log it to MLflow."""
    name = study_name(request)
    page, notes = write(request.out, name, analysis, console)
    for note in notes:
        console.print(f"note: {note}")
    console.print(f"report: {page}")
    return 0


def write(out: Path, name: str, analysis: Analysis, console: Console) -> tuple[Path, list[str]]:
    """The page's path, and lines on what was not as usual.

    The run directories are read where they are; else (another machine) what MLflow has of them.
    Raises: ValueError in one line.
    """
    folder, uri = out / name, tracking_uri(out)
    there = (file := database(uri)) is None or file.exists()
    if os.path.lexists(folder / files.STUDY) or not there:
        declaration = _declaration(folder)
        notes, there = _deleted(folder, declaration, uri) if there else ([], False)
        notes += settle(out) if there else []
        return _write(declaration, folder, folder, uri if there else "", notes, analysis)
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch) / name
        try:
            probe(uri)
            moved = settle(out)
            with step(console, f"fetching study {name}") as progress:
                notes = fetch(uri, name, fetched, progress)
        except TrackingError as error:
            raise TrackingError(f"study {name} is not in {out}, and {error}") from None
        notes += moved
        notes.insert(0, f"read from MLflow at {shown(uri)}: the run directories are not here")
        declaration = _declaration(fetched)
        return _write(declaration, fetched, folder, uri, notes, analysis)


def _declaration(folder: Path) -> Declaration:
    """A study's, its runs checked. Raises: RecordError, also naming the studies that are there."""
    study = load(folder, to_run=False)
    check_runs(study)
    return study.declaration


def _deleted(folder: Path, declaration: Declaration, uri: str) -> tuple[list[str], bool]:
    """A note on runs that were deleted in MLflow; whether MLflow answers: the report needs none."""
    try:
        gone = set(deleted(uri, declaration.name, declaration.uuid))
    except Exception as error:  # whatever MLflow raises
        return [f"MLflow could not be asked for deleted runs: {shown(one_line(error))}"], False
    arms = {cell.arm for cell in declaration.cells}
    records = [one.record() for one in run_dirs(folder / files.RUNS) if one.run_id in gone]
    names = [one.name for one in records if one.arm in arms]
    return [f"deleted in MLflow, used here from disk: {', '.join(names)}"] * bool(names), True


def _write(
    declaration: Declaration,
    source: Path,
    folder: Path,
    uri: str,
    notes: list[str],
    analysis: Analysis,
) -> tuple[Path, list[str]]:
    if declaration.name != folder.name:
        notes.append(
            f"the folder is called {folder.name}, the study was declared as {declaration.name}"
        )
    pages = folder / files.REPORT
    page = analysis.report(source, pages, notes, folder)
    behind = publish(uri, declaration.name, declaration.uuid, pages) if uri else ""
    return page, notes + [f"the report is not in MLflow: {behind}"] * bool(behind)
