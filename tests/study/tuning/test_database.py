"""Samplers, pruners and storage: what they are worth, and what is refused."""

import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

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
    with pytest.raises(TuningError, match=r"storage sqlite:///.*optuna.db must be a database"):
        begin(tmp_path, trials=3)
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql+nothing://me:secret@host/db")
    with pytest.raises(TuningError, match="must be a database that answers") as error:
        begin(tmp_path, trials=3)
    assert "secret" not in str(error.value)
