"""One run directory as one MLflow run, below an arm or a tuning: sends what is missing there.

Knows no study. Metric timestamps are the journal's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.record import DataFacts, Journal, RunDir, RunRecord, files
from study.record.journal import Died, Epoch, Failed, Finished, Metrics, Note
from study.tracking.experiment import Experiment, Values
from study.tracking.known import Known
from study.tracking.names import MetricNames
from study.tracking.store import plain

if TYPE_CHECKING:  # slow to import
    from mlflow.entities import Metric

BATCH = 1000  # metrics in one request: MLflow's limit
RECORD = (files.CONFIG, files.JOURNAL)
RESULTS = (files.HISTORY, files.CONFUSION, files.PANEL, files.PANEL_SHEET, files.BEST)
STATUS = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "pruned": "KILLED",
    "stopped": "KILLED",
    "died": "KILLED",
}


@dataclass(frozen=True)
class Standing:
    """How a run stands, by our word and by MLflow's."""

    state: str
    status: str

    @property
    def under_way(self) -> bool:
        return self.status == "RUNNING"


def standing(run_dir: RunDir, journal: Journal) -> Standing:
    """How a run stands by its journal, as it has been read, and its lock."""
    state = journal.events[-1].event
    if state in STATUS:
        return Standing(state, STATUS[state])
    # under way, or cut off without a word
    return Standing("running", "RUNNING") if run_dir.locked() else Standing("dead", "KILLED")


@dataclass(frozen=True)
class Child:
    """A run whose journal has been read and has events."""

    experiment: Experiment
    names: MetricNames
    data: DataFacts
    folder: Path
    record: RunRecord
    journal: Journal
    standing: Standing

    def send(self, name: str, parent: str, tags: Values) -> bool:
        """Bring its MLflow run up to date, nested under `parent`; whether anything was missing.

        The tag "state" is written last: a run that has its final one is complete.
        """
        now, there = self.standing, self.experiment.known(self._key)
        if there is not None and self._complete(there):
            return False
        run = self._run(name, parent, tags)
        as_it_is = self._as_it_is(run)
        self._describe(run)
        n_sent = self._send_epochs(run)
        if as_it_is and now.under_way:
            return bool(n_sent)
        self._describe_environment(run)
        if now.under_way:
            self.experiment.client.update_run(run.run_id, status=now.status)
        else:
            self._close(run)
        self.experiment.client.set_tag(run.run_id, "state", now.state)
        self.experiment.refresh(run)
        return True

    def _as_it_is(self, run: Known) -> bool:
        return run.tags.get("state") == self.standing.state and run.status == self.standing.status

    def _complete(self, run: Known) -> bool:
        ended = not self.standing.under_way and run.end_time == self._end
        return ended and self._as_it_is(run) and not self.experiment.lacks_artifacts(run)

    @property
    def _key(self) -> str:
        # a directory that was deleted and trained again is another MLflow run
        return f"{self.folder.name}:{self.journal.events[0].time}"

    @property
    def _end(self) -> int:
        return _stamp(self.journal.events[-1].time)

    def _run(self, name: str, parent: str, tags: Values) -> Known:
        top = self.experiment.parent(parent, tags)
        began, run_id = self.journal.events[0].time, self.folder.name
        more = {"run_id": run_id, "mlflow.parentRunId": top.run_id}
        return self.experiment.run(self._key, name, {**tags, **more}, began)

    def _describe(self, run: Known) -> None:
        """Params, the data set and what the run is, as far as they are not there yet."""
        arrived, run_id = self.experiment.arrived, run.run_id
        if run_id in arrived:
            return
        flat: dict[str, object] = {}
        for name, value in self.record.config.items():
            flat |= (
                {f"loss.{k}": v for k, v in value.items()}
                if isinstance(value, dict)
                else {name: value}
            )
        self.experiment.log(run, params=flat)
        if not run.has_data:
            self._describe_data(run_id)
        self._put(run, *RECORD)
        history = self.experiment.client.get_metric_history(run_id, "train/loss")
        arrived[run_id] = {point.step for point in history}

    def _describe_data(self, run_id: str) -> None:
        # slow to import
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag

        data = MetaDataset(  # type: ignore[abstract]  # MLflow documents it to be made so
            HTTPDatasetSource(Path(self.data.path).as_uri()),
            name=plain(self.data.name, 500),
            digest=self.data.fingerprint[:32],
        )
        tag = InputTag("mlflow.data.context", "train")
        self.experiment.client.log_inputs(run_id, [DatasetInput(data._to_mlflow_entity(), [tag])])

    def _describe_environment(self, run: Known) -> None:
        for start in self.journal.starts[:1]:
            self.experiment.log(
                run,
                params={"n_parameters": start.n_parameters},
                tags={f"env.{k}": v for k, v in start.environment.items()},
            )

    def _send_epochs(self, run: Known) -> int:
        """Write the epochs that are missing, several in one request; how many."""
        arrived = self.experiment.arrived[run.run_id]
        missing = [event for event in self.journal.epochs if event.epoch not in arrived]
        batch: list[Metric] = []
        for event in missing:
            metrics = self._metrics(event.metrics, event, event.epoch)
            if len(batch) + len(metrics) > BATCH:
                self.experiment.log(run, batch)
                batch = []
            batch += metrics
        self.experiment.log(run, batch)
        arrived.update(event.epoch for event in missing)
        return len(missing)

    def _close(self, run: Known) -> None:
        """Write how the run ended, with its results where it is finished."""
        client, run_id, last = self.experiment.client, run.run_id, self.journal.last
        if isinstance(last, Finished):
            self.experiment.log(run, self._metrics(_results(last), last, last.best_epoch))
        self._put(run, *RECORD, *(RESULTS if isinstance(last, Finished) else ()))
        if notes := [event.text for event in self.journal.events if isinstance(event, Note)]:
            client.set_tag(run_id, "notes", plain("; ".join(dict.fromkeys(notes)), 8000))
        if isinstance(last, (Failed, Died)):
            client.set_tag(run_id, "error", plain(last.error, 8000))
        elif "error" in run.tags:
            client.delete_tag(run_id, "error")  # of an earlier attempt
        client.set_terminated(run_id, self.standing.status, end_time=self._end)

    def _metrics(self, values: Metrics, event: Epoch | Finished, step: int) -> list[Metric]:
        from mlflow.entities import Metric  # slow to import

        stamp = _stamp(event.time)
        return [
            Metric(self.names.of(name), float(value), stamp, step)
            for name, value in values.items()
            if value is not None
        ]

    def _put(self, run: Known, *names: str) -> None:
        self.experiment.put(run, [self.folder / name for name in names])


def _results(last: Finished) -> Metrics:
    return {name: value for name, value in last.metrics.items() if name.startswith("test/")} | {
        "best/dev_miou": last.metrics["dev/miou"],
        "best/epoch": last.best_epoch,
        "duration_s": last.duration_s,
        "peak_memory_mb": last.peak_memory_mb,
    }


def _stamp(time_s: float) -> int:
    """A time as MLflow has it: whole milliseconds."""
    return int(time_s * 1000)
