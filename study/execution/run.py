"""One run, from its start or from its checkpoint: data in, everything of the run in its directory.

Knows nothing of trackers, tuners or other runs. Runs inside a worker process.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from seglib.metrics import CONTRACT
from seglib.predict import Stopped
from seglib.train import EpochResult, NonFiniteLoss, fit
from study.config import RunConfig
from study.execution.drift import DriftError, drift, environment
from study.execution.failure import TRACEBACK, keep_traceback, told, unforeseen
from study.execution.memory import less_memory, out_of_memory
from study.execution.parts import initial_model, open_data, start_bias, training_parts
from study.execution.progress import Progress
from study.execution.results import (
    confusions_of,
    peak_memory_mb,
    scores,
    store_results,
    system_metrics,
)
from study.record import RunDir, journal
from study.record.files import disk_full
from study.record.journal import Metrics

Emit = Callable[[journal.Event], object]


class _Attempt:
    """A run while it is worked on; what happens goes to its journal, and to `emit`."""

    def __init__(
        self, config: RunConfig, run_dir: RunDir, emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        self.config, self.dir, self.emit, self.should_stop = config, run_dir, emit, should_stop
        self.data, self.progress = open_data(config), Progress(config, run_dir)

    def log(self, event: journal.Event) -> None:
        self.emit(self.dir.append(event))

    def _note_once(self, text: str) -> None:
        """Say it, unless an attempt before has."""
        notes = [event for event in self.dir.journal().events if isinstance(event, journal.Note)]
        if text not in [note.text for note in notes]:
            self.log(journal.Note(text=text))

    def work(self, commit: str) -> str:
        """Start, train, store the results; "dead" when told to stop."""
        config, attempt = self.config, 1 + len(self.dir.journal().starts)
        torch.set_num_threads(config.threads)
        if self.progress.note:
            self.log(journal.Note(text=self.progress.note))
        model = initial_model(config, len(self.data.store.classes))
        if note := start_bias(model, config, self.data.fit):
            self._note_once(note)
        self.log(
            journal.Start(
                attempt=attempt,
                after_epoch=self.progress.after_epoch,
                environment=environment(config, commit),
                n_parameters=sum(p.numel() for p in model.parameters()),
            )
        )
        try:
            if self._train(model):
                self._finish(model)
                return "finished"
        except Stopped:
            pass
        self.log(journal.Stopped())
        return "dead"

    def _train(self, model: nn.Module) -> bool:
        """All epochs that are missing; False when it was told to stop."""
        known = {event.epoch for event in self.dir.journal().epochs}
        epoch = self.progress.after_epoch
        results = fit(
            model,
            *training_parts(self.config, self.data.fit),
            evaluate=lambda m: confusions_of(self.config, m, self.data.dev, self.should_stop),
            state=self.progress.fit_state,
            should_stop=self.should_stop,
        )
        for result in results:
            epoch = result.epoch
            event = journal.Epoch(epoch=epoch, metrics=self._measured(result, model))
            if epoch in known:  # trained again after a resume: shown, but the first row stays
                self.emit(event)
            else:
                self.log(event)
            self.progress.save_if_due(result)
        return epoch == self.config.epochs

    def _measured(self, result: EpochResult, model: nn.Module) -> Metrics:
        metrics: Metrics = {f"train/{k}": v for k, v in result.train.items()}
        if result.confusions is not None:
            metrics |= scores(result.confusions, self.data.store.classes, "dev")
            miou = metrics["dev/miou"]
            if miou is None:
                raise ValueError("dev holds no valid pixel; choose another dev set")
            self.progress.take(result.epoch, miou, result.confusions, model)
        return metrics | system_metrics(self.config.device)

    def _finish(self, model: nn.Module) -> None:
        best = self.progress.best
        metrics, signs = store_results(
            self.config, self.dir, self.data, best, model, should_stop=self.should_stop
        )
        for sign in signs:
            self._note_once(sign.text)
        self.log(
            journal.Finished(
                best_epoch=best["epoch"],
                duration_s=self.progress.duration_s,
                peak_memory_mb=peak_memory_mb(self.config.device),
                metrics=metrics,
                contract=CONTRACT,
            )
        )
        self.dir.drop_checkpoints()


def run(
    config: RunConfig,
    run_dir: RunDir,
    *,
    arm: str,
    commit: str = "",
    emit: Emit = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> str:
    """Do one run, or what is left of it; returns its state: finished, failed or dead (stopped).

    A failure is recorded in the journal with its reason and does not raise. On a full disk the
    event that `emit` gets may be all there is.
    Raises: DriftError, before anything is written, for a half-done run that no longer fits.
    """
    with run_dir.lock():
        if changes := drift(config, run_dir):
            raise DriftError(f"begun with {', '.join(changes)}; use --study NEWNAME for a new one")
        run_dir.clean()
        run_dir.create(config.record(arm))
        (run_dir.path / TRACEBACK).unlink(missing_ok=True)  # of an attempt before
        try:
            return _Attempt(config, run_dir, emit, should_stop).work(commit)
        except (Exception, SystemExit) as error:  # the latter from a network of the user's
            where = traceback.format_exc()
            failure = journal.Failed(
                error=reason(error, config, run_dir.path),
                traceback=where,
                disk_full=disk_full(error),
            )
            if not failure.disk_full:
                keep_traceback(run_dir.path, where)
        try:
            emit(run_dir.append(failure))
        except OSError as error:  # no room even for that line
            emit(failure.having(disk_full=disk_full(error)))
        return "failed"


def reason(error: BaseException, config: RunConfig, folder: Path | None = None) -> str:
    """Why a run failed, in one line that says what to do, and where that is not known where to
    look: in the run's folder, if given."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, NonFiniteLoss):
        return f"run {config.run_id}: {text}"
    if disk_full(error):
        return told(error)
    if isinstance(error, torch.OutOfMemoryError) or out_of_memory(error):
        called = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
        hint = less_memory(config)
        if "predict" in called:
            hint = "it was predicting whole images: try a smaller --set max_side in a new --study"
        return f"out of memory; {hint} ({text})"
    return told(error) if folder is None else unforeseen(error, folder)
