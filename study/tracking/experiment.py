"""One MLflow experiment: its runs, each found again by a key of ours, and what is written to them.

Nothing is written twice. What the runs stand for is `projection`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from study.record.inside import check_file, check_folders
from study.tracking import known, place
from study.tracking.known import Known
from study.tracking.moved import check_place
from study.tracking.place import local_folder
from study.tracking.store import TrackingError, all_runs, connect, database, plain

if TYPE_CHECKING:  # slow to import
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

Values = Mapping[str, object]


class Experiment:
    """The runs of one study. Every method may raise what MLflow raises; then call `reconnect`.

    Args:
        name: the experiment's.
        study_uuid: in every key, so that two studies of one name that share a server never write
            into each other's runs.
        artifacts: where they lie beside a local database.
        description: shown with the experiment; "" leaves what is there.
    """

    def __init__(
        self, uri: str, name: str, study_uuid: str, artifacts: Path, description: str = ""
    ) -> None:
        self.uri, self.name, self._uuid = uri, name, study_uuid
        self._artifacts, self._description = artifacts, description
        self._client: MlflowClient | None = None
        self._id = ""
        self._known: dict[str, Known] | None = None  # by tag run_key
        self.arrived: dict[str, set[int]] = {}  # MLflow's run id -> epochs, since `reconnect`

    @property
    def client(self) -> MlflowClient:
        return self._client or self.reconnect()

    def reconnect(self) -> MlflowClient:
        """Connect, and read which runs are there: nothing of what was known before is trusted."""
        self._client = self._known = None
        if path := database(self.uri):
            path.parent.mkdir(parents=True, exist_ok=True)
        client = connect(self.uri)
        self._id = self._open(client)
        self._known = self._read()
        if self._known is None:
            self._known = {
                run.data.tags["run_key"]: Known.of(run)
                for run in all_runs(client, self._id)
                if "run_key" in run.data.tags
            }
        self.arrived = {}
        self._client = client
        return client

    def _read(self) -> dict[str, Known] | None:
        """The runs in a SQLite file, whose schema `probe` has looked at; None in other stores."""
        path = database(self.uri)
        found = known.read(path, self.name) if path else None
        if found is None:
            return None
        check_place(found[0], self._artifacts, self.name)
        return found[1]

    def known(self, key: str) -> Known | None:
        """What is known of the run of `key`; a SQLite file is read without mlflow."""
        if self._known is None:
            self._known = self._read()
        if self._known is None:
            self.reconnect()
        return (self._known or {}).get(self._key(key))

    def _open(self, client: MlflowClient) -> str:
        """The experiment's id; it is made, or restored, where it is missing."""
        found = client.get_experiment_by_name(self.name)
        if found is None:
            local = self.uri.startswith(("sqlite", "postgresql", "mysql", "mssql"))
            where = self._artifacts.resolve().as_uri() if local else None
            there, number = {}, client.create_experiment(self.name, where)
        else:
            there, number = found.tags, found.experiment_id
            check_place(str(found.artifact_location or ""), self._artifacts, self.name)
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(number)
        for name, value in (
            ("mlflow.note.content", plain(self._description, 20_000)),
            ("mlflow.experimentKind", "custom_model_development"),
        ):
            if value and there.get(name) != value:
                client.set_experiment_tag(number, name, value)
        return number

    def _key(self, key: str) -> str:
        return plain(f"{self._uuid}:{key}", 8000)

    def run(self, key: str, name: str, tags: Values, start: float) -> Known:
        """The run of `key`, whole, made when missing."""
        client, there = self.client, self.known(key)
        if there is None:
            tags = {"study_uuid": self._uuid, **tags, "run_key": self._key(key)}
            made = client.create_run(
                self._id,
                start_time=int(start * 1000),
                run_name=plain(name, 250),
                tags={k: plain(v, 8000) for k, v in tags.items()},
            )
            return self._keep(made)
        return there if there.whole else self.refresh(there)

    def parent(self, name: str, tags: Values) -> Known:
        """The run above an arm's seeds or a tuning's trials."""
        kept = {k: v for k, v in tags.items() if k in ("study", "arm", "network", "loss")}
        return self._closed(f"parent:{name}", name, {**kept, "kind": "parent"})

    def has_parent(self, name: str) -> bool:
        """Whether there is a run above those of `name`."""
        return self.known(f"parent:{name}") is not None

    def _closed(self, key: str, name: str, tags: Values) -> Known:
        """A run that holds others' values, not a training: finished from the start."""
        run = self.known(key) or self.run(key, name, tags, time.time())
        if run.status != "FINISHED":
            self.client.set_terminated(run.run_id, "FINISHED")
            run = self.refresh(run)
        return run

    def refresh(self, run: Known) -> Known:
        """Ask again what MLflow knows of a run."""
        return self._keep(self.client.get_run(run.run_id))

    def _keep(self, run: Run) -> Known:
        kept = Known.of(run)
        assert self._known is not None  # who asks has connected
        self._known[kept.tags["run_key"]] = kept
        return kept

    def log(
        self,
        run: Known,
        metrics: Sequence[Metric] = (),
        params: Values | None = None,
        tags: Values | None = None,
    ) -> bool:
        """Write metrics, and the params and tags that are not there yet; whether any were."""
        new = {k: plain(v, 6000) for k, v in (params or {}).items() if k not in run.params}
        labels = {k: plain(v, 8000) for k, v in (tags or {}).items()}
        other = {k: v for k, v in labels.items() if run.tags.get(k) != v}
        if not (metrics or new or other):
            return False
        from mlflow.entities import Param, RunTag  # slow to import

        self.client.log_batch(
            run.run_id,
            metrics=metrics,
            params=[Param(k, v) for k, v in new.items()],
            tags=[RunTag(k, v) for k, v in other.items()],
        )
        return True

    def put(self, run: Known, paths: Iterable[Path]) -> None:
        """Store files, those that exist, as artifacts; RecordError for a link, or no plain file."""
        folder = self._folder(run)
        for path in paths:
            check_folders(path.parent)
            if not check_file(path):
                continue
            if folder is None:
                self.client.log_artifact(run.run_id, str(path))
            else:
                place.link(path, folder / path.name)

    def put_with_study(self, paths: Mapping[str, Path]) -> None:
        """Store files, those that exist, as artifacts of the study's own run, under these names.

        Raises: RecordError where one is a link, or no plain file.
        """
        there = {name: path for name, path in paths.items() if check_file(path)}
        run = self._closed("study", f"study {self.name}", {"kind": "study", "study": self.name})
        folder = self._folder(run)
        for name, path in there.items():
            if folder is not None:
                place.copy(path, folder / name)
            else:
                self.client.log_artifact(run.run_id, str(path), name.rpartition("/")[0] or None)

    def lacks_artifacts(self, run: Known) -> bool:
        """Whether the folder of a run's artifacts is gone, e.g. from a copy without it."""
        folder = local_folder(run.artifact_uri)
        return folder is not None and not folder.is_dir()

    def _folder(self, run: Known) -> Path | None:
        """Where a run's artifacts lie, None where a server has them: never outside our own place.

        Raises: TrackingError.
        """
        folder = local_folder(run.artifact_uri)
        if folder and not folder.resolve().is_relative_to(self._artifacts.resolve()):
            raise TrackingError(
                f"artifacts of run {run.name} must go to {self._artifacts}, but the "
                f"database has them in {folder}; delete that run in MLflow and send it with --sync"
            )
        return folder
