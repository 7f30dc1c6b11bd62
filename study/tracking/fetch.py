"""Reads a study back from MLflow, for a machine that does not have its run directories.

What is fetched is the same files that a run directory holds, so that one reader serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from study.errors import one_line, shown
from study.record import files
from study.record.names import run_id_of
from study.tracking.experiment import Experiment
from study.tracking.outbox import Outbox
from study.tracking.pages import pages
from study.tracking.store import TrackingError, all_runs, connect, download, probe

if TYPE_CHECKING:  # slow to import
    from mlflow import MlflowClient
    from mlflow.entities import Run

STUDY_FILES = (files.STUDY, files.PANEL)
RUN_FILES = (files.CONFIG, files.JOURNAL, files.CONFUSION, files.PANEL)
N_DOWNLOADS = 8
DELETED = 2  # mlflow.entities.ViewType.DELETED_ONLY


def fetch(
    uri: str,
    name: str,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
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
    if experiment is None or not studies:
        raise _no_study(uri, name, client, there=experiment is not None)
    if len(studies) > 1:
        raise TrackingError(
            f"MLflow at {shown(uri)} has {len(studies)} studies called {name}; "
            "delete the study runs that are not wanted"
        )
    uuid = studies[0].data.tags.get("study_uuid", "")
    if not uuid:
        raise TrackingError(
            f"MLflow at {shown(uri)} must have tag study_uuid with run {studies[0].info.run_id}, "
            f"which stands for study {name}, got none; delete that run, and send the study with "
            "python runs.py --sync"
        )
    finals = [run for run in runs if _is_final(run, uuid)]
    by_time = sorted(finals, key=lambda run: run.info.start_time or 0)
    newest = {run_id_of(_id(run), f"MLflow's run {run.info.run_id}"): run for run in by_time}
    jobs = [partial(_copy, uri, studies[0], STUDY_FILES, folder)]
    for run_id, run in newest.items():
        jobs.append(partial(_copy, uri, run, RUN_FILES, folder / files.RUNS / run_id))
    _do_all(jobs, progress)
    deleted = _deleted(client, experiment.experiment_id, uuid, set(newest))
    return _notes(newest.values(), len(finals) - len(newest), deleted)


def _no_study(uri: str, name: str, client: MlflowClient, there: bool) -> TrackingError:
    """Why there is nothing to fetch; `there`: runs of the name are."""
    names = sorted(one.name for one in client.search_experiments() if one.name != "Default")
    got = f"the studies {', '.join(names) or 'none'}"
    if there:
        got = "only its runs; send it with python runs.py --sync"
    return TrackingError(
        f"MLflow at {shown(uri)} must have a study {name} with its study.json, got {got}"
    )


def _copy(uri: str, run: Run, names: tuple[str, ...], where: Path) -> None:
    """Download a run's files; what a finished run lacks is an error."""
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


def _do_all(jobs: Sequence[Callable[[], None]], progress: Callable[[int, int], None]) -> None:
    """Do all jobs, several at once; the first that fails ends it."""
    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        try:
            for number, _ in enumerate(pool.map(lambda job: job(), jobs), 1):
                progress(number, len(jobs))
        except TrackingError:
            pool.shutdown(cancel_futures=True)
            raise


def _notes(runs: Iterable[Run], n_twins: int, deleted: list[str]) -> list[str]:
    """What the reader of a fetched study should know."""
    notes = []
    if n_twins:
        notes.append(f"{n_twins} runs that were trained again are taken from their last time")
    if going := sorted(f"{run.info.run_name}" for run in runs if run.info.status == "RUNNING"):
        notes.append(f"under way when MLflow was read: {', '.join(going)}")
    if deleted:
        notes.append(f"runs deleted in MLflow are not in this report: {', '.join(deleted)}")
    return notes


def _is_final(run: Run, uuid: str) -> bool:
    tags = run.data.tags
    return tags.get("role") == "final" and tags.get("study_uuid") == uuid and "run_id" in tags


def _id(run: Run) -> str:
    return run.data.tags["run_id"]


def _deleted(client: MlflowClient, experiment_id: str, uuid: str, there: set[str]) -> list[str]:
    found = all_runs(client, experiment_id, DELETED)
    return sorted({_id(run) for run in found if _is_final(run, uuid)} - there)


def deleted(uri: str, name: str, uuid: str) -> list[str]:
    """Ids of final runs of the study that were deleted in MLflow and stand there no more.

    Raises: TrackingError, quickly, when MLflow does not answer.
    """
    probe(uri)
    client = connect(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []
    number = experiment.experiment_id
    there = {_id(run) for run in all_runs(client, number) if _is_final(run, uuid)}
    return _deleted(client, number, uuid, there)


def publish(uri: str, name: str, uuid: str, report: Path) -> str:
    """Log a report to the study's own MLflow run; "" or why it could not be."""
    try:
        probe(uri)
    except TrackingError as error:
        return str(error)
    experiment = Experiment(uri, name, uuid, report.parents[1] / "mlartifacts" / name)
    outbox = Outbox(experiment)
    outbox.put("report", lambda: experiment.put_with_study(pages(report)))
    return outbox.close()
