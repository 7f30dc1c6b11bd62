"""Beginning a tuning, or going on with one: everything that may refuse it, one step each.

What a tuning does is `search`'s.
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from filelock import FileLock, Timeout

from study.config import SEED_RANGES, RunConfig
from study.record import Cell, TuningPlace, files
from study.record.inside import check_file
from study.study import Study
from study.tuning import owner, trials
from study.tuning.database import make_pruner, open_study
from study.tuning.options import TuneOptions, TuningError
from study.tuning.outcome import rare_classes
from study.tuning.result import place_of
from study.tuning.search import Tuning
from study.tuning.space import Space, first_points, space_of


def open_tuning(out: Path, study: Study, cell: Cell, options: TuneOptions) -> Tuning:
    """Begin the tuning of an arm, or go on with it; no other process may until it is closed.

    Raises: TuningError when there is nothing to tune, the budget is smaller than a trial or than
        what is spent, another process tunes the arm, or Optuna's storage does not answer or holds
        another tuning of that name.
    """
    data = study.declaration.data
    config = study.config(cell, SEED_RANGES["trial"].start, role="trial")
    space, default = space_of(cell, config, data.background)
    if options.budget(config.epochs) < config.epochs:
        raise TuningError(
            f"tune.epochs must be at least the {config.epochs} epochs of one trial of {cell.arm}, "
            f"got {options.budget(config.epochs)}"
        )
    rare = rare_classes(data) if options.objective == "rare" else []
    place = place_of(out, study, cell, options.name)
    with contextlib.ExitStack() as undo:
        lock = _locked(place)
        undo.callback(lock.release)
        pruner = make_pruner(options.pruner, _warmup(config), config.epochs)
        made_for = _made_for(data.fingerprint, options, space)
        shared = os.environ.get("OPTUNA_STORAGE")  # the database of `<out>` is in no other folder
        for end in ("", "-journal", "-wal", "-shm"):
            check_file(out / files.TUNING / f"optuna.db{end}")  # SQLite would follow a link
        found = open_study(place, options.sampler, pruner, made_for)
        token = owner.claim(place, found) if shared else ""
        trials.queue(found, first_points(cell.loss, default))
        tuning = Tuning(
            study, cell, options, place, space, default, config.epochs, rare, found, lock, token
        )
        _check_spent(tuning)
        undo.pop_all()
    return tuning


def _locked(place: TuningPlace) -> FileLock:
    """The lock of a tuning, held: studies share a tuning."""
    place.runs.mkdir(parents=True, exist_ok=True)
    check_file(place.runs / files.DRIVER_LOCK)
    lock = FileLock(place.runs / files.DRIVER_LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise TuningError(
            f"another process tunes {place.arm} with this data and recipe; wait for it"
        ) from None
    return lock


def _warmup(config: RunConfig) -> int:
    """Epochs in which a trial says nothing yet: the rate rises, or a term of the loss."""
    ramp = float(config.loss_params.get("ramp", 0))
    return math.ceil(config.epochs * max(config.warmup_frac, ramp))


def _made_for(fingerprint: str, options: TuneOptions, space: Space) -> dict[str, str]:
    """What an Optuna study is for, and no other."""
    ranges = (f"{name} {d.low:g} to {d.high:g}" for name, d in sorted(space.items()))
    return {
        "data": fingerprint[:12],
        "objective": options.objective,
        "sampler": options.sampler,
        "pruner": options.pruner,
        "space": ", ".join(ranges),
    }


def _check_spent(tuning: Tuning) -> None:
    if (spent := tuning.spent()) > tuning.budget:
        raise TuningError(
            f"{tuning.place.title} has trained {spent} epochs of trials already, more than "
            f"the budget of {tuning.budget}; give --set tune.epochs={spent} or more, "
            "or --set tune.name=NEWNAME for another tuning"
        )
