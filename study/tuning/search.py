"""The only file that imports optuna: tunes the loss weights of each loss, the same budget for each.

The driver asks and tells, workers train. Trials have role `trial`, their own seed range, and never
open the test images. The default settings are trial 0. The budget of an arm is a number of epochs
trained, so that pruning early buys more trials, not less work.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import optuna
import sqlalchemy.exc
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from seglib.losses import loss_spec
from seglib.metrics import terciles
from study.config import SEED_RANGES, RunConfig, digest
from study.execution.executor import Event, Job, LocalExecutor
from study.record.rundir import TERMINAL, RunDir, atomic_write, parse_json, write_json
from study.study import Study
from study.tracking.projection import one_line, shown
from study.tracking.sender import tuning_name

if TYPE_CHECKING:
    from study.commands.session import TuneOptions

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

LAST_EVALUATIONS = 2  # the objective is the mean over this many last evaluations on dev
N_CANDIDATES, N_RERANK_SEEDS = 5, 2  # the best settings are run again, with seeds of their own
N_STARTUP = 5  # trials before the median prunes, and before a sampler learns from them
MOST_DIMENSIONS = 5
STORAGE_ERRORS = (optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError)
# Published settings, tried beside the defaults (the losses' papers; nnU-Net).
_PAPER = {"loss.fn_weight": 0.7, "loss.exponent": 0.75}
PUBLISHED: dict[str, list[dict[str, float]]] = {
    "dice_bce": [{"loss.share": 0.5}, {"loss.share": 0.75}],
    "focal_tversky": [_PAPER],
    "focal_tversky_bce": [_PAPER],
}


class TuningError(ValueError):
    """A tuning cannot be started or used; the message says what to do."""


def search_space(loss: str, has_background: bool) -> dict[str, BaseDistribution]:
    """What is tuned for a loss: its declared parameters, class weights, learning rate.

    The background's weight only where at most five dimensions are left with it.
    """
    spec = loss_spec(loss)
    space: dict[str, BaseDistribution] = {
        f"loss.{name}": FloatDistribution(*param.search, log=param.log)
        for name, param in spec.params.items()
        if param.search
    }
    if spec.cross_entropy:
        space["class_weight_exponent"] = FloatDistribution(0.0, 1.0)
        if has_background and len(space) < MOST_DIMENSIONS - 1:
            space["background_multiplier"] = FloatDistribution(0.25, 2.0, log=True)
    space["lr_multiplier"] = FloatDistribution(0.3, 3.0, log=True)
    return space


def point_of(config: RunConfig, space: Mapping[str, object]) -> dict[str, float]:
    """The settings of a run as a point of its loss's space."""
    flat = {f"loss.{k}": v for k, v in config.loss_params.items()}
    return {name: flat[name] if name in flat else getattr(config, name) for name in space}


def _result_file(out: Path, study: Study, cell: Mapping, name: str) -> Path:
    """Where a tuning's result lies: named by data, recipe, network with its weights, and loss."""
    key = study.config(cell, 0).cell_id
    return out / "tuning" / f"{'-'.join(filter(None, (key, name)))}.json"


BUDGET = ("budget_epochs", "objective", "sampler", "pruner")  # equal for all arms compared
CONTROL = ("epochs", "trials", "dev_selected", "dev_rerank")
KEPT = (*BUDGET, *CONTROL, "default_dev", "importances", "dropped")


def tuned_values(
    out: Path, study: Study, cells: Sequence[Mapping], name: str = ""
) -> dict[str, tuple[dict[str, object], dict[str, object]]]:
    """Per arm of the default cells: the values of its tuned sister, and how they were found.

    A finished tuning by random search, otherwise alike, is added as the control.
    Raises: TuningError when a tuning is not finished (naming the command) or budgets differ, also
        from those of the arms that the study has tuned cells of already.
    """
    arms = {f"{cell['arm']}-tuned" for cell in cells}
    found, budgets = (
        {},
        {
            arm: {key: chosen.get(key) for key in BUDGET}
            for arm, chosen in study.declaration.get("tunings", {}).items()
            if arm not in arms
        },
    )
    for cell in cells:
        values, file = cell["values"], _result_file(out, study, cell, name)
        result = _read(file) if file.exists() else {}
        if any(key not in result for key in (*KEPT, "params")):
            named = f" --set tune.name={name}" if name else ""
            raise TuningError(
                f"no finished tuning for {cell['arm']} with this data and recipe; run `python "
                f"runs.py --tune --only model={values['model']} --only init={values['init']} "
                f"--only loss={values['loss']}{named}` with the same settings first"
            )
        budgets[cell["arm"]] = {key: result[key] for key in BUDGET}
        chosen = {key: result[key] for key in KEPT}
        control = _result_file(out, study, cell, "random")
        if name != "random" and control.exists():
            other = _read(control)
            alike = {**budgets[cell["arm"]], "sampler": "random"}
            if all(key in other for key in CONTROL) and alike.items() <= other.items():
                chosen["control"] = {key: other[key] for key in CONTROL}
        found[cell["arm"]] = ({**values, "tuning": "tuned", **result["params"]}, chosen)
    if len({json.dumps(budget) for budget in budgets.values()}) > 1:
        shown = "; ".join(f"{arm} {', '.join(map(str, b.values()))}" for arm, b in budgets.items())
        raise TuningError(
            "tuned arms must have been tuned alike (epochs, objective, sampler, "
            f"pruner), got {shown}; give --tune the same --set tune.* for all"
        )
    return found


