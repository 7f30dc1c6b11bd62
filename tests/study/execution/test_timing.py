"""What is timed is a real run in a process of its own, beside others like it."""

import multiprocessing

import pytest

from study.execution import parts, timing
from study.execution.timing import TimingError, measure
from tests.study.execution.tiny import config

pytestmark = pytest.mark.slow


def test_every_part_takes_its_time_and_nothing_is_left(store):
    whole = measure(config(store), 2)
    assert 0 < whole.step_s < whole.start_s < 30
    assert 0 < whole.pixel_s < whole.step_s and 0 < whole.saved_mb_s < 1
    steps = measure(config(store), 1, steps_only=True)
    assert steps.step_s > 0 and steps.pixel_s == steps.saved_mb_s == 0
    assert not multiprocessing.active_children()
    assert not list(store.path.parent.glob(".timed-*"))


def test_the_others_train_meanwhile(store, monkeypatch):
    begun, process = [], timing._process

    def counted(body, *args):
        begun.append(body)
        return process(body, *args)

    monkeypatch.setattr(timing, "_process", counted)
    measure(config(store), 3, steps_only=True)
    assert begun == [timing._keep_busy, timing._keep_busy, timing._time]


def test_a_run_that_does_not_work_says_why(store):
    with pytest.raises(TimingError, match="a run must work to be timed, got: .*the data changed"):
        measure(config(store, data="0" * 64), 1)


def test_pretrained_weights_are_not_needed(store):
    values = {"model": "resnetunet", "crop_px": 32, "init": "pretrained"}
    values |= {"weights": "0" * 64, "weights_source": "?"}
    assert measure(config(store, **values), 1, steps_only=True).step_s > 0


def test_timing_trains_as_a_run_does(store):
    """Small data: epochs follow one another until there are enough steps."""
    fit = parts.open_data(config(store)).fit
    _, ticks = timing.time_steps(config(store), fit)
    assert len(ticks) - 2 > len(fit) // 4 and ticks == sorted(ticks)
