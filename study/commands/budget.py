"""`--budget` on a new study: what of its matrix, seeds and steps fits, and that in lines."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from study.budget import fitting
from study.commands.session import Session
from study.config import ConfigError
from study.execution.forecast import schedule_s
from study.levels import matches
from study.matrix import Matrix, Saving
from study.record import Budget, Cell
from study.record.files import Scalar
from study.study import Study

LEAST_SEEDS = 2  # with one, seed noise is unknown
Savings = tuple[Saving, ...]
Declared = Callable[[Budget], Study]


def choose_budget(
    session: Session, matrix: Matrix, declared: Declared, least_epochs: int
) -> Session:
    """The session with what fits its request's budget, of the runs that `--only` chooses.

    A saving that would leave out what `--only` names, or changes none of its runs, is not made.
    Args:
        session: of the study as it is without a budget.
        declared: the study that a budget makes of it.
    Raises: ConfigError with the smallest budget that fits; TimingError when a run does not work.
    """
    if session.settings.tuned:
        raise ConfigError(
            "--budget chooses before anything is tuned; make the study with it, then --tune, then "
            "give tuning=tuned"
        )
    most_epochs = typing.cast(int, session.study.declaration.recipe["epochs"])
    seeds = session.request.seeds or min(LEAST_SEEDS, session.n_seeds), session.n_seeds
    least = partial(_record, session, matrix, n_seeds=seeds[0], epochs=least_epochs)
    tried: list[Savings] = []

    def stages() -> Iterator[Callable[[int, int], float]]:
        for savings, study in _stages(session, matrix, lambda s: declared(least(s))):
            tried.append(savings)
            yield partial(_seconds, replace(session, study=study))

    given = typing.cast(str, session.request.budget)
    found = fitting(given, stages(), seeds, (least_epochs, most_epochs))
    budget = _record(
        session,
        matrix,
        tried[found.stage],
        n_seeds=found.n_seeds,
        epochs=found.epochs,
        seconds=found.seconds,
    )
    return replace(session, study=declared(budget), n_seeds=found.n_seeds)


def _stages(
    session: Session, matrix: Matrix, declared: Callable[[Savings], Study]
) -> Iterator[tuple[Savings, Study]]:
    """The study with more and more savings."""
    savings: Savings = ()
    cells = session.cells()
    yield savings, session.study
    for saving in matrix.spend:
        more = (*savings, saving)
        if not matrix.saved(more, "").expand():
            continue
        study = declared(more)
        try:
            left = replace(session, study=study).cells()
        except ConfigError:  # --only names what would be gone
            continue
        if _values(left) != _values(cells):
            savings, cells = more, left
            yield savings, study


def _values(cells: list[Cell]) -> list[dict]:
    return [cell.values for cell in cells]


def _seconds(session: Session, n_seeds: int, epochs: int) -> float:
    """The forecast of the chosen runs."""
    study = session.study
    recipe = study.declaration.recipe | {"epochs": epochs}
    study = Study(study.path, study.declaration.having(recipe=recipe))
    session = replace(session, study=study, n_seeds=n_seeds)
    forecaster = session.forecaster()
    costs = [forecaster.cost(config).seconds for config in session.configs()]
    return schedule_s(costs, session.n_workers)


def _record(
    session: Session,
    matrix: Matrix,
    savings: Savings,
    *,
    n_seeds: int,
    epochs: int,
    seconds: float = 0.0,
) -> Budget:
    """A choice as study.json holds it."""
    whole = session.study.declaration
    most_epochs = typing.cast(int, whole.recipe["epochs"])
    given = typing.cast(str, session.request.budget)
    points = matrix.saved(savings, given).expand()
    left = [cell.arm for cell in whole.cells]
    left_out: dict[str, tuple[str, ...]] = {}
    narrowed: dict[str, Scalar] = {}
    for one in savings:
        if one.set:
            there = any(matches(point.levels, one.where) for point in points)
            narrowed |= one.set if there else {}
            continue
        gone = [arm for arm in left if matches(whole.cell(arm).levels, one.where)]
        left_out[one.reason] = tuple(gone)
        left = [arm for arm in left if arm not in gone]
    return Budget(
        given=given,
        n_seeds=n_seeds,
        most_seeds=session.n_seeds,
        epochs=epochs,
        steps=whole.steps // most_epochs * epochs,
        most_steps=whole.steps,
        savings=tuple(one.reason for one in savings),
        narrowed=narrowed,
        left_out=left_out,
        forecast_s=seconds,
    )


def budget_lines(study: Study, n_seeds: int) -> list[str]:
    """How long a run is and how many there are of an arm, by the recipe; what a budget chose."""
    declared = study.declaration
    epochs, batch_size = declared.recipe["epochs"], declared.recipe["batch_size"]
    line = (
        f"budget: {declared.steps} steps of {batch_size} crops a run ({epochs} "
        f"epoch{'s' * (epochs != 1)}), {n_seeds} seed{'s' * (n_seeds != 1)}"
    )
    return [line, *([declared.budget.words] if declared.budget else [])]
