"""Opening a study: a Request read, its data prepared, everything checked before anything starts."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from seglib.data import Folder, Store
from study.commands.budget import choose_budget
from study.commands.choice import choose, chosen_seeds, without_tuning
from study.commands.console import step
from study.commands.name import study_name
from study.commands.request import Request
from study.commands.session import Session, git_commit
from study.commands.settings import Settings, read_settings
from study.config import ConfigError
from study.continuing import open_or_create
from study.declare import declare
from study.describe import describe_data, open_splits
from study.execution import preflight
from study.execution.batches import check_batches
from study.execution.parts import split_data
from study.matrix import Matrix
from study.presets import Preset, epochs_for, open_data, steps_on
from study.record import Budget, DataFacts, Given, files
from study.record.files import Scalar
from study.record.leftovers import sweep
from study.study import Study, check_values, load


@dataclass(frozen=True)
class Prepared:
    """A data set with its preset, the whole recipe, the decoded images."""

    folder: Folder
    preset: Preset
    recipe: dict[str, Scalar]
    store: Store
    least_epochs: int  # that a budget may go down to


def prepare_data(request: Request, settings: Settings, device: str, console: Console) -> Prepared:
    """Draw, download or find the data set called for, and decode it.

    The recipe's epochs are those given, else they follow from the steps, the recipe's batch_size
    and the number of fit images; arms that an axis gives another batch_size train the same epochs.
    """
    if line := sweep(request.out):
        console.print(f"note: {line}")
    with step(console, f"preparing {request.data}") as progress:
        folder, preset = open_data(request.data, request.out, device, progress)
    recipe = preflight.resolve_recipe(preset, settings.recipe, device)
    preflight.check_background(folder, recipe, settings.loss_params)
    note: Callable[[str], None] = partial(console.print, style="yellow")
    max_side = typing.cast("int | None", recipe["max_side"])  # its field says so
    with step(console, f"reading {folder.name}") as progress:
        store = preflight.prepare_store(folder, request.out, max_side, progress, note=note)
    n_fit, batch_size = len(open_splits(store, recipe)["fit"]), recipe["batch_size"]
    assert isinstance(batch_size, int)  # RunConfig's rule
    if "epochs" not in settings.recipe:
        steps = settings.steps or steps_on(preset, device)
        recipe["epochs"] = epochs_for(steps, n_fit, batch_size)
    least_epochs = epochs_for(settings.steps or preset.min_steps, n_fit, batch_size)
    return Prepared(folder, preset, recipe, store, least_epochs)


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
    matrix = matrix.shrinking(data.recipe, settings.recipe)
    facts = describe_data(data.store, data.folder, data.recipe)
    declared = partial(_declared, path, request, matrix, settings, data, facts)
    there = (path / files.STUDY).exists()
    budget = load(path).declaration.budget if there else None
    n_seeds = request.seeds or (budget.n_seeds if budget else data.preset.n_seeds)
    fresh = declared(budget)
    _check_only(request.only, fresh, settings.tuned, n_seeds)
    session = Session(request, settings, fresh, n_seeds, device, data.store.path, git_commit())
    if request.budget and not there:
        _check_runs(session, data.store)
        least = _least_epochs(settings, data)
        with step(console, f"timing what fits {request.budget}") as progress:
            session = choose_budget(session, matrix, declared, least, progress)
    kept = budget.given if budget and request.verb == "tune" else request.budget
    study, _ = open_or_create(session.study, given=frozenset(settings.recipe), budget=kept)
    session = replace(session, study=study)
    _check_runs(session, data.store)
    return session


def _least_epochs(settings: Settings, data: Prepared) -> int:
    """The fewest epochs that a budget may choose: those given, where they are."""
    epochs = typing.cast(int, data.recipe["epochs"])  # RunConfig's rule
    return epochs if "epochs" in settings.recipe else min(epochs, data.least_epochs)


def _check_runs(session: Session, store: Store) -> None:
    """What can be known of the chosen runs before one is begun."""
    study = session.study
    cells = session.default_cells()
    configs = [study.config(cell, 0, **study.stand_in(cell)) for cell in cells]
    preflight.check_crops(configs, study.n_classes)
    check_batches(configs, lambda config: len(split_data(store, config).fit))


def _declared(
    path: Path,
    request: Request,
    matrix: Matrix,
    settings: Settings,
    data: Prepared,
    facts: DataFacts,
    budget: Budget | None = None,
) -> Study:
    """The study that is asked for, as a budget changes it."""
    typed = dict(settings.recipe) | dict(settings.loss_params)
    recipe = data.recipe
    if settings.steps:
        typed["steps"] = settings.steps
    if budget:
        savings = [one for one in matrix.spend if one.reason in budget.savings]
        matrix = matrix.saved(savings, budget.given)
        if not {"epochs", "steps"} & typed.keys():
            recipe = recipe | {"epochs": budget.epochs}
    return declare(
        path,
        matrix_name=request.matrix,
        matrix=matrix,
        data=facts,
        recipe=recipe,
        loss_params=settings.loss_params,
        pretrained=request.pretrained or data.preset.pretrained,
        given=Given(data=request.data, set=typed),
        budget=budget,
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
