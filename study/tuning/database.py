"""Optuna's storage, and the Optuna study of one arm in it, with its sampler and pruner.

Knows nothing of runs; a study there that was made for something else is refused here.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import optuna
import sqlalchemy
import sqlalchemy.exc
from filelock import FileLock

from study.addresses import database_address, sqlite_path, sqlite_url, tables_of
from study.errors import one_line, shown
from study.record import TuningPlace, files
from study.tuning.options import TuningError
from study.values import digest

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

N_STARTUP = 5  # trials before the median prunes, and before a sampler learns from them
LOCK_S = 60.0  # while another process makes Optuna's tables, or writes
N_TRIES, AGAIN_S = 5, 1.0  # where two processes make the tables of a server at once
TABLES = {"studies", "trials", "version_info"}  # Optuna's, among others
STORAGE_ERRORS = (optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError)


def storage_url(out: Path) -> str:
    """OPTUNA_STORAGE where set, else SQLite in the output folder.

    Raises: AddressError when nothing can be reached by what is set.
    """
    given = os.environ.get("OPTUNA_STORAGE")
    if given:
        return database_address(given, "OPTUNA_STORAGE")
    return sqlite_url(out / files.TUNING / "optuna.db")


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Optuna's database; a locked SQLite file is waited for, one minute.

    Raises: TuningError in one line when it cannot be opened.
    """
    path = sqlite_path(url)
    try:
        if path is None:
            return _on_server(url)
        # one process at a time: of two that make the tables one would fail
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_S):
            _check_tables(path)
            return optuna.storages.RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": LOCK_S}}
            )
    except TuningError:
        raise
    except (*STORAGE_ERRORS, ImportError, OSError, ValueError, RuntimeError) as error:
        raise TuningError(
            f"Optuna's storage {shown(url)} must be a database that answers, got: "
            f"{one_line(error)}; {_remedy(str(error))}"
        ) from None


def _on_server(url: str) -> optuna.storages.BaseStorage:
    """A storage whose tables another process may be making: then it is tried again."""
    engine = sqlalchemy.create_engine(url)
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()
    if tables >= {"experiments", "runs"}:  # both keep their schema's version in one table
        raise TuningError(
            f"Optuna's storage {shown(url)} must be a database of its own, got MLflow's; make "
            "another (createdb NAME) and set OPTUNA_STORAGE to it"
        )
    for _ in range(N_TRIES - 1):
        with contextlib.suppress(sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
            return optuna.storages.RDBStorage(url)
        time.sleep(AGAIN_S)
    return optuna.storages.RDBStorage(url)


def _check_tables(path: Path) -> None:
    """Refuse a file that holds other tables, before Optuna adds its own to them."""
    there = tables_of(path)
    if there and there[0] and not there[0] & TABLES:  # some of them: a kill, Optuna makes the rest
        whose = "MLflow's" if "experiments" in there[0] else f"{', '.join(sorted(there[0])[:4])}"
        raise TuningError(
            f"Optuna's storage {path} must hold Optuna's tables, got {whose}; give it a file of "
            "its own"
        )


def _remedy(text: str) -> str:
    if "storage upgrade" in text:
        return 'keep a copy, then run: optuna storage upgrade --storage "$OPTUNA_STORAGE"'
    if "updating optuna" in text:
        return "a newer Optuna made it: pip install -U optuna"
    return "mend it or set OPTUNA_STORAGE"


def make_sampler(kind: str, seed: int) -> optuna.samplers.BaseSampler:
    """`tpe` (multivariate, with constant liar: Optuna's defaults since 5.0), `gp` or `random`."""
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=N_STARTUP)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_STARTUP)


def make_pruner(kind: str, warmup: int, epochs: int) -> optuna.pruners.BasePruner:
    """`median`, `hyperband` or `none`; none of them stops a trial within its warm-up."""
    if kind == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=warmup + 1, max_resource=epochs)
    if kind == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=N_STARTUP, n_warmup_steps=warmup + 1)


def open_study(
    place: TuningPlace, sampler: str, pruner: optuna.pruners.BasePruner, made_for: Mapping[str, str]
) -> optuna.Study:
    """Open or create the Optuna study of a tuning; `made_for` is kept with it.

    Raises: TuningError when the storage does not answer, or the study there was made for
        something else.
    """
    storage = open_storage(storage_url(place.out))
    known = {
        summary.study_name: summary
        for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
    }
    there = known.get(place.key)
    if there is not None:
        _check_made_for(place, there, made_for)
    # another name, such as the control's, is another search
    seed = int(digest(place.key)[:6], 16) + (there.n_trials if there else 0)
    study = optuna.create_study(
        study_name=place.key,
        storage=storage,
        direction="maximize",
        load_if_exists=True,
        sampler=make_sampler(sampler, seed),
        pruner=pruner,
    )
    if there is None or not there.n_trials:
        for name, value in made_for.items():
            study.set_user_attr(name, value)
    return study


def _check_made_for(
    place: TuningPlace, there: optuna.study.StudySummary, made_for: Mapping[str, str]
) -> None:
    stored = {"direction": there.direction.name.lower(), **there.user_attrs}
    wanted = {"direction": "maximize", **made_for}
    if not there.n_trials:  # its driver may have died before it had said it all
        stored = {**wanted, **stored}
    if wrong := [k for k, v in wanted.items() if stored.get(k) != v]:
        raise TuningError(
            f"the Optuna study {place.key} of {place.arm} was made for "
            + "; ".join(f"{k} {stored.get(k)} (now {wanted[k]})" for k in wrong)
            + "; give the same again, or --set tune.name=NEWNAME for another tuning"
        )