def _read(file: Path) -> dict:
    try:
        result = parse_json(file.read_bytes())
    except ValueError as error:
        raise TuningError(
            f"{file} must be the result of a tuning, got {error}; delete it and run "
            "--tune again: it is written anew from the trials"
        ) from None
    return result if isinstance(result, dict) else {}


def storage_url(out: Path) -> str:
    """OPTUNA_STORAGE where set, else SQLite in the output folder."""
    return os.environ.get("OPTUNA_STORAGE") or (
        f"sqlite:///{(out / 'tuning' / 'optuna.db').resolve()}"
    )


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Optuna's database; a locked SQLite file is waited for, one minute.

    Raises: TuningError in one line when it cannot be opened.
    """
    arguments = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    except (*STORAGE_ERRORS, ImportError, OSError, ValueError) as error:
        raise TuningError(
            f"Optuna's storage {shown(url)} must be a database that answers, got: "
            f"{shown(one_line(error))}; mend it or set OPTUNA_STORAGE"
        ) from None


def make_sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    """`tpe` (multivariate, with constant liar: Optuna's defaults since 5.0), `gp` or `random`."""
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    classes = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}
    return classes[kind](seed=seed, n_startup_trials=N_STARTUP)


def make_pruner(kind: str, warmup: int, epochs: int) -> optuna.pruners.BasePruner:
    """`median`, `hyperband` or `none`; none of them stops a trial within its warm-up."""
    if kind == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=warmup + 1, max_resource=epochs)
    if kind == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=N_STARTUP, n_warmup_steps=warmup + 1)


