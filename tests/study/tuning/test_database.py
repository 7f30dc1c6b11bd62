"""Samplers, pruners and storage: what they are worth, and what is refused."""

import contextlib
import math
import multiprocessing
import os
import sqlite3

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from study.tuning import database
from study.tuning.database import make_pruner, make_sampler
from study.tuning.options import TuningError
from study.tuning.space import search_space
from tests.study.tuning.pretend import begin


@pytest.mark.parametrize("kind", ["median", "hyperband", "none"])
def test_nothing_is_pruned_within_the_warm_up(kind):
    study = optuna.create_study(
        direction="maximize", pruner=make_pruner(kind, 4, 12), sampler=make_sampler("random", 0)
    )
    ended = []
    for number in range(30):
        trial = study.ask()
        for epoch in range(1, 13):
            trial.report((1 - number / 30) * epoch, epoch)  # each worse than all before
            if trial.should_prune():
                ended.append(epoch)
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, 1 - number / 30)
    assert (not ended) if kind == "none" else (len(ended) >= 5 and min(ended) > 4)


@pytest.mark.slow
def test_the_search_halves_the_regret_of_random_search():
    """On a cheap objective in five dimensions, median over 20 repeats, the space of a loss."""
    space = search_space("focal_tversky_bce", True)
    assert len(space) == 5

    def unit(name, value):
        d = space[name]
        if d.log:
            return math.log(value / d.low) / math.log(d.high / d.low)
        return (value - d.low) / (d.high - d.low)

    def regret(kind, seed):
        study = optuna.create_study(direction="maximize", sampler=make_sampler(kind, seed))
        best = np.random.default_rng(seed).uniform(0.2, 0.8, 5)
        for _ in range(40):
            trial = study.ask(space)
            at = [unit(name, trial.params[name]) for name in space]
            study.tell(trial, -float(np.sum((np.array(at) - best) ** 2)))
        return -study.best_value

    found = {
        kind: np.median([regret(kind, seed) for seed in range(20)]) for kind in ("tpe", "random")
    }
    assert found["tpe"] <= found["random"] / 2


def test_storage_that_cannot_be_opened_is_one_line(tmp_path, monkeypatch, real):
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning/optuna.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ValueError, match="optuna.db must be a SQLite file, got another kind"):
        begin(tmp_path, trials=3)
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql+nothing://me:secret@host/db")
    with pytest.raises(ValueError, match="must name a driver that SQLAlchemy has") as error:
        begin(tmp_path, trials=3)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["a?b", "per%41cent", "hash#", "a space", "größe"])
def test_any_folder_holds_a_tuning(tmp_path, real, name):
    begin(tmp_path / name, trials=3).close()
    assert (tmp_path / name / "tuning/optuna.db").stat().st_size > 0
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_database_of_mlflows_is_not_touched(tmp_path, monkeypatch, real):
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE experiments (a)")
    monkeypatch.setenv("OPTUNA_STORAGE", f"sqlite:///{path}")
    before = path.read_bytes()
    with pytest.raises(TuningError, match="must hold Optuna's tables, got MLflow's"):
        begin(tmp_path, trials=3)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version, wanted", [("v2.6.0.a", "optuna storage upgrade"), ("v99", "-U")])
def test_another_version_of_optunas_tables_is_said(tmp_path, real, version, wanted):
    begin(tmp_path, trials=3).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "tuning/optuna.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
    with pytest.raises(TuningError, match=wanted):
        begin(tmp_path, trials=3)


def _open(barrier, url, told):
    barrier.wait()
    try:
        storage = database.open_storage(url)
        optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
        told.put("")
    except BaseException as error:
        told.put(repr(error))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_make_one_schema_at_once_all_go_on(tmp_path, kind):
    url = f"sqlite:///{tmp_path}/optuna.db"
    if kind == "postgresql":
        url = os.environ.get("TEST_POSTGRES_OPTUNA_URL") or pytest.skip("no empty PostgreSQL")
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_open, args=(barrier, url, told)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [told.get(timeout=120) for _ in processes] == ["", "", ""]
    for process in processes:
        process.join()
