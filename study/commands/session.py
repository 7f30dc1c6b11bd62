"""Session: what a command works on, made from a Request and checked before anything starts."""

from __future__ import annotations

import math
import os
import subprocess
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from study.commands.budget import Choice, Limits, applied, choose_budget, told
from study.commands.choice import choose, chosen_seeds, only_values, without_tuning
from study.commands.console import step
from study.commands.name import study_name
from study.commands.prepared import Prepared, prepare_data
from study.commands.request import Request
from study.commands.settings import Settings, read_settings
from study.config import ConfigError, RunConfig
from study.continuing import open_or_create
from study.declare import declare
from study.describe import describe_data
from study.execution import preflight
from study.execution.batches import check_batches
from study.execution.forecast import Forecaster, schedule_s
from study.execution.parts import split_data
from study.matrix import Matrix
from study.presets import steps_an_epoch
from study.record import Budget, Cell, Given, files
from study.study import Study, StudyError, check_values, load
from study.tuning.result import tuned_values


@dataclass
class Session:
    """A study, and the runs of it that are chosen."""

    request: Request
    settings: Settings
    study: Study
    n_seeds: int
    device: str
    store_path: Path
    commit: str
    weights_paths: dict[str, str] = field(default_factory=dict)  # classifier -> file

    @property
    def out(self) -> Path:
        return self.request.out

    @property
    def length(self) -> list[str]:
        """How long a run is by the recipe, and what a budget chose, a line each."""
        declared = self.study.declaration
        epochs, batch = (int(str(declared.recipe[name])) for name in ("epochs", "batch_size"))
        steps = epochs * steps_an_epoch(declared.data.n_images["fit"], batch)
        lines = [f"a run: {steps:,} steps of {batch} crops ({epochs:,} epochs)"]
        return lines + ([declared.budget.sentence] if declared.budget else [])

    def cells(self) -> list[Cell]:
        """The cells that --only chooses."""
        return choose(self.study.cells, self.request.only)

    def default_cells(self) -> list[Cell]:
        """As `cells`, before tuned cells exist."""
        only = self.request.only
        return choose(self.study.cells, without_tuning(only) if self.settings.tuned else only)

    def seeds(self) -> list[int]:
        """The seeds that --seeds and --only choose."""
        return chosen_seeds(self.request.only, self.n_seeds)

    def runs(self) -> list[tuple[Cell, int]]:
        """The chosen (cell, seed), all arms of a seed before the next seed."""
        return [(cell, seed) for seed in self.seeds() for cell in self.cells()]

    @property
    def n_workers(self) -> int:
        """Runs at once: as asked, else one a core (but no more than runs), or 1 on a GPU."""
        if self.request.workers or self.device != "cpu":
            return self.request.workers or 1
        n_runs = len(self.seeds()) * len(self.cells())
        return n_cores() if self.request.verb == "tune" else min(n_cores(), n_runs)

    def place(self, config: RunConfig) -> RunConfig:
        """The same run, told where it works."""
        where: dict[str, typing.Any] = {
            "device": self.device,
            "threads": max(1, n_cores() // self.n_workers),
            "store": str(self.store_path),
            "weights_path": self.weights_paths.get(config.classifier, ""),  # "" while planning
        }
        return replace(config, **(where | dict(self.settings.environment)))

    def resolve_weights(self) -> None:
        """Find or download the pretrained weights that the chosen runs need, one an encoder."""
        configs = [
            self.study.config(cell, 0, **self.study.stand_in(cell))
            for cell in self.default_cells()
            if cell.values["init"] == "pretrained"
        ]
        wanted = {(config.model, config.classifier): config for config in configs}
        for (_, classifier), config in wanted.items():
            weights = preflight.prepare_weights(self.study.declaration.pretrained, config)
            self.weights_paths[classifier] = str(weights.path)
            self.study.set_weights(classifier, weights.source, weights.sha256)

    def add_tuned_cells(self) -> None:
        """`tuning=tuned`: the chosen default cells get a tuned sister in the declaration."""
        if not self.settings.tuned or only_values(self.request.only).get("tuning") == {"default"}:
            return
        cells = [cell for cell in self.default_cells() if not cell.tuned]
        if unready := [cell.arm for cell in cells if not self.study.resolvable(cell)]:
            raise StudyError(
                f"tuned cells of {', '.join(unready)} are known once --grid or --tune has "
                "prepared the pretrained weights"
            )
        self.study.add_tuned(tuned_values(self.out, self.study, cells, self.settings.tune.name))


def n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def git_commit() -> str:
    """The commit of this checkout, `+` when files of it are changed; "" outside git."""
    here = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:  # a folder of data or outputs that git does not know changes no code
        changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return ""


def open_session(request: Request, matrix: Matrix, console: Console) -> Session:
    """Read the settings, the data and the study; nothing is written but data caches.

    Raises: ValueError kinds whose message is one line for the user.
    """
    settings = read_settings(request, _losses(request.matrix, matrix))
    if matrix.tuned and request.verb != "tune":
        settings = replace(settings, tuned=True)
    path = request.out / study_name(request)
    device = preflight.resolve_device(request.device)
    data = prepare_data(request, settings, device, console)
    declared = partial(_declare, path, request, matrix, settings, data)
    budget = None
    if request.budget:
        there = (path / files.STUDY).exists() and load(path).declaration.budget
        budget = there if there and there.text == request.budget else None
        budget = budget or _fit(request, matrix, settings, data, device, declared, console)
    fresh = declared(budget)
    n_seeds = request.seeds or (budget.n_seeds if budget else data.preset.n_seeds)
    _check_only(request.only, fresh, settings.tuned, n_seeds)
    study, _ = open_or_create(fresh, given=frozenset(settings.recipe))
    session = Session(
        request, settings, study, n_seeds, device, data.store.path, commit=git_commit()
    )
    cells = session.default_cells()
    configs = [study.config(cell, 0, **study.stand_in(cell)) for cell in cells]
    preflight.check_crops(configs, study.n_classes)
    check_batches(configs, lambda config: len(split_data(data.store, config).fit))
    return session


def _fit(
    request: Request,
    matrix: Matrix,
    settings: Settings,
    data: Prepared,
    device: str,
    declared: Callable[[Budget], Study],
    console: Console,
) -> Budget:
    """What of the matrix fits into --budget, by timed steps of the runs that --only chooses."""
    text = str(request.budget)
    steps = data.preset.least_steps, settings.steps or data.preset.steps_on(device)
    if settings.steps or "epochs" in settings.recipe:
        steps = data.steps, data.steps
    seeds = (
        (request.seeds,) * 2
        if request.seeds
        else (min(2, data.preset.n_seeds), data.preset.n_seeds)
    )
    limits = Limits(seeds=seeds, steps=(min(steps), steps[1]))
    forecasters: dict[int, Forecaster] = {}

    def told_as(choice: Choice) -> Budget:
        savings, _ = applied(matrix.spend[: choice.n_savings], data.recipe)
        return told(text, limits, choice, savings)

    def cost(choice: Choice) -> float:
        study = declared(told_as(choice))
        trial = Session(request, settings, study, choice.seeds, device, data.store.path, commit="")
        try:
            runs = trial.runs()
        except ConfigError:  # nothing is left of what --only chooses
            return math.inf
        configs = [trial.place(study.config(c, seed, **study.stand_in(c))) for c, seed in runs]
        n = trial.n_workers
        forecaster = forecasters.setdefault(n, Forecaster(data.store, n))
        return schedule_s((forecaster.cost(one).seconds for one in configs), n)

    with step(console, f"timing steps for --budget {text}"):
        return told_as(choose_budget(text, limits, len(matrix.spend), cost))


def _declare(
    path: Path,
    request: Request,
    matrix: Matrix,
    settings: Settings,
    data: Prepared,
    budget: Budget | None,
) -> Study:
    typed = dict(settings.recipe) | dict(settings.loss_params)
    spent = matrix.spend[: budget.n_savings] if budget else ()
    savings, recipe = applied(spent, data.recipe)
    if budget and "epochs" not in settings.recipe:
        recipe["epochs"] = data.epochs(budget.steps)
    return declare(
        path,
        matrix_name=request.matrix,
        matrix=matrix,
        data=describe_data(data.store, data.folder, data.recipe),
        recipe=recipe,
        budget=budget,
        savings=savings,
        loss_params=settings.loss_params,
        pretrained=request.pretrained or data.preset.pretrained,
        given=Given(data=request.data, set=typed),
    )


def _losses(name: str, matrix: Matrix) -> tuple[str, ...]:
    """The losses of a matrix, whose cells must say what they train."""
    try:
        points = matrix.expand()
        for point in points:
            check_values(point.values)
    except (TypeError, ValueError) as error:  # TypeError: a value that is none
        raise ConfigError(f"matrix {name} of runs.py cannot be read: {error}") from None
    return tuple(dict.fromkeys(str(point.values["loss"]) for point in points))


def _check_only(only: Sequence[str], fresh: Study, tuned: bool, n_seeds: int) -> None:
    """`--only` before the recipe: it must fit the study asked for or, with its tuned cells, the
    one that is stored under its name."""
    stored = load(fresh.path).cells if (fresh.path / files.STUDY).exists() else ()
    choose([*fresh.cells, *stored], without_tuning(only) if tuned else only)
    chosen_seeds(only, n_seeds)
