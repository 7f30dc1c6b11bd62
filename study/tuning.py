"""The only file that imports optuna: tunes the loss weights of each loss, the same budget for each.

The driver asks and tells, workers train. Trials have role `trial`, their own seed range, and never
open the test images. The default settings are trial 0.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from seglib.losses import loss_spec
from study.config import SEED_RANGES, RunConfig
from study.declaration import Study
from study.executor import Event, Job, LocalExecutor
from study.rundir import TERMINAL, RunDir, write_json

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

LAST_EVALUATIONS = 2  # the objective is the mean dev mIoU of this many last evaluations
N_CANDIDATES, N_RERANK_SEEDS = 5, 2  # the best settings are run again, with seeds of their own
# Settings from the literature that are tried beside the defaults (science notes: JDT, nnU-Net).
PUBLISHED: dict[str, list[dict[str, float]]] = {"dice_bce": [{"loss.share": 0.75}]}


class TuningError(ValueError):
    """A tuning cannot be started or used; the message says what to do."""


def search_space(loss: str, has_background: bool) -> dict[str, BaseDistribution]:
    """What is tuned for a loss: its declared parameters, class weights, learning rate."""
    spec = loss_spec(loss)
    space: dict[str, BaseDistribution] = {
        f"loss.{name}": FloatDistribution(*param.search, log=param.log)
        for name, param in spec.params.items() if param.search
    }
    if spec.cross_entropy:
        space["class_weight_exponent"] = FloatDistribution(0.0, 1.0)
        if has_background:
            space["background_multiplier"] = FloatDistribution(0.25, 2.0, log=True)
    space["lr_multiplier"] = FloatDistribution(0.3, 3.0, log=True)
    return space


def point_of(config: RunConfig, space: Mapping[str, object]) -> dict[str, float]:
    """The settings of a run as a point of its loss's space."""
    flat = {f"loss.{k}": v for k, v in config.loss_params.items()}
    return {name: flat[name] if name in flat else getattr(config, name) for name in space}


def tuning_key(study: Study, cell: Mapping) -> str:
    """Names a tuning: the hash of data, recipe, network with its weights, and loss."""
    return study.config(cell, 0).cell_id


KEPT = ("dev_miou", "dev_rerank", "default_dev_miou", "n_trials", "states", "importances")


def tuned_values(
    out: Path, study: Study, cells: Sequence[Mapping]
) -> list[tuple[dict[str, object], dict[str, object]]]:
    """The values of the tuned cells that belong to default cells, and how each was chosen.

    Raises: TuningError when a tuning is not finished (naming the command) or budgets differ.
    """
    found, budgets = [], {}
    for cell in cells:
        values, file = cell["values"], out / "tuning" / f"{tuning_key(study, cell)}.json"
        if not file.exists():
            raise TuningError(
                f"no finished tuning for {cell['arm']} with this data and recipe; run `python "
                f"runs.py --tune --only model={values['model']} --only init={values['init']} "
                f"--only loss={values['loss']}` with the same settings first"
            )
        result = json.loads(file.read_text())
        budgets[cell["arm"]] = result["n_trials"]
        found.append(({**values, "tuning": "tuned", **result["params"]},
                      {k: result[k] for k in KEPT if k in result}))
    if len(set(budgets.values())) > 1:
        shown = ", ".join(f"{arm} {n}" for arm, n in budgets.items())
        raise TuningError(f"tuned arms must have had equal numbers of trials, got {shown}; "
                          "give --tune --set tune.trials= the largest")
    return found


