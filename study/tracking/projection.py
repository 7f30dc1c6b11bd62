"""The only file that imports mlflow: run directories in, MLflow runs out.

MLflow is a projection of the journals: everything here can be done again, and what is there already
is not written twice. Metric timestamps are the journal's. Which runs, and when: `sender`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import shutil
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from study.record.rundir import RunDir

if TYPE_CHECKING:
    from mlflow.entities import Run

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A request is sent once: MLflow would repeat one whose answer was lost, and make a run twice. What
# fails is done again from the journals, after a look at what has arrived.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # what fails raises, and is told
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

PROBE_S = 15
BATCH = 1000  # metrics in one request: MLflow's limit
RECORD = ("config.json", "journal.jsonl")
ARTIFACTS = (*RECORD, "history.json", "confusion.npz", "panel.npz", "panel.png", "best.pt")
STATUS = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "pruned": "KILLED",
    "stopped": "KILLED",
    "died": "KILLED",
}


class TrackingError(ValueError):
    """The tracking server does not answer, or its address is wrong."""


def tracking_uri(out: Path) -> str:
    """MLFLOW_TRACKING_URI where set, else SQLite in the output folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out / 'mlflow.db').resolve()}"


def shown(text: str) -> str:
    """A text with the user and password of any address in it left out."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def connect(uri: str):
    """An MlflowClient whose database has its schema.

    MLflow's own lines and tracebacks are kept off the terminal: what fails raises here.
    """
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)(\.|$)")
    for name in ("alembic", "mlflow", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    make_database(uri)
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    for name in ("alembic", "alembic.runtime.migration", "mlflow"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    return client


def make_database(uri: str) -> None:
    """Make a missing SQLite file beside its place: half a schema, after a kill, is of no use."""
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    import mlflow

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        mlflow.MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def all_runs(client, experiment_id: str, **options) -> Iterator:
    """Every run of an experiment, in pages small enough for a slow server's time limit."""
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=200, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def local_folder(artifact_uri: str) -> Path | None:
    """Where artifacts lie beside a local database; None where a server has them."""
    url = urlparse(artifact_uri)
    return Path(unquote(url.path)) if url.scheme in ("", "file") else None


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says what it is, or its type when it has none."""
    lines = [
        line
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("(raised as a result of")
    ]  # SQLAlchemy's
    return (lines or [repr(error)])[0][:300]


def reason(error: BaseException) -> str:
    """Why a store failed, for a line: "no answer" where nobody listens."""
    silent = "Max retries" in str(error) or "onnection refused" in str(error)
    return "no answer" if silent else f"{type(error).__name__}: {one_line(error)}"


def probe(uri: str) -> None:
    """Raise TrackingError, within about 15 s, when the store does not answer.

    A SQLite file that is there must be writable; a missing one is made by the tracker's thread.
    """
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        try:
            if path.exists():
                with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise TrackingError(
                f"tracking database {path} must be a writable SQLite file, got: {error}"
            ) from None
        return
    failure: list[str] = []

    def ask() -> None:
        try:
            connect(uri)
        except Exception as error:  # any failure to answer means the same here
            failure.append(reason(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    if thread.is_alive():
        failure.append(f"no answer within {PROBE_S} s")
    if failure:
        raise TrackingError(
            f"tracking server {shown(uri)} must answer, got: {shown(failure[0])}; start it or "
            "unset MLFLOW_TRACKING_URI"
        )


def plain(value: object, most: int) -> str:
    """A value as every store takes it: no NUL, and not longer than its column."""
    return str(value).replace("\0", "\\0")[:most]


def metric_labels(classes: Sequence[str]) -> dict[str, str]:
    """Class names as MLflow accepts them in a metric, each still different from the others.

    Letters, digits, _ - . space : only, no path of its own (`.`), at most 200 characters.
    """
    labels: dict[str, str] = {}
    for index, name in enumerate(classes):
        label = re.sub(r"[^\w\-. :]", "_", name)[:200]
        while not label.strip(". ") or label in labels.values():
            label = f"{label.strip('. ')}_{index}"
        labels[name] = label
    return labels


class Projection:
    """One study in MLflow. Every method may raise what MLflow raises; then call `reconnect`.

    Args:
        dataset: the declaration's "data": name, path, fingerprint, classes.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        study_uuid: str,
        artifacts: Path,
        description: str = "",
        dataset: Mapping | None = None,
    ) -> None:
        self.uri, self.experiment, self._uuid = uri, experiment, study_uuid
        self._artifacts, self._description, self._dataset = artifacts, description, dataset or {}
        self._labels = metric_labels(self._dataset.get("classes", ()))
        self._client = None
        self._runs: dict[str, Run] = {}  # tag run_key -> what MLflow knows of the run
        self._sent: dict[str, set[int]] = {}  # MLflow's run id -> epochs that have arrived

    @property
    def client(self):
        if self._client is None:
            self.reconnect()
        return self._client

    def reconnect(self) -> None:
        """Connect, and read which runs are there: nothing of what was known before is trusted."""
        self._client = None
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        client = connect(self.uri)
        found = client.get_experiment_by_name(self.experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found is None:
            local = self.uri.startswith(("sqlite", "postgresql", "mysql", "mssql"))
            place = self._artifacts.resolve().as_uri() if local else None
            self._experiment_id = client.create_experiment(self.experiment, place)
        else:
            self._experiment_id = found.experiment_id
        there = found.tags if found is not None else {}
        for name, value in (
            ("mlflow.note.content", plain(self._description, 20_000)),
            ("mlflow.experimentKind", "custom_model_development"),
        ):
            if value and there.get(name) != value:
                client.set_experiment_tag(self._experiment_id, name, value)
        self._runs = {
            run.data.tags["run_key"]: run
            for run in all_runs(client, self._experiment_id)
            if "run_key" in run.data.tags
        }
        self._sent = {}
        self._client = client

    def _key(self, key: str) -> str:
        """The tag run_key. It holds the study's uuid too, so that two studies of one name that
        share a server never write into each other's runs."""
        return plain(f"{self._uuid}:{key}", 8000)

    def _run(self, key: str, name: str, tags: Mapping[str, object], start: float) -> Run:
        """The MLflow run of `key`, made when missing."""
        client, key = self.client, self._key(key)
        if key not in self._runs:
            tags = {"study_uuid": self._uuid, **tags, "run_key": key}
            self._runs[key] = client.create_run(
                self._experiment_id,
                start_time=int(start * 1000),
                run_name=plain(name, 250),
                tags={k: plain(v, 8000) for k, v in tags.items()},
            )
        return self._runs[key]

    def _closed_run(self, key: str, name: str, tags: Mapping[str, object]) -> Run:
        """A run that holds others' values, not a training: finished from the start."""
        run = self._run(key, name, tags, time.time())
        if run.info.status != "FINISHED":
            self.client.set_terminated(run.info.run_id, "FINISHED")
            self._refresh(run)
        return run

    def _parent(self, parent: str, tags: Mapping[str, object]) -> Run:
        """The run above an arm's seeds or a tuning's trials."""
        kept = {k: v for k, v in tags.items() if k in ("study", "arm", "network", "loss")}
        return self._closed_run(f"parent:{parent}", parent, {**kept, "kind": "parent"})

    def _refresh(self, run: Run) -> Run:
        key = run.data.tags["run_key"]
        self._runs[key] = self.client.get_run(run.info.run_id)
        return self._runs[key]

    def run(self, run_dir: RunDir, tags: Mapping[str, object], parent: str, child: str) -> bool:
        """Bring a run up to date, nested under `parent`; whether anything was missing.

        The tag "state" is written last: a run that has its final one is complete.
        """
        rows = run_dir.rows()
        if not rows:
            return False
        client, last = self.client, rows[-1]
        state, status = last["event"], STATUS.get(last["event"])
        if status is None:  # under way, or cut off without a word
            state, status = ("running", "RUNNING") if run_dir.locked() else ("dead", "KILLED")
        stamp = int(last["time"] * 1000)
        top = self._parent(parent, tags)
        # a directory that was deleted and trained again is another MLflow run
        known = self._run(
            f"{run_dir.run_id}:{rows[0]['time']}",
            child,
            {
                **tags,
                "run_id": run_dir.run_id,
                "mlflow.parentRunId": top.info.run_id,
            },
            rows[0]["time"],
        )
        run_id, place = known.info.run_id, known.info.artifact_uri
        as_it_is = known.data.tags.get("state") == state and known.info.status == status
        if as_it_is and status != "RUNNING" and known.info.end_time == stamp:
            return False
        if run_id not in self._sent:
            self._describe(known, run_dir)
            self._sent[run_id] = {m.step for m in client.get_metric_history(run_id, "train/loss")}
        n_sent = self._send_epochs(run_id, run_dir)
        if as_it_is and status == "RUNNING":
            return bool(n_sent)
        start = next((row for row in rows if row["event"] == "start"), None)
        if start is not None:
            self._describe_environment(known, start)
        if status == "RUNNING":
            client.update_run(run_id, status="RUNNING")
        else:
            if state == "finished":
                self._send_results(run_id, last)
            for name in ARTIFACTS if state == "finished" else RECORD:
                self._put(run_id, place, run_dir.path / name)
            if "error" in last:
                client.set_tag(run_id, "error", plain(last["error"], 8000))
            elif "error" in known.data.tags:
                client.delete_tag(run_id, "error")  # of an earlier attempt
            client.set_terminated(run_id, status, end_time=stamp)
        client.set_tag(run_id, "state", state)
        self._refresh(known)
        return True

    def _send_epochs(self, run_id: str, run_dir: RunDir) -> int:
        """Write the epochs that are missing, several in one request; how many."""
        from mlflow.entities import Metric

        sent = self._sent[run_id]
        missing = [row for row in run_dir.epochs() if row["epoch"] not in sent]
        batch: list = []
        for row in missing:
            stamp = int(row["time"] * 1000)
            metrics = [
                Metric(self._metric(name), value, stamp, row["epoch"])
                for name, value in row["metrics"].items()
                if value is not None
            ]
            if len(batch) + len(metrics) > BATCH:
                self.client.log_batch(run_id, metrics=batch)
                batch = []
            batch += metrics
        if batch:
            self.client.log_batch(run_id, metrics=batch)
        sent.update(row["epoch"] for row in missing)
        return len(missing)

    def _send_results(self, run_id: str, last: dict) -> None:
        from mlflow.entities import Metric

        stamp = int(last["time"] * 1000)
        values = {k: v for k, v in last["metrics"].items() if k.startswith("test/")}
        values |= {
            "best/dev_miou": last["metrics"]["dev/miou"],
            "best/epoch": last["best_epoch"],
            "duration_s": last["duration_s"],
            "peak_memory_mb": last["peak_memory_mb"],
        }
        self.client.log_batch(
            run_id,
            metrics=[
                Metric(self._metric(name), float(value), stamp, last["best_epoch"])
                for name, value in values.items()
                if value is not None and math.isfinite(value)
            ],
        )

    def _metric(self, name: str) -> str:
        """`test/iou/<class>`, or with /mean after it, with the class as MLflow accepts it."""
        prefix, iou, label = name.partition("/iou/")
        if not iou:
            return name
        for end in ("", "/mean", "/sd", "/low", "/high"):
            if label.endswith(end) and label.removesuffix(end) in self._labels:
                return f"{prefix}/iou/{self._labels[label.removesuffix(end)]}{end}"
        raise ValueError(f"{name} must end in a class of the study, got {label!r}")

    def _describe(self, known: Run, run_dir: RunDir) -> None:
        """Params, the data set and what the run is, as far as they are not there yet."""
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag, Param

        run_id, config = known.info.run_id, run_dir.record()["config"]
        flat = {k: v for k, v in config.items() if k != "loss_params"}
        flat |= {f"loss.{k}": v for k, v in config["loss_params"].items()}
        self.client.log_batch(
            run_id,
            params=[
                Param(k, plain(v, 6000)) for k, v in flat.items() if k not in known.data.params
            ],
        )
        if not (known.inputs and known.inputs.dataset_inputs):
            source = HTTPDatasetSource(Path(self._dataset["path"]).as_uri())
            data = MetaDataset(
                source,
                name=plain(self._dataset["name"], 500),
                digest=self._dataset["fingerprint"][:32],
            )
            tag = InputTag("mlflow.data.context", "train")
            self.client.log_inputs(run_id, [DatasetInput(data._to_mlflow_entity(), [tag])])
        for name in RECORD:
            self._put(run_id, known.info.artifact_uri, run_dir.path / name)

    def _describe_environment(self, known: Run, start: dict) -> None:
        from mlflow.entities import Param, RunTag

        size = Param("n_parameters", str(start["n_parameters"]))
        self.client.log_batch(
            known.info.run_id,
            params=[] if "n_parameters" in known.data.params else [size],
            tags=[RunTag(f"env.{k}", plain(v, 8000)) for k, v in start["environment"].items()],
        )

    def _put(self, run_id: str, artifact_uri: str, path: Path) -> None:
        """Store a file as an artifact: a hard link beside a local database, else an upload."""
        if not path.exists():
            return
        folder = local_folder(artifact_uri)
        if folder is not None:
            target = folder / path.name
            if target.exists():
                if target.samefile(path) or target.stat().st_size == path.stat().st_size:
                    return
                target.unlink()  # an earlier state, from a copy
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
                return
            except OSError:  # another file system: copy
                pass
        self.client.log_artifact(run_id, str(path))

    def study(self, paths: Sequence[Path]) -> None:
        """Store files and folders, those that exist, as artifacts of the study's own run."""
        run = self._closed_run(
            "study", f"study {self.experiment}", {"kind": "study", "study": self.experiment}
        )
        for path in paths:
            if path.is_dir():
                self.client.log_artifacts(run.info.run_id, str(path), path.name)
            elif path.exists():
                self.client.log_artifact(run.info.run_id, str(path))

    def attach(self, parent: str, tags: Mapping[str, object], paths: Sequence[Path]) -> None:
        """Store files with a parent run."""
        info = self._parent(parent, tags).info
        for path in paths:
            self._put(info.run_id, info.artifact_uri, path)

    def has_parent(self, parent: str) -> bool:
        """Whether MLflow has a run above those of `parent`."""
        return self.client is not None and self._key(f"parent:{parent}") in self._runs

    def parent(
        self,
        parent: str,
        tags: Mapping[str, object],
        params: Mapping[str, object],
        metrics: Mapping[str, float | None],
        step: int,
    ) -> bool:
        """Write a parent run's own values, e.g. n, mean and s.d. of an arm; whether any changed.

        `step` grows with the runs summarised. Should it fall, because runs were deleted, the
        values are written at the highest step so far, else MLflow would go on showing the old ones.
        """
        from mlflow.entities import Metric, Param, RunTag

        run = self._parent(parent, tags)
        run_id, known = run.info.run_id, run.data
        # what can no longer be had (an s.d. of one run) is NaN: a metric cannot be deleted
        values = dict.fromkeys(known.metrics, math.nan) | {
            self._metric(k): float(v)
            for k, v in metrics.items()
            if v is not None and math.isfinite(v)
        }
        changed = {k: v for k, v in values.items() if str(known.metrics.get(k)) != str(v)}
        new = [Param(k, plain(v, 6000)) for k, v in params.items() if k not in known.params]
        step = max(step, int(known.tags.get("step", 0)))
        labels = {k: plain(v, 8000) for k, v in {**tags, "step": step}.items()}
        labels = {k: v for k, v in labels.items() if known.tags.get(k) != v}
        if not (changed or new or labels):
            return False
        stamp = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(k, v, stamp, step) for k, v in changed.items()],
            params=new,
            tags=[RunTag(k, v) for k, v in labels.items()],
        )
        self._refresh(run)
        return True


def download(uri: str, artifact_uri: str, names: Sequence[str], folder: Path) -> None:
    """Write those of a run's artifacts that are there into `folder`.

    Raises: TrackingError when they lie in a local folder that is not on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = local_folder(artifact_uri)
    if place is not None:  # much faster than through the client
        if not place.is_dir():
            raise TrackingError(
                f"artifacts must be at {place}, got no such folder on this "
                "machine; copy the artifacts too, or use a tracking server that "
                "serves them"
            )
        for name in names:
            if (place / name).is_file():
                shutil.copyfile(place / name, folder / name)
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    store = get_artifact_repository(artifact_uri, tracking_uri=uri)
    there = {item.path for item in store.list_artifacts()}
    for name in names:
        if name in there:
            store.download_artifacts(name, str(folder))
