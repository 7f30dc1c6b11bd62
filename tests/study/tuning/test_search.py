"""Trials under way: budgets, interruption and what is tried again, without training."""

import math

import numpy as np
import pytest
from optuna.trial import TrialState

from study.record import run_dirs
from study.record.journal import Died, Failed
from study.tuning.options import TuningError
from tests.study.tuning.pretend import EPOCHS, Stop, begin, play, rerun, score


def test_the_budget_is_epochs_and_pruning_buys_trials(tmp_path):
    tuning = begin(tmp_path, epochs=80, pruner="median", sampler="random")
    while tuning.n_left():  # as --tune: what a last trial gives back when pruned is used
        play(tuning)
    states = [t.state.name for t in tuning.counted()]
    assert "PRUNED" in states and len(states) > 80 / EPOCHS
    trained = sum(len(run_dir.journal().epochs) for run_dir in run_dirs(tuning.place.runs))
    assert trained == tuning.spent() and 80 - EPOCHS < trained <= 80
    assert tuning.counted()[0].params == tuning.default  # trial 0
    assert [t.params["loss.share"] for t in tuning.counted()[:2]] == [0.5, 0.75]  # published
    result = rerun(tuning)
    assert result.epochs == trained and result.budget_epochs == 80
    assert result.dev_rerank == max(result.candidates.values())
    assert result.dev_rerank == pytest.approx(score(tuning.config(result.params)) - 0.005)
    tuning.close()


@pytest.mark.slow
def test_no_trial_is_lost_or_doubled_wherever_the_driver_dies(tmp_path):
    whole = begin(tmp_path / "whole", trials=7, pruner="none")
    play(whole)
    n_events = 7 * (EPOCHS + 1)
    for kill_at in range(0, n_events, 3):
        path = tmp_path / str(kill_at)
        tuning = begin(path, trials=7, pruner="none")
        with pytest.raises(Stop):
            play(tuning, kill_at=kill_at)
        tuning.close()
        again = begin(path, trials=7, pruner="none")
        play(again)
        counted = again.counted()
        assert len(counted) == 7 and {t.state for t in counted} == {TrialState.COMPLETE}
        runs_done = run_dirs(again.place.runs)
        assert len(runs_done) == 7  # what was cut off was continued in its own directory
        assert len({t.user_attrs["run_id"] for t in counted}) == 7
        for run_dir in runs_done:
            events = run_dir.journal().events
            assert [event.epoch for event in events if event.event == "epoch"] == [1, 2, 3, 4]
        again.close()
    whole.close()


def test_forty_queued_trials_run_once_each_on_four_workers(tmp_path):
    tuning = begin(tmp_path, trials=42, pruner="none")  # with the default and a published point
    shares = np.linspace(0.1, 0.9, 40)
    for share in shares:
        tuning.optuna.enqueue_trial(tuning.default | {"loss.share": float(share)})
    begun = play(tuning, slots=4)
    assert len(begun) == len(set(begun)) == 42
    tried = [t.params["loss.share"] for t in tuning.counted()][2:]
    assert tried == pytest.approx(shares)
    tuning.close()


def test_a_killed_worker_s_trial_is_begun_once_more_and_counts_once(tmp_path):
    tuning = begin(tmp_path, trials=4, pruner="none")
    begun = play(tuning, slots=1, ends={3: Died})
    assert begun[4:] == [begun[3]] and len(set(begun)) == 4
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 4
    tuning.close()
    twice = begin(tmp_path / "twice", trials=4, pruner="none")
    begun = play(twice, slots=1, ends={1: Died, 2: Died})  # the same one again
    assert begun[1] == begun[2] and len(begun) == 5
    states = [t.state.name for t in twice.counted()]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"]
    twice.close()


def test_failed_trials_cost_their_length_and_all_failed_is_an_error(tmp_path):
    tuning = begin(tmp_path, trials=3)
    play(tuning, ends=dict.fromkeys(range(3), Failed))
    assert tuning.n_left() == 0 and len(tuning.counted()) == 3
    with pytest.raises(TuningError, match="no trial was completed, got 3 failed; see their"):
        tuning.finish()
    tuning.close()


def test_an_undefined_objective_fails_the_trial(tmp_path):
    tuning = begin(tmp_path, trials=3)
    play(tuning, value=lambda config: math.nan if config.loss_params["share"] == 0.75 else 0.5)
    states = [t.state.name for t in tuning.counted()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]
    tuning.close()


def test_the_rare_objective_is_the_rarest_third_of_what_dev_shows(tmp_path):
    tuning = begin(tmp_path, trials=3, objective="rare")
    assert tuning.rare == ["dog"]  # cow is rarer, but not in dev; background never counts
    play(tuning)
    assert tuning.counted()[0].value == pytest.approx(
        score(tuning.config(tuning.default)) * (3 / 4 + 1) / 2 / 2
    )
    tuning.close()


def test_resumed_tunings_do_not_repeat_their_first_points(tmp_path):
    for trials in (4, 8):
        tuning = begin(tmp_path, trials=trials)
        play(tuning)
        tuning.close()
    shares = [t.params["loss.share"] for t in tuning.counted()]
    assert len(set(shares)) == len(shares) == 8


def test_a_trial_that_met_a_full_disk_is_begun_again(tmp_path):
    tuning = begin(tmp_path, trials=3, pruner="none")
    begun = play(tuning, slots=1, ends=dict.fromkeys(range(5), Failed), disk_full=True)
    assert len(begun) == 8 and len(set(begun)) == 3
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 3
    tuning.close()


def test_the_gaussian_process_asks_too(tmp_path):
    tuning = begin(tmp_path, loss="bce", trials=7, sampler="gp", pruner="none")
    play(tuning)
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 7
    tuning.close()
