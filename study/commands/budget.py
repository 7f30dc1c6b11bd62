"""`--budget` on a new study: what of its matrix, seeds and steps fits, and that in lines."""

from __future__ import annotations

import time
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
from study.study import Study

LEAST_SEEDS = 2  # with one, seed noise is unknown
Savings = tuple[Saving, ...]
Declared = Callable[[Budget], Study]


def choose_budget(
    session: Session,
    matrix: Matrix,
    declared: Declared,
    least_epochs: int,
    progress: Callable[[int, int], None],
) -> Session:
    """The session with what fits its request's budget, of the runs that `--only` chooses.

    A saving that would leave out what `--only` names, or changes none of its runs, is not made.
    The time that timing takes is spent of the budget.
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
    record = partial(_record, session, matrix)
    tried: list[tuple[Savings, Study]] = []
    began = time.monotonic()

    def seconds(study: Study, n_seeds: int, epochs: int) -> float:
        return _seconds(session, study, n_seeds, epochs) + time.monotonic() - began

    def stages() -> Iterator[Callable[[int, int], float]]:
        for one in _stages(session, matrix, lambda s: declared(record(s, seeds[0], least_epochs))):
            progress(len(tried), len(matrix.spend) + 1)
            tried.append(one)
            yield partial(seconds, one[1])

    given = typing.cast(str, session.request.budget)
    stage, n_seeds, epochs = fitting(given, stages(), seeds, (least_epochs, most_epochs))
    savings, study = tried[stage]
    budget = record(savings, n_seeds, epochs, _seconds(session, study, n_seeds, epochs))
    return replace(session, study=declared(budget), n_seeds=n_seeds)


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


def _seconds(session: Session, study: Study, n_seeds: int, epochs: int) -> float:
    """The forecast of the chosen runs of a study."""
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
    n_seeds: int,
    epochs: int,
    seconds: float = 0.0,
) -> Budget:
    """A choice as study.json holds it, without the savings that others make needless."""
    whole = session.study.declaration
    most_epochs = typing.cast(int, whole.recipe["epochs"])  # RunConfig's rule
    given = typing.cast(str, session.request.budget)
    points = matrix.saved(savings, given).expand()
    arms = {cell.arm: cell.levels for cell in whole.cells}
    left_out: dict[str, tuple[str, ...]] = {}
    narrowed: dict[str, Saving] = {}
    for one in savings:
        if not one.set:
            left_out[one.reason] = tuple(a for a in arms if matches(arms[a], one.where))
            arms = {a: levels for a, levels in arms.items() if a not in left_out[one.reason]}
        elif any(matches(point.levels, one.where) for point in points):
            narrowed |= dict.fromkeys(one.set, one)
    kept = [one.reason for one in savings if not one.set or one in narrowed.values()]
    return Budget(
        given=given,
        n_seeds=n_seeds,
        most_seeds=session.n_seeds,
        epochs=epochs,
        steps=whole.steps // most_epochs * epochs,
        most_steps=whole.steps,
        savings=tuple(kept),
        narrowed={name: one.set[name] for name, one in narrowed.items()},
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
