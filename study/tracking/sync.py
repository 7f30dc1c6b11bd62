"""Sends by hand what MLflow is missing of a study, from its directories alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from study.errors import shown
from study.study import Study
from study.tracking.projection import Projection
from study.tracking.store import TrackingError, reason

# Called with arms; gives each arm's "n", "<metric>/mean", ...
ValuesOf = Callable[[Sequence[str]], Mapping[str, Mapping[str, float]]]


@dataclass
class Synced:
    """What `sync` did: runs looked at, runs that lacked something, runs that could not be read."""

    n_runs: int = 0
    n_sent: int = 0
    problems: list[str] = field(default_factory=list)


def sync(
    study: Study,
    out: Path,
    aggregate: ValuesOf,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Synced:
    """Send what MLflow is missing of a study: runs, trials, the arms' values, declaration, report.

    A run that cannot be read is a line in `problems`; the others are sent.
    Raises: TrackingError when the store is lost.
    """
    projection, result = Projection(study, out), Synced()
    runs = [(path, None) for path in projection.finals()] + projection.trials()
    result.n_runs = len(runs)
    attempt = partial(_attempt, projection, result)
    for number, (path, place) in enumerate(runs, 1):
        call = partial(projection.run, path, place)
        result.n_sent += attempt(f"run {path.name}", call)
        progress(number, len(runs))
    attempt("the arms' values", partial(_arms, projection, aggregate))
    for place in projection.tunings():
        attempt(place.title, partial(projection.tuning, place))
    attempt("study", projection.files)
    attempt("report", projection.report)
    return result


def _attempt(projection: Projection, result: Synced, name: str, call: Callable[[], object]) -> bool:
    """Whether a call sent something; its failure is a problem, the store's an error."""
    try:
        return bool(call())
    except Exception as error:  # of this call, or of the store: the store is asked
        why = reason(error)
    try:
        projection.experiment.reconnect()
    except Exception as error:
        raise TrackingError(
            f"tracking store {shown(projection.experiment.uri)} was lost after {result.n_sent} "
            f"runs had been sent, got: {shown(reason(error))}; run --sync again"
        ) from None
    result.problems.append(f"{name}: {shown(why)}")
    return False


def _arms(projection: Projection, aggregate: ValuesOf) -> None:
    cells = projection.study.cells
    by_arm = aggregate([cell.arm for cell in cells])
    for cell in cells:
        values = by_arm[cell.arm]
        if values["n"] or projection.experiment.has_parent(cell.arm):
            projection.arm(cell, values)
