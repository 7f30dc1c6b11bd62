"""Reads a study back from MLflow, for a machine that does not have its run directories.

What is fetched is the same files that a run directory holds, so that one reader serves both. The
client comes from `study.tracking`: nothing here imports mlflow.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from study.tracking import (
    Tracker,
    TrackingError,
    all_runs,
    connect,
    local_folder,
    probe,
    shown,
)

RUN_FILES = ("config.json", "journal.jsonl", "confusion.npz", "panel.npz")
DELETED = 2  # mlflow.entities.ViewType.DELETED_ONLY


def fetch(
    uri: str, name: str, folder: Path, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Write the files of study `name` into `folder`, as its own directory would hold them.

    Returns: lines on what was left out.
    Raises: TrackingError when MLflow has no such study, or several studies of that name.
    """
    probe(uri)
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    runs = list(all_runs(client, experiment.experiment_id)) if experiment else []
    studies = [run for run in runs if run.data.tags.get("kind") == "study"]
    if not studies:
        names = sorted(one.name for one in client.search_experiments() if one.name != "Default")
        raise TrackingError(
            f"MLflow at {shown(uri)} must have a study {name} with its study.json, got "
            + (f"the studies {', '.join(names) or 'none'}" if experiment is None
               else "only its runs; run --grid with this tracking server once more"))
    if len(studies) > 1:
        raise TrackingError(f"MLflow at {shown(uri)} has {len(studies)} studies called {name}; "
                            "delete the study runs that are not wanted")
    uuid = studies[0].data.tags.get("study_uuid")
    _copy(client, studies[0], ("study.json", "panel.npz"), folder)
    newest: dict[str, object] = {}
    twins = 0
    for run in sorted(runs, key=lambda run: run.info.start_time):
        if run.data.tags.get("role") == "final" and run.data.tags.get("study_uuid") == uuid:
            twins += run.data.tags["run_id"] in newest
            newest[run.data.tags["run_id"]] = run
    for number, (run_id, run) in enumerate(newest.items(), 1):
        _copy(client, run, RUN_FILES, folder / "runs" / run_id)
        if progress:
            progress(number, len(newest))
    notes = [f"{twins} runs that were trained again are taken from their last time"] * bool(twins)
    if gone := deleted(uri, name, uuid):
        notes.append(f"runs deleted in MLflow are not in this report: {', '.join(gone)}")
    return notes


def deleted(uri: str, name: str, uuid: str) -> list[str]:
    """Ids of final runs of the study that were deleted in MLflow and stand there no more.

    Raises: TrackingError, quickly, when MLflow does not answer.
    """
    probe(uri)
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []

    def ids(**options) -> set[str]:
        found = all_runs(client, experiment.experiment_id, **options)
        return {run.data.tags["run_id"] for run in found if run.data.tags.get("role") == "final"
                and run.data.tags.get("study_uuid") == uuid and "run_id" in run.data.tags}

    return sorted(ids(run_view_type=DELETED) - ids())


def publish(uri: str, name: str, uuid: str, report: Path) -> str:
    """Log a report to the study's own MLflow run; "" or why it could not be."""
    try:
        probe(uri)
    except TrackingError as error:
        return str(error)
    tracker = Tracker(uri, name, uuid, report.parents[1] / "mlartifacts" / name)
    tracker.study([report])
    return tracker.close()


def _copy(client, run, names: tuple[str, ...], folder: Path) -> None:
    """A run's artifacts, those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    place = local_folder(run.info.artifact_uri)
    if place is not None:  # much faster than through the client
        if not place.is_dir():
            raise TrackingError(f"artifacts of {run.info.run_name} must be at {place}, got no "
                                "such folder on this machine; copy the artifacts too, or use a "
                                "tracking server that serves them")
        for name in names:
            if (place / name).is_file():
                shutil.copy(place / name, folder / name)
        return
    there = {item.path for item in client.list_artifacts(run.info.run_id)}
    for name in names:
        if name in there:
            client.download_artifacts(run.info.run_id, name, str(folder))