class CellTuning:
    """The Optuna study of one network and loss."""

    def __init__(self, out: Path, study: Study, cell: Mapping, options: TuneOptions) -> None:
        self.study, self.cell, self.options = study, cell, options
        self.result = _result_file(out, study, cell, options.name)
        self.key = self.result.stem
        self.runs = self.result.with_suffix("")
        values, data = cell["values"], study.declaration["data"]
        # what the matrix itself sets is what the arm is, not what is tuned
        self.space = {
            name: distribution
            for name, distribution in search_space(values["loss"], data["background"]).items()
            if name not in values
        }
        if not self.space:
            raise TuningError(
                f"{cell['arm']} has nothing to tune: its matrix sets all of it; "
                "leave it out with --only"
            )
        config = study.config(cell, SEED_RANGES["trial"].start, role="trial")
        self.default = point_of(config, self.space)  # the arm as it is in the study
        for name, value in list(self.default.items()):  # and it lies inside the space
            if self.space[name].log and value <= 0:  # switched off by --set
                del self.space[name], self.default[name]
                continue
            low, high = min(self.space[name].low, value), max(self.space[name].high, value)
            self.space[name] = FloatDistribution(low, high, log=self.space[name].log)
        self.epochs, self.budget = config.epochs, options.budget(config.epochs)
        if self.budget < self.epochs:
            raise TuningError(
                f"tune.epochs must be at least the {self.epochs} epochs of one trial "
                f"of {cell['arm']}, got {self.budget}"
            )
        self.rare = _rare_classes(data) if options.objective == "rare" else []
        self.runs.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.runs / "driver.lock", timeout=0)
        try:
            self._lock.acquire()  # until close(): studies share a tuning
        except Timeout:
            raise TuningError(
                f"another process tunes {cell['arm']} with this data and recipe; wait for it"
            ) from None
        try:
            warmup = math.ceil(
                self.epochs * max(config.warmup_frac, float(config.loss_params.get("ramp", 0)))
            )
            self._open(open_storage(storage_url(out)), warmup)
            self.trials: dict[str, optuna.Trial] = {}  # run id -> under way
            self._reported: dict[str, int] = {}  # run id -> last epoch the pruner knows
            self._revive()
            if (spent := self.spent()) > self.budget:
                raise TuningError(
                    f"{self.name} has trained {spent} epochs of trials already, more than "
                    f"the budget of {self.budget}; give --set tune.epochs={spent} or more, "
                    "or --set tune.name=NEWNAME for another tuning"
                )
        except BaseException:
            self.close()
            raise

    def _open(self, storage: optuna.storages.BaseStorage, warmup: int) -> None:
        """Open or create the Optuna study; one that was made for something else is refused."""
        made_for = {
            "data": self.study.declaration["data"]["fingerprint"][:12],
            "objective": self.options.objective,
            "sampler": self.options.sampler,
            "pruner": self.options.pruner,
            "space": ", ".join(
                f"{name} {d.low:g} to {d.high:g}" for name, d in sorted(self.space.items())
            ),
        }
        if os.environ.get("OPTUNA_STORAGE"):  # one lock a folder: two of them must not mix
            made_for["folder"] = str(self.runs.resolve())
        known = {
            summary.study_name: summary
            for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
        }
        there = known.get(self.key)
        if there is not None:
            stored = {"direction": there.direction.name.lower(), **there.user_attrs}
            wanted = {"direction": "maximize", **made_for}
            if not there.n_trials:  # its driver may have died before it had said it all
                stored = {**wanted, **stored}
            if wrong := [k for k, v in wanted.items() if stored.get(k) != v]:
                raise TuningError(
                    f"the Optuna study {self.key} of {self.cell['arm']} was made for "
                    + "; ".join(f"{k} {stored.get(k)} (now {wanted[k]})" for k in wrong)
                    + "; give the same again, or --set tune.name=NEWNAME for another tuning"
                )
        # another name, such as the control's, is another search
        seed = int(digest(self.key)[:6], 16) + (there.n_trials if there else 0)
        self.optuna = optuna.create_study(
            study_name=self.key,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            sampler=make_sampler(self.options.sampler, seed),
            pruner=make_pruner(self.options.pruner, warmup, self.epochs),
        )
        if there is None or not there.n_trials:
            for name, value in made_for.items():
                self.optuna.set_user_attr(name, value)

    def _revive(self) -> None:
        """Queue the defaults first; queue what a dead driver left again, then close it.

        In an order that loses nothing and doubles nothing wherever it is cut off.
        """
        trials = self.optuna.get_trials(deepcopy=False)
        points = [self.default]
        for point in PUBLISHED.get(self.cell["values"]["loss"], []):
            point = {k: v for k, v in point.items() if k in self.space}
            if (full := self.default | point) not in points:
                points.append(full)
        queued = {t.user_attrs.get("point") for t in trials}
        for number, point in enumerate(points):
            if number not in queued:
                self.optuna.enqueue_trial(point, user_attrs={"point": number})
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                self._again(trial, trial.user_attrs.get("tries", 1))

    def _again(self, trial: FrozenTrial, tries: int) -> None:
        """Close a trial that was cut off, its settings queued once more."""
        retried = {t.user_attrs.get("retry_of") for t in self.optuna.get_trials(deepcopy=False)}
        if trial.number not in retried:
            params = trial.system_attrs.get("fixed_params", {}) | trial.params
            self.optuna.enqueue_trial(params, user_attrs={"retry_of": trial.number, "tries": tries})
        self.optuna.tell(trial.number, state=TrialState.FAIL)

    def close(self) -> None:
        """Let another process tune this arm."""
        self._lock.release()

    def counted(self) -> list[FrozenTrial]:
        """Trials that began and were not begun again: each setting that was tried, once."""
        trials = self.optuna.get_trials(deepcopy=False)
        retried = {t.user_attrs.get("retry_of") for t in trials}
        return [t for t in trials if t.state != TrialState.WAITING and t.number not in retried]

    def spent(self) -> int:
        """Epochs trained, or promised to a trial under way; a failed trial costs all of its own."""
        return sum(t.user_attrs.get("epochs", self.epochs) for t in self.counted())

    def n_left(self) -> int:
        """Whole trials that still fit into the budget."""
        return max(0, self.budget - self.spent()) // self.epochs

    def config(
        self, params: Mapping[str, float], role: str = "trial", number: int = 0
    ) -> RunConfig:
        """The run of one trial: what Optuna suggested reaches the loss under the same names.

        `number` counts the seeds of the role: a trial has one, a re-run several.
        """
        cell = {"values": {**self.cell["values"], "tuning": "tuned", **params}}
        return self.study.config(cell, SEED_RANGES[role].start + number, role=role)

    @property
    def name(self) -> str:
        return tuning_name(self.cell["arm"], self.options.name)

    def jobs(self, prepare: Callable[[RunConfig], RunConfig], commit: str) -> Iterator[Job]:
        """Trials until no whole one fits into the budget, one at a time as workers become free."""
        while self.n_left():
            trial = self.optuna.ask(self.space)
            config = prepare(self.config(trial.params))
            run_dir = RunDir(self.runs / config.run_id)
            trial.set_user_attr("run_id", config.run_id)
            if config.run_id in self.trials:  # the very same settings are being tried
                self._tell(trial, None)
                continue
            for row in run_dir.epochs():  # of an attempt that was cut off
                self._report(trial, config.run_id, row)
            if state_of(run_dir) in TERMINAL:
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
        configs = [self.config(trial.params, "rerank", i) for i in range(N_RERANK_SEEDS)]
        return [(config, RunDir(self.runs / config.run_id)) for config in configs]

    def rerank_jobs(self, prepare: Callable[[RunConfig], RunConfig], commit: str) -> Iterator[Job]:
        """The candidates' runs that are missing; nothing before the trials are done."""
        if self.n_left() or self.trials:
            return
        for trial in self.candidates():
            for config, run_dir in self.rerank_runs(trial):
                if state_of(run_dir) not in TERMINAL:
                    name = f"{self.name} trial {trial.number} again"
                    yield Job(prepare(config), name, run_dir.path, commit)

    def take(self, event: Event, executor: LocalExecutor) -> None:
        """Report an epoch to the pruner, or close the trial when its run ended."""
        run_id = event.job.config.run_id
        if run_id not in self.trials:
            return
        trial = self.trials[run_id]
        if event.kind == "epoch":
            if (
                self._report(trial, run_id, event.row)
                and event.row["epoch"] < event.job.config.epochs
                and trial.should_prune()
            ):
                executor.stop(run_id, "pruned")
            return
        run_dir = RunDir(event.job.path)
        if event.kind == "stopped" and event.row.get("reason") == "pruned":
            run_dir.append("pruned", epoch=run_dir.epochs()[-1]["epoch"])
            run_dir.drop_checkpoints()
        if event.kind in ("finished", "failed", "died") or run_dir.state() == "pruned":
            self._tell(self.trials.pop(run_id), run_dir)

    def _report(self, trial: optuna.Trial, run_id: str, row: Mapping) -> bool:
        """Tell the pruner of an epoch it does not know; False when there is nothing to tell."""
        value = self._value(row["metrics"])
        if math.isnan(value) or row["epoch"] <= self._reported.get(run_id, 0):
            return False
        trial.report(value, row["epoch"])
        self._reported[run_id] = row["epoch"]
        return True

    def _value(self, metrics: Mapping[str, float | None]) -> float:
        """The objective at one epoch; NaN where dev was not evaluated or shows nothing of it."""
        if not self.rare:
            value = metrics.get("dev/miou")
            return math.nan if value is None else value
        found = [metrics.get(f"dev/iou/{name}") for name in self.rare]
        found = [value for value in found if value is not None]
        return float(np.mean(found)) if found else math.nan

    def objective(self, run_dir: RunDir) -> float:
        """Mean over the last evaluations, not the best epoch: less lucky. NaN where undefined."""
        values = [self._value(row["metrics"]) for row in run_dir.epochs()]
        values = [value for value in values if not math.isnan(value)]
        return float(np.mean(values[-LAST_EVALUATIONS:])) if values else math.nan

    def _tell(self, trial: optuna.Trial, run_dir: RunDir | None) -> None:
        """Close a trial by what became of its run.

        A run that was killed gets one more chance, one that met a full disk any number.
        """
        state = state_of(run_dir) if run_dir else "twin"
        if state == "finished" and not math.isnan(value := self.objective(run_dir)):
            self.optuna.tell(trial, value)
        elif state in ("pruned", "twin"):
            trial.set_user_attr("epochs", run_dir.epochs()[-1]["epoch"] if run_dir else 1)
            self.optuna.tell(trial, state=TrialState.PRUNED)
        elif state in ("new", "dead") and (
            (tries := trial.user_attrs.get("tries", 1) + (not met_full_disk(run_dir))) <= 2
        ):
            frozen = self.optuna.get_trials(deepcopy=False)[trial.number]
            self._reported.pop(trial.user_attrs["run_id"], None)
            self._again(frozen, tries)
        else:
            run_dir.drop_checkpoints()
            self.optuna.tell(trial, state=TrialState.FAIL)

    def missing(self) -> str:
        """Why there is no result yet; "" when there can be one."""
        if n := self.n_left() + len(self.trials):
            return f"{n} trials of {self.name} are not done"
        dead = [
            run_dir.run_id
            for trial in self.candidates()
            for _, run_dir in self.rerank_runs(trial)
            if state_of(run_dir) not in TERMINAL
        ]
        return f"{len(dead)} re-runs of {self.name} are not done" if dead else ""

    def finish(self) -> dict:
        """Write the result; call when nothing is `missing`.

        Chosen is the candidate with the highest mean over its re-runs. The value at selection is
        among the best of many and too high (the winner's curse); that of the re-runs, the best of
        five, less so. A candidate with a failed re-run is dropped.
        Raises: TuningError when no trial was completed.
        """
        counts = Counter(t.state.name.lower().replace("fail", "failed") for t in self.counted())
        done = self.optuna.get_trials(states=(TrialState.COMPLETE,))
        if not done:
            raise TuningError(
                f"{self.name}: no trial was completed, got "
                f"{', '.join(f'{n} {state}' for state, n in counts.items())}; see "
                "their reasons in MLflow or their journals"
            )
        again, candidates = {}, self.candidates()
        for trial in candidates:
            runs = [run_dir for _, run_dir in self.rerank_runs(trial)]
            values = [self.objective(run) for run in runs if run.state() == "finished"]
            if len(values) == N_RERANK_SEEDS and not np.isnan(values).any():
                again[trial.number] = float(np.mean(values))
        if not again:
            raise TuningError(f"{self.name}: no candidate finished its re-runs")
        best = self.optuna.trials[max(again, key=again.get)]
        default = [t.value for t in done if t.params == self.default]
        result = {
            "key": self.key,
            "arm": self.cell["arm"],
            "params": best.params,
            "budget_epochs": self.budget,
            "epochs": self.spent(),
            "objective": self.options.objective,
            "sampler": self.options.sampler,
            "pruner": self.options.pruner,
            "trials": dict(sorted(counts.items())),
            "dev_selected": best.value,
            "dev_rerank": again[best.number],
            "default_dev": default[0] if default else None,
            "trial": best.number,
            "candidates": {str(number): value for number, value in again.items()},
            "dropped": len(candidates) - len(again),
            "importances": self._importances(),
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

    def figures(self) -> None:
        """Draw the history of the trials and a slice per parameter, as PNG files."""
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        import optuna.visualization.matplotlib as draw
        from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

        for name, function in (
            ("history", draw.plot_optimization_history),
            ("slice", draw.plot_slice),
        ):
            with warnings.catch_warnings(), matplotlib.rc_context({"figure.autolayout": False}):
                warnings.simplefilter("ignore")
                axes = function(self.optuna, target_name=f"dev {self.options.objective}")
                figure = np.ravel(axes)[0].figure
                for one in figure.axes:
                    if one.get_xscale() == "log":  # labels of the minor ticks would overlap
                        one.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                        one.xaxis.set_major_formatter(ScalarFormatter())
                        one.xaxis.set_minor_formatter(NullFormatter())
                path = self.runs / f"{name}.png"
                atomic_write(
                    path,
                    lambda part, f=figure: f.savefig(
                        part, format="png", dpi=100, bbox_inches="tight"
                    ),
                )
            plt.close(figure)


def met_full_disk(run_dir: RunDir) -> bool:
    """Whether a run ended because the disk was full, which is no fault of its settings."""
    return bool((run_dir.last_row() or {}).get("disk_full"))


def state_of(run_dir: RunDir) -> str:
    """The state of a trial's run; one that a full disk ended is to be gone on with."""
    return "dead" if met_full_disk(run_dir) else run_dir.state()


def _rare_classes(data: Mapping) -> list[str]:
    """The rarest third of the classes in fit, of those that dev shows, without background."""
    share = [
        fit if dev > 0 else 0.0
        for fit, dev in zip(data["pixel_share"]["fit"], data["pixel_share"]["dev"], strict=True)
    ]
    rare = terciles(share, exclude=(0,) if data["background"] else ())["rare"]
    if not rare:
        raise TuningError(
            "tune.objective=rare must have two classes in dev besides the "
            "background, got fewer; use miou"
        )
    return [data["classes"][index] for index in rare]