class CellTuning:
    """The Optuna study of one network and loss."""

    def __init__(self, out: Path, study: Study, cell: Mapping, n_trials: int) -> None:
        self.study, self.cell, self.n_trials = study, cell, n_trials
        self.key = tuning_key(study, cell)
        self.runs, self.result = out / "tuning" / self.key, out / "tuning" / f"{self.key}.json"
        self.runs.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.runs / "driver.lock", timeout=0)
        try:
            self._lock.acquire()  # until close(): studies share a tuning
        except Timeout:
            raise TuningError(f"another process tunes {cell['arm']} with this data and recipe; "
                              "wait for it") from None
        self.space = search_space(cell["values"]["loss"], study.declaration["data"]["background"])
        config = study.config(cell, SEED_RANGES["trial"].start, role="trial")
        self.default = point_of(config, self.space)  # the arm as it is in the study
        for name, value in self.default.items():  # and it lies inside the space
            low, high = min(self.space[name].low, value), max(self.space[name].high, value)
            self.space[name] = FloatDistribution(low, high, log=self.space[name].log)
        warmup = round(study.declaration["recipe"]["warmup_frac"]
                       * study.declaration["recipe"]["epochs"])
        storage = f"sqlite:///{(out / 'tuning' / 'optuna.db').resolve()}"
        existing = self._open(storage, seed=0, warmup=warmup)
        self.optuna = self._open(storage, seed=len(existing.trials), warmup=warmup)
        if self.optuna.direction.name != "MAXIMIZE":
            raise TuningError(f"tuning {self.key} must maximise, got {self.optuna.direction.name}")
        self.trials: dict[str, FrozenTrial | optuna.Trial] = {}
        self._revive()

    def _open(self, storage: str, *, seed: int, warmup: int) -> optuna.Study:
        return optuna.create_study(
            study_name=self.key, storage=storage, direction="maximize", load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=int(self.key[:6], 16) + seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup),
        )

    def _revive(self) -> None:
        """Queue the defaults first; close trials a dead driver left and queue them again."""
        if not self.optuna.trials:
            for point in ({}, *PUBLISHED.get(self.cell["values"]["loss"], [])):
                self.optuna.enqueue_trial(self.default | point)
        for trial in self.optuna.get_trials(states=(TrialState.RUNNING,)):
            self.optuna.tell(trial.number, state=TrialState.FAIL)
            self.optuna.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})

    def _spent(self) -> int:
        """Trials that count against the budget: all begun ones but those queued again."""
        retried = {t.user_attrs.get("retry_of") for t in self.optuna.trials}
        return sum(t.state != TrialState.WAITING and t.number not in retried
                   for t in self.optuna.trials)

    def close(self) -> None:
        """Let another process tune this arm."""
        self._lock.release()

    def n_left(self) -> int:
        """Trials of the budget that have not begun."""
        return max(0, self.n_trials - self._spent())

    def config(self, params: Mapping[str, float]) -> RunConfig:
        """The run of one trial: what Optuna suggested reaches the loss under the same names."""
        cell = {"values": {**self.cell["values"], "tuning": "tuned", **params}}
        return self.study.config(cell, SEED_RANGES["trial"].start, role="trial")

    @property
    def name(self) -> str:
        return f"tune {self.cell['arm']}"

    def jobs(self, prepare: Callable[[RunConfig], RunConfig], commit: str) -> Iterator[Job]:
        """Trials until the budget is spent, one at a time as workers become free."""
        while self.n_left():
            trial = self.optuna.ask(self.space)
            config = prepare(self.config(trial.params))
            run_dir = RunDir(self.runs / config.run_id)
            trial.set_user_attr("run_id", config.run_id)
            if run_dir.state() in TERMINAL:
                self._tell(trial, run_dir)
                continue
            self.trials[config.run_id] = trial
            yield Job(config, f"{self.name} trial {trial.number}", run_dir.path, commit)

    def candidates(self) -> list[FrozenTrial]:
        """The completed trials with the highest objective, each setting once, best first."""
        done = self.optuna.get_trials(states=(TrialState.COMPLETE,))
        unique: dict[str, FrozenTrial] = {}
        for trial in sorted(done, key=lambda trial: -trial.value):  # of equals the first
            unique.setdefault(json.dumps(trial.params, sort_keys=True), trial)
        return list(unique.values())[:N_CANDIDATES]

    def rerank_runs(self, trial: FrozenTrial) -> list[tuple[RunConfig, RunDir]]:
        """The runs that look at a candidate again, with seeds no trial has seen."""
        cell = {"values": {**self.cell["values"], "tuning": "tuned", **trial.params}}
        first = SEED_RANGES["rerank"].start
        configs = [self.study.config(cell, first + i, role="rerank")
                   for i in range(N_RERANK_SEEDS)]
        return [(config, RunDir(self.runs / config.run_id)) for config in configs]

    def rerank_jobs(
        self, prepare: Callable[[RunConfig], RunConfig], commit: str
    ) -> Iterator[Job]:
        """The candidates' runs that are missing; nothing before the trials are done."""
        if self.n_left() or self.trials:
            return
        for trial in self.candidates():
            for config, run_dir in self.rerank_runs(trial):
                if run_dir.state() != "finished":
                    name = f"{self.name} trial {trial.number} again"
                    yield Job(prepare(config), name, run_dir.path, commit)

    def take(self, event: Event, executor: LocalExecutor) -> None:
        """Report an epoch to the pruner, or close the trial when its run ended."""
        run_id = event.job.config.run_id
        if run_id not in self.trials:
            return
        trial = self.trials[run_id]
        if event.kind == "epoch":
            value = event.row["metrics"].get("dev/miou")
            if value is not None:
                trial.report(value, event.row["epoch"])
                if event.row["epoch"] < event.job.config.epochs and trial.should_prune():
                    executor.stop(run_id, "pruned")
            return
        run_dir = RunDir(event.job.path)
        if event.kind == "stopped" and event.row.get("reason") == "pruned":
            run_dir.append("pruned", epoch=run_dir.epochs()[-1]["epoch"])
            run_dir.drop_checkpoints()
        if event.kind in ("finished", "failed", "died") or run_dir.state() == "pruned":
            self._tell(self.trials.pop(run_id), run_dir)

    def _tell(self, trial: optuna.Trial, run_dir: RunDir) -> None:
        state = run_dir.state()
        if state == "finished":
            self.optuna.tell(trial, objective(run_dir))
        else:
            self.optuna.tell(
                trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def finish(self) -> dict | None:
        """Write the result when the budget is spent and the candidates are re-run; else None.

        Chosen is the candidate with the highest mean over its re-runs: the value at selection is
        the best of many and too high (the winner's curse), that of the re-runs is not.
        Raises: TuningError when no trial was completed.
        """
        if self.n_left() or self.trials:
            return None
        states = [t.state.name.lower() for t in self.optuna.trials]
        counts = {state: states.count(state) for state in sorted(set(states))}
        done = self.optuna.get_trials(states=(TrialState.COMPLETE,))
        if not done:
            raise TuningError(f"{self.name}: no trial was completed, got {counts}")
        again = {}
        for trial in self.candidates():
            runs = [run_dir for _, run_dir in self.rerank_runs(trial)]
            if any(run_dir.state() not in TERMINAL for run_dir in runs):
                return None
            values = [objective(run_dir) for run_dir in runs if run_dir.state() == "finished"]
            if len(values) == N_RERANK_SEEDS:
                again[trial.number] = float(np.mean(values))
        if not again:
            raise TuningError(f"{self.name}: no candidate finished its re-runs")
        best = self.optuna.trials[max(again, key=again.get)]
        default = [t.value for t in done if t.params == self.default]
        result = {
            "key": self.key, "arm": self.cell["arm"], "params": best.params,
            "dev_miou": best.value, "dev_rerank": again[best.number],
            "candidates": {str(number): value for number, value in again.items()},
            "importances": self._importances(), "default_dev_miou": default[0] if default else None,
            "trial": best.number, "n_trials": self._spent(), "states": counts,
        }
        write_json(self.result, result)
        return result

    def _importances(self) -> dict[str, float]:
        """PED-ANOVA importances of what was searched; {} where they cannot be had."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that they are rough for few trials is said
                return optuna.importance.get_param_importances(self.optuna)
        except (RuntimeError, ValueError):  # too few trials, or all alike
            return {}


def objective(run_dir: RunDir) -> float:
    """Mean dev mIoU of the last evaluations, not the best epoch: less lucky."""
    values = [row["metrics"]["dev/miou"] for row in run_dir.epochs()
              if "dev/miou" in row["metrics"]]
    return float(np.mean(values[-LAST_EVALUATIONS:]))
