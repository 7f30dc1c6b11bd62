"""The only file that imports mlflow: run directories in, MLflow runs out.

MLflow is a projection of the journals: idempotent, written by one background thread of the
driver, catching up after an outage. Metric timestamps are the journal's, one `log_batch` an epoch.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import re
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlparse

from study.rundir import RunDir

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

PROBE_S = 10
ARTIFACTS = ("config.json", "journal.jsonl", "history.json", "confusion.npz", "panel.npz",
             "panel.png", "best.pt")
STATUS = {"finished": "FINISHED", "failed": "FAILED", "pruned": "KILLED", "stopped": "KILLED",
          "died": "KILLED"}


class TrackingError(ValueError):
    """The tracking server does not answer, or its address is wrong."""


def tracking_uri(out: Path) -> str:
    """MLFLOW_TRACKING_URI where set, else SQLite in the output folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out / 'mlflow.db').resolve()}"


def shown(text: str) -> str:
    """A text with the user and password of any address in it left out."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def connect(uri: str):
    """An MlflowClient whose database has its schema; MLflow's start-up lines are kept quiet."""
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)(\.|$)")
    for name in ("alembic", "mlflow", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow import MlflowClient

    make_database(uri)
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    for name in ("alembic", "alembic.runtime.migration", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
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
    """Every run of an experiment, page by page."""
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def local_folder(artifact_uri: str) -> Path | None:
    """Where artifacts lie beside a local database; None where a server has them."""
    url = urlparse(artifact_uri)
    return Path(unquote(url.path)) if url.scheme in ("", "file") else None


@contextlib.contextmanager
def _quick_failures():
    """MLflow's HTTP retries take minutes; during the probe they are off."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_S)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def one_line(error: BaseException) -> str:
    """The first line of an error's message, or its type when it has none."""
    return (str(error).splitlines() or [repr(error)])[0][:300]


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
            raise TrackingError(f"tracking database {path} must be a writable SQLite file, got: "
                                f"{error}") from None
        return
    failure: list[str] = []

    def ask() -> None:
        try:
            with _quick_failures():
                connect(uri)
        except Exception as error:  # any failure to answer means the same here
            silent = "Max retries" in str(error) or "onnection" in str(error)
            failure.append("no answer" if silent else one_line(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S + 5)
    if thread.is_alive():
        failure.append(f"no answer within {PROBE_S + 5} s")
    if failure:
        raise TrackingError(
            f"tracking server {shown(uri)} must answer, got: {shown(failure[0])}; start it or "
            "unset MLFLOW_TRACKING_URI"
        )


def metric_part(name: str) -> str:
    """A class name as MLflow accepts it in a metric: letters, digits, _ - . space : only."""
    return re.sub(r"[^\w\-. :]", "_", name)


def metric_name(name: str) -> str:
    """`test/iou/<class>` and kin with the class name made acceptable."""
    prefix, slash, label = name.partition("/iou/")
    return f"{prefix}{slash}{metric_part(label)}"


class Tracker:
    """Writes one study's runs to MLflow from a thread of its own; never stops a training.

    `update(run_dir, tags)` is cheap and asks for a run to be brought up to date. A server that is
    lost later is retried; `close()` returns what could not be written.
    """

    def __init__(self, uri: str, experiment: str, study_uuid: str, artifacts: Path,
                 description: str = "", dataset: Mapping[str, str] | None = None) -> None:
        self.uri, self.experiment, self._uuid = uri, experiment, study_uuid
        self._artifacts, self._description, self._dataset = artifacts, description, dataset or {}
        self._queue: queue.Queue = queue.Queue()
        self._client = None
        self._runs: dict[str, str] = {}  # key -> MLflow run id
        self._sent: dict[str, set[int]] = {}  # run id -> epochs already written
        self._behind: dict[str, tuple] = {}
        self.error = ""
        self._thread = threading.Thread(target=self._loop, name="tracker", daemon=True)
        self._thread.start()

    def update(self, run_dir: RunDir, tags: Mapping[str, str], parent: str, child: str) -> None:
        """Bring a run up to date. `parent` names the run it is nested under, `child` itself."""
        self._queue.put((self._project, run_dir.run_id, (run_dir, dict(tags), parent, child)))

    def summarise(self, parent: str, tags: Mapping[str, str], params: Mapping[str, object],
                  metrics: Mapping[str, float | None], step: int) -> None:
        """Write a parent run's own values, e.g. n, mean and s.d. over the seeds of an arm."""
        self._queue.put((self._parent, f"parent:{parent}",
                         (parent, dict(tags), dict(params), dict(metrics), step)))

    def study(self, paths: Sequence[Path]) -> None:
        """Store files and folders as artifacts of the study's own run."""
        self._queue.put((self._study, f"study:{paths}", (list(paths),)))

    def close(self, timeout_s: float = 60.0) -> str:
        """Write what is left; "" or why something is still missing in MLflow."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return f"{shown(self.uri)} is slow or does not answer"
        return shown(self.error) if self._behind else ""

    def _loop(self) -> None:
        closing = False
        while not closing:
            items = [self._queue.get()]
            time.sleep(0.05)
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            closing = None in items
            work = self._behind | {i[1]: i for i in items if i is not None}
            self._behind = {}
            for key, item in work.items():
                try:
                    self._ensure_client()
                    item[0](*item[2])
                except Exception as error:  # tracking must never stop the study; kept for later
                    self.error = f"{type(error).__name__}: {one_line(error)}"
                    self._behind[key] = item
                    self._sent.pop(key, None)

    def _ensure_client(self) -> None:
        if self._client is not None:
            return
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
        for name, value in (("mlflow.note.content", self._description),
                            ("mlflow.experimentKind", "custom_model_development")):
            if value:
                client.set_experiment_tag(self._experiment_id, name, value)
        for run in all_runs(client, self._experiment_id):
            if "run_key" in run.data.tags:
                self._runs[run.data.tags["run_key"]] = run.info.run_id
        self._client = client

    def _run(self, key: str, name: str, tags: Mapping[str, str], start: float) -> tuple[str, bool]:
        """The MLflow run of `key`, made when missing; second: whether it is new.

        The tag run_key also holds the study's uuid, so that two studies of one name that share a
        server never write into each other's runs.
        """
        key = f"{self._uuid}:{key}"
        if key in self._runs:
            return self._runs[key], False
        run = self._client.create_run(
            self._experiment_id, start_time=int(start * 1000), run_name=name,
            tags={"run_key": key, **{k: str(v) for k, v in tags.items()}},
        )
        self._runs[key] = run.info.run_id
        return run.info.run_id, True

    def _parent_id(self, parent: str, tags: Mapping[str, str]) -> str:
        kept = {k: v for k, v in tags.items() if k in ("study", "arm", "network", "loss")}
        kept["study_uuid"] = self._uuid
        run_id, new = self._run(f"parent:{parent}", parent, {**kept, "kind": "parent"}, time.time())
        if new:
            self._client.set_terminated(run_id, "FINISHED")
        return run_id

    def _project(self, run_dir: RunDir, tags: dict, parent: str, child: str) -> None:
        rows = run_dir.rows()
        if not rows:
            return
        client, key = self._client, run_dir.run_id
        parent_id = self._parent_id(parent, tags)
        tags |= {"study_uuid": self._uuid, "run_id": key, "mlflow.parentRunId": parent_id}
        # a directory that was deleted and trained again is another MLflow run
        run_id, new = self._run(f"{key}:{rows[0]['time']}", child, tags, rows[0]["time"])
        if key not in self._sent:
            known = client.get_run(run_id)
            self._describe(run_id, run_dir, known)
            self._sent[key] = set() if new else self._sent_epochs(run_id)
        self._send_epochs(run_id, run_dir)
        known = client.get_run(run_id)
        last = rows[-1]
        state, status = last["event"], STATUS.get(last["event"])
        if status is None:  # under way, or cut off without a word
            status = "RUNNING" if run_dir.locked() else "KILLED"
            state = "running" if status == "RUNNING" else "dead"
        if known.data.tags.get("state") == state and known.info.status == status:
            return
        start = next((row for row in rows if row["event"] == "start"), None)
        if start is not None:
            self._describe_environment(run_id, start, known)
        if status == "RUNNING":
            client.update_run(run_id, status="RUNNING")
            client.set_tag(run_id, "state", state)
            return
        if state == "finished":
            self._send_results(run_id, known.info.artifact_uri, run_dir, last)
        else:
            for name in ("config.json", "journal.jsonl"):
                self._put(run_id, known.info.artifact_uri, run_dir.path / name)
        if "error" in last:
            client.set_tag(run_id, "error", last["error"])
        elif "error" in known.data.tags:
            client.delete_tag(run_id, "error")  # of an earlier attempt
        client.set_terminated(run_id, status, end_time=int(last["time"] * 1000))
        client.set_tag(run_id, "state", state)  # the final marker, written last

    def _send_epochs(self, run_id: str, run_dir: RunDir) -> None:
        from mlflow.entities import Metric

        sent = self._sent[run_dir.run_id]
        for row in run_dir.epochs():
            if row["epoch"] not in sent:
                stamp = int(row["time"] * 1000)
                self._client.log_batch(run_id, metrics=[
                    Metric(metric_name(name), value, stamp, row["epoch"])
                    for name, value in row["metrics"].items() if value is not None
                ])
                sent.add(row["epoch"])

    def _send_results(self, run_id: str, artifact_uri: str, run_dir: RunDir, last: dict) -> None:
        from mlflow.entities import Metric

        stamp = int(last["time"] * 1000)
        values = {k: v for k, v in last["metrics"].items() if k.startswith("test/")}
        values |= {"best/dev_miou": last["metrics"]["dev/miou"], "best/epoch": last["best_epoch"],
                   "duration_s": last["duration_s"], "peak_memory_mb": last["peak_memory_mb"]}
        self._client.log_batch(run_id, metrics=[
            Metric(metric_name(name), float(value), stamp, last["best_epoch"])
            for name, value in values.items() if value is not None and math.isfinite(value)
        ])
        for name in ARTIFACTS:
            self._put(run_id, artifact_uri, run_dir.path / name)

    def _sent_epochs(self, run_id: str) -> set[int]:
        return {m.step for m in self._client.get_metric_history(run_id, "train/loss")}

    def _describe(self, run_id: str, run_dir: RunDir, known) -> None:
        """Params and the data set, as far as they are not there yet."""
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag, Param

        config = run_dir.record()["config"]
        flat = {k: v for k, v in config.items() if k != "loss_params"}
        flat |= {f"loss.{k}": v for k, v in config["loss_params"].items()}
        params = [Param(k, str(v)) for k, v in flat.items() if k not in known.data.params]
        self._client.log_batch(run_id, params=params)
        if not known.inputs.dataset_inputs:
            source = HTTPDatasetSource(Path(self._dataset["path"]).as_uri())
            data = MetaDataset(source, name=self._dataset["name"],
                               digest=self._dataset["fingerprint"][:32])
            tag = InputTag("mlflow.data.context", "train")
            self._client.log_inputs(run_id, [DatasetInput(data._to_mlflow_entity(), [tag])])

    def _describe_environment(self, run_id: str, start: dict, known) -> None:
        from mlflow.entities import Param, RunTag

        size = Param("n_parameters", str(start["n_parameters"]))
        self._client.log_batch(
            run_id,
            params=[] if "n_parameters" in known.data.params else [size],
            tags=[RunTag(f"env.{k}", str(v)) for k, v in start["environment"].items()],
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
        self._client.log_artifact(run_id, str(path))

    def _study(self, paths: list[Path]) -> None:
        run_id, new = self._run("study", f"study {self.experiment}", {
            "kind": "study", "study": self.experiment, "study_uuid": self._uuid}, time.time())
        if new:
            self._client.set_terminated(run_id, "FINISHED")
        for path in paths:
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), path.name)
            elif path.exists():
                self._client.log_artifact(run_id, str(path))

    def _parent(self, parent: str, tags: dict, params: dict, metrics: dict, step: int) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run_id = self._parent_id(parent, tags)
        stamp = int(time.time() * 1000)
        known = self._client.get_run(run_id).data
        values = {metric_name(k): float(v) for k, v in metrics.items()
                  if v is not None and math.isfinite(v)}
        self._client.log_batch(
            run_id,
            metrics=[Metric(k, v, stamp, step) for k, v in values.items()
                     if known.metrics.get(k) != v],
            params=[Param(k, str(v)) for k, v in params.items() if k not in known.params],
            tags=[RunTag(k, str(v)) for k, v in tags.items()],
        )
