"""The tuning of one arm: Optuna proposes settings, workers train them, Optuna is told.

The driver asks and tells. Trials have role `trial`, their own seed range, and never open the test
images. The default settings are trial 0. The budget of an arm is a number of epochs trained, so
that pruning early buys more trials, not less work. The best settings are run again at the end.
Knows nothing of how runs are done, shown or sent anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from filelock import FileLock
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, Trial, TrialState

from study.config import SEED_RANGES, RunConfig
from study.execution.executor import Job, LocalExecutor, Message
from study.record import TERMINAL, Cell, RunDir, TuningPlace, TuningResult, write_json
from study.record.journal import Died, Epoch, Failed, Finished, Pruned, Stopped
from study.study import Study
from study.tuning import outcome, owner, trials
from study.tuning.options import TuneOptions, TuningError
from study.tuning.outcome import N_CANDIDATES, N_RERANK_SEEDS, Candidate
from study.tuning.space import Space, Values

Prepare = Callable[[RunConfig], RunConfig]  # says on what and where a run is done


@dataclass(eq=False)
class Tuning:
    """The tuning of one arm: an Optuna study, the runs of its trials, its result."""

    study: Study
    cell: Cell
    options: TuneOptions
    place: TuningPlace
    space: Space
    default: Values  # the arm as it is in the study
    epochs: int  # of a trial
    rare: list[str]  # classes of the objective; none: all
    optuna: OptunaStudy
    lock: FileLock
    token: str = ""  # of `owner`
    under_way: dict[str, Trial] = field(default_factory=dict)  # by run id
    reported: dict[str, int] = field(default_factory=dict)  # run id -> last epoch the pruner knows

    def close(self) -> None:
        """Let another process tune this arm."""
        self.lock.release()

    @property
    def budget(self) -> int:
        """Epochs that the arm may train."""
        return self.options.budget(self.epochs)

    def check_owner(self) -> None:
        """Raise TuningError when a copy of the folder has gone on with the Optuna study."""
        owner.check(self.place, self.optuna, self.token)

    def counted(self) -> list[FrozenTrial]:
        """The trials that count against the budget: all settings tried, once."""
        return trials.counted(self.optuna)

    def spent(self) -> int:
        """Epochs trained, or promised to a trial under way; a failed trial costs all of its own."""
        return sum(trial.user_attrs.get("epochs", self.epochs) for trial in self.counted())

    def n_left(self) -> int:
        """Whole trials that still fit into the budget."""
        return max(0, self.budget - self.spent()) // self.epochs

    def config(
        self, params: Mapping[str, float], role: str = "trial", number: int = 0
    ) -> RunConfig:
        """The run of one trial: what Optuna suggested reaches the loss under the same names.

        `number` counts the seeds of the role: a trial has one, a re-run several.
        """
        values = {**self.cell.values, "tuning": "tuned", **params}
        cell = self.cell.having(values=values, default=self.cell.arm)
        return self.study.config(cell, SEED_RANGES[role].start + number, role=role)

    def jobs(self, prepare: Prepare, commit: str) -> Iterator[Job]:
        """Trials until no whole one fits into the budget, one at a time as workers become free."""
        while self.n_left():
            self.check_owner()
            trial = self.optuna.ask({**self.space})
            config = prepare(self.config(trial.params))
            run_dir = RunDir(self.place.runs / config.run_id)
            trial.set_user_attr("run_id", config.run_id)
            if config.run_id in self.under_way:  # the very same settings are being tried
                self._prune(trial, 1)
                continue
            for epoch in run_dir.journal().epochs:  # of an attempt that was cut off
                self._report(trial, config.run_id, epoch)
            if outcome.state_of(run_dir) in TERMINAL:
                self._tell(trial, run_dir)
                continue
            self.under_way[config.run_id] = trial
            yield self._job(config, f"trial {trial.number}", run_dir, commit)

    def _job(self, config: RunConfig, name: str, run_dir: RunDir, commit: str) -> Job:
        return Job(config, f"{self.place.title} {name}", run_dir.path, commit, self.place.key)

    def take(self, message: Message, executor: LocalExecutor) -> None:
        """Report an epoch to the pruner, or close the trial when its run ended."""
        config, event = message.job.config, message.event
        trial = self.under_way.get(config.run_id)
        if trial is None:
            return
        self.check_owner()
        if isinstance(event, Epoch):
            news = self._report(trial, config.run_id, event)
            if news and event.epoch < config.epochs and trial.should_prune():
                executor.stop(config.run_id, "pruned")
            return
        run_dir = RunDir(message.job.path)
        pruned = isinstance(event, Stopped) and event.reason == "pruned"
        if pruned:
            run_dir.append(Pruned(epoch=run_dir.journal().epochs[-1].epoch))
            run_dir.drop_checkpoints()
        if pruned or isinstance(event, Finished | Failed | Died):
            self._tell(self.under_way.pop(config.run_id), run_dir)

    def _report(self, trial: Trial, run_id: str, epoch: Epoch) -> bool:
        """Tell the pruner of an epoch it does not know; False when there is nothing to tell."""
        value = outcome.value_at(epoch.metrics, self.rare)
        if math.isnan(value) or epoch.epoch <= self.reported.get(run_id, 0):
            return False
        trial.report(value, epoch.epoch)
        self.reported[run_id] = epoch.epoch
        return True

    def _tell(self, trial: Trial, run_dir: RunDir) -> None:
        """Close a trial by what became of its run.

        A run that was killed gets one more chance, one that met a full disk any number.
        """
        state = outcome.state_of(run_dir)
        value = outcome.objective(run_dir, self.rare)
        tries = trial.user_attrs.get("tries", 1) + (not outcome.met_full_disk(run_dir))
        if state == "finished" and not math.isnan(value):
            self.optuna.tell(trial, value)
        elif state == "pruned":
            self._prune(trial, run_dir.journal().epochs[-1].epoch)
        elif state in ("new", "dead") and tries <= 2:
            self.reported.pop(run_dir.run_id, None)
            trials.again(self.optuna, self.optuna.get_trials(deepcopy=False)[trial.number], tries)
        else:
            run_dir.drop_checkpoints()
            self.optuna.tell(trial, state=TrialState.FAIL)

    def _prune(self, trial: Trial, epochs: int) -> None:
        trial.set_user_attr("epochs", epochs)
        self.optuna.tell(trial, state=TrialState.PRUNED)

    def candidates(self) -> list[Candidate]:
        """The best settings, best first, with their re-runs, whose seeds no trial has seen."""
        found = []
        for trial in trials.best(self.optuna, N_CANDIDATES):
            configs = [self.config(trial.params, "rerank", i) for i in range(N_RERANK_SEEDS)]
            runs = [(config, RunDir(self.place.runs / config.run_id)) for config in configs]
            found.append(Candidate(trial, runs))
        return found

    def rerank_jobs(self, prepare: Prepare, commit: str) -> Iterator[Job]:
        """The candidates' runs that are missing; nothing before the trials are done."""
        if self.n_left() or self.under_way:
            return
        for candidate in self.candidates():
            for config, run_dir in candidate.missing():
                name = f"trial {candidate.trial.number} again"
                yield self._job(prepare(config), name, run_dir, commit)

    def missing(self) -> str:
        """Why there is no result yet; "" when there can be one."""
        if n := self.n_left() + len(self.under_way):
            return f"{n} trials of {self.place.title} are not done"
        n = sum(len(candidate.missing()) for candidate in self.candidates())
        return f"{n} re-runs of {self.place.title} are not done" if n else ""

    def finish(self) -> TuningResult:
        """Write the result; call when nothing is `missing`.

        Chosen is the candidate with the highest mean over its re-runs. The value at selection is
        among the best of many and too high (the winner's curse); that of the re-runs, the best of
        five, less so. A candidate with a failed re-run is dropped.
        Raises: TuningError when no trial was completed.
        """
        counts, done = trials.states(self.optuna), trials.completed(self.optuna)
        if not done:
            raise TuningError(
                f"{self.place.title}: no trial was completed, got "
                f"{', '.join(f'{n} {state}' for state, n in counts.items())}; see their reasons "
                "in MLflow or their journals"
            )
        candidates = self.candidates()
        scores = {candidate.trial.number: candidate.score(self.rare) for candidate in candidates}
        again = {number: score for number, score in scores.items() if score is not None}
        if not again:
            raise TuningError(f"{self.place.title}: no candidate finished its re-runs")
        best = self.optuna.trials[max(again, key=again.__getitem__)]
        default = [trial.value for trial in done if trial.params == self.default]
        result = TuningResult(
            key=self.place.key,
            arm=self.cell.arm,
            params=best.params,
            budget_epochs=self.budget,
            epochs=self.spent(),
            objective=self.options.objective,
            sampler=self.options.sampler,
            pruner=self.options.pruner,
            trials=counts,
            dev_selected=trials.value_of(best),
            dev_rerank=again[best.number],
            default_dev=default[0] if default else None,
            trial=best.number,
            candidates={str(number): value for number, value in again.items()},
            dropped=len(candidates) - len(again),
            importances=trials.importances(self.optuna),
        )
        write_json(self.place.result, result)
        return result
