"""Reads a study back from MLflow, for a machine that does not have its run directories.

What is fetched is the same files that a run directory holds, so that one reader serves both. The
client comes from `study.tracking`: nothing here imports mlflow.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from study.tracking import Tracker, TrackingError, connect, probe

RUN_FILES = ("config.json", "journal.jsonl", "confusion.npz", "panel.npz")
DELETED = 2  # mlflow.entities.ViewType.DELETED_ONLY


def fetch(
    uri: str, name: str, folder: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the files of study `name` into `folder`, as its own directory would hold them.

    Raises: TrackingError when MLflow has no such study, or several studies of that name.
    """
    probe(uri)
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    runs = list(_runs(client, experiment.experiment_id)) if experiment else []
    studies = [run for run in runs if run.data.tags.get("kind") == "study"]
    if not studies:
        raise TrackingError(f"MLflow at {uri} must have a study {name} with its study.json, got "
                            f"{'none' if experiment is None else 'only its runs'}; run --grid with "
                            "this tracking server once more")
    if len(studies) > 1:
        raise TrackingError(f"MLflow at {uri} has {len(studies)} studies called {name}; delete the "
                            "study runs that are not wanted")
    uuid = studies[0].data.tags.get("study_uuid")
    _copy(client, studies[0], ("study.json", "panel.npz"), folder)
    finals = [run for run in runs if run.data.tags.get("role") == "final"
              and run.data.tags.get("study_uuid") == uuid]
    for number, run in enumerate(finals, 1):
        _copy(client, run, RUN_FILES, folder / "runs" / run.data.tags["run_id"])
        if progress:
            progress(number, len(finals))


def deleted(uri: str, name: str) -> list[str]:
    """Ids of runs of study `name` that somebody deleted in MLflow."""
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []
    return sorted(run.data.tags["run_id"]
                  for run in _runs(client, experiment.experiment_id, run_view_type=DELETED)
                  if run.data.tags.get("role") == "final" and "run_id" in run.data.tags)


def publish(uri: str, name: str, uuid: str, report: Path) -> str:
    """Log a report to the study's own MLflow run; "" or why it could not be."""
    try:
        probe(uri)
    except TrackingError as error:
        return str(error)
    tracker = Tracker(uri, name, uuid, report.parents[1] / "mlartifacts" / name)
    tracker.study([report])
    return tracker.close()


def _runs(client, experiment_id: str, **options) -> Iterator:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def _copy(client, run, names: tuple[str, ...], folder: Path) -> None:
    """A run's artifacts, those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    url = urlparse(run.info.artifact_uri)
    if url.scheme in ("", "file"):  # beside a local database: much faster than through the client
        for name in names:
            source = Path(unquote(url.path)) / name
            if source.is_file():
                shutil.copy(source, folder / name)
        return
    there = {item.path for item in client.list_artifacts(run.info.run_id)}
    for name in names:
        if name in there:
            client.download_artifacts(run.info.run_id, name, str(folder))
