"""Reads a study back from MLflow, for a machine that does not have its run directories.

What is fetched is the same files that a run directory holds, so that one reader serves both. The
client comes from `study.tracking.projection`: nothing here imports mlflow.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from study.tracking.projection import (
    Projection,
    TrackingError,
    all_runs,
    connect,
    download,
    one_line,
    probe,
    shown,
)
from study.tracking.sender import Tracker

RUN_FILES = ("config.json", "journal.jsonl", "confusion.npz", "panel.npz")
N_DOWNLOADS = 8
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
            + (
                f"the studies {', '.join(names) or 'none'}"
                if experiment is None
                else "only its runs; send it with python runs.py --sync"
            )
        )
    if len(studies) > 1:
        raise TrackingError(
            f"MLflow at {shown(uri)} has {len(studies)} studies called {name}; "
            "delete the study runs that are not wanted"
        )
    uuid = studies[0].data.tags.get("study_uuid")
    newest: dict[str, object] = {}
    twins = 0
    for run in sorted(runs, key=lambda run: run.info.start_time):
        if _is_final(run, uuid):
            twins += run.data.tags["run_id"] in newest
            newest[run.data.tags["run_id"]] = run
    jobs = [(studies[0], ("study.json", "panel.npz"), folder)]
    jobs += [(run, RUN_FILES, folder / "runs" / run_id) for run_id, run in newest.items()]

    def copy(job: tuple) -> None:
        run, names, where = job
        try:
            download(uri, run.info.artifact_uri, names, where)
        except Exception as error:  # whatever MLflow raises: the run is missing, and that is said
            raise TrackingError(
                f"MLflow at {shown(uri)} must hand out the files of run "
                f"{run.info.run_name}, got: {shown(one_line(error))}"
            ) from None
        lacking = [name for name in names if not (where / name).exists()]
        if run.info.status == "FINISHED" and lacking:
            raise TrackingError(
                f"MLflow at {shown(uri)} must have {', '.join(lacking)} of run "
                f"{run.info.run_name}, got no such artifact; send it with python "
                "runs.py --sync"
            )

    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        try:
            for number, _ in enumerate(pool.map(copy, jobs), 1):
                if progress:
                    progress(number, len(jobs))
        except TrackingError:
            pool.shutdown(cancel_futures=True)
            raise
    notes = [f"{twins} runs that were trained again are taken from their last time"] * bool(twins)
    going = [run.info.run_name for run in newest.values() if run.info.status == "RUNNING"]
    notes += [f"under way when MLflow was read: {', '.join(sorted(going))}"] * bool(going)
    if gone := _deleted(client, experiment.experiment_id, uuid, set(newest)):
        notes.append(f"runs deleted in MLflow are not in this report: {', '.join(gone)}")
    return notes


def _is_final(run, uuid: str) -> bool:
    tags = run.data.tags
    return tags.get("role") == "final" and tags.get("study_uuid") == uuid and "run_id" in tags


def _deleted(client, experiment_id: str, uuid: str, there: set[str]) -> list[str]:
    found = all_runs(client, experiment_id, run_view_type=DELETED)
    return sorted({run.data.tags["run_id"] for run in found if _is_final(run, uuid)} - there)


def deleted(uri: str, name: str, uuid: str) -> list[str]:
    """Ids of final runs of the study that were deleted in MLflow and stand there no more.

    Raises: TrackingError, quickly, when MLflow does not answer.
    """
    probe(uri)
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []

    there = {
        run.data.tags["run_id"]
        for run in all_runs(client, experiment.experiment_id)
        if _is_final(run, uuid)
    }
    return _deleted(client, experiment.experiment_id, uuid, there)


def publish(uri: str, name: str, uuid: str, report: Path) -> str:
    """Log a report to the study's own MLflow run; "" or why it could not be."""
    try:
        probe(uri)
    except TrackingError as error:
        return str(error)
    projection = Projection(uri, name, uuid, report.parents[1] / "mlartifacts" / name)
    tracker = Tracker(projection)
    tracker.put("report", partial(projection.study, [report]))
    return tracker.close()
