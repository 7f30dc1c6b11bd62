"""The forecast: what each axis changes, what is timed again, and how runs fill the workers."""

import pytest

from study.execution.forecast import IDLE_LOAD, Forecaster, forecast_range, schedule_s
from study.execution.timing import Timing
from tests.study.execution.tiny import config


class FakeTimer:
    """A step takes longer for more work; every call is remembered."""

    def __init__(self, **changes):
        self.calls, self.timing = [], Timing(1.0, 0.0, 1e-5, 0.01)._replace(**changes)

    def __call__(self, config, n_workers, steps_only=False):
        self.calls.append((config.loss, n_workers, steps_only))
        step_s = 0.01 * (config.width or 30) * config.crop_px**2 * (config.batch_size + 1) / 1000
        step_s *= {"resnet50": 3, "resnet34": 2}.get(config.encoder, 1)
        step_s *= {"lovasz": 4}.get(config.loss, 1) * config.accumulate**0.1
        step_s *= 1 + config.loss_params.get("exponent", 0) / 10
        step_s *= n_workers**0.5
        timing = self.timing._replace(step_s=step_s)
        return timing._replace(pixel_s=0.0, saved_mb_s=0.0) if steps_only else timing


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 4},
        {"width": 8},
        {"crop_px": 32},
        {"batch_size": 2},
        {"accumulate": 2},
        {"model": "resnetunet"},
        {"loss": "lovasz"},
        {"n_evaluations": 1},
        {"dev_images": 2},
        {"role": "trial", "seed": 1000},
        {"train_void": "class"},
        {"checkpoint_s": 0.0},
    ],
)
def test_each_axis_has_its_own_forecast(store, values):
    forecaster = Forecaster(store, 2, FakeTimer())
    one, other = (forecaster.cost(config(store, **more)).seconds for more in ({}, values))
    assert abs(other / one - 1) > 1e-3
    assert forecaster.cost(config(store)).seconds == one  # whatever came first


def test_an_encoder_and_a_parameter_of_a_loss_are_told_apart(store):
    forecaster = Forecaster(store, 1, FakeTimer())
    deep = [
        forecaster.cost(config(store, model="resnetunet", encoder=f"resnet{n}"))
        for n in (18, 34, 50)
    ]
    assert sorted(set(deep)) == deep and len(set(deep)) == 3
    focal = {"loss": "focal_tversky"}
    costs = {
        forecaster.cost(config(store, **focal, loss_params={"exponent": x})) for x in (1.0, 2.0)
    }
    assert len(costs) == 2


def test_the_cost_of_a_run_is_the_sum_of_its_parts(store):
    timer = FakeTimer()
    cost = Forecaster(store, 1, timer).cost(config(store, epochs=10, n_evaluations=5))
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    step_s = timer(config(store), 1).step_s
    pixels = 5 * dev.sizes.prod(1).sum() + 2 * store.test().sizes.prod(1).sum()  # test, panel
    weights_mb = cost.megabytes - 1
    parts = 1.0 + 10 * (len(fit) // 4) * step_s + 1e-5 * pixels + 4 * 0.01 * weights_mb
    assert cost.seconds == pytest.approx(parts + 0.4, abs=0.01)  # and a little for each epoch


def test_a_trial_has_no_test_images(store):
    timer = FakeTimer(pixel_s=1.0)
    forecaster = Forecaster(store, 1, timer)
    (store.path / "test.bin").unlink()
    forecaster.cost(config(store, role="trial", seed=1000))
    with pytest.raises(OSError):
        forecaster.cost(config(store))


def test_the_same_step_is_timed_once(store):
    timer = FakeTimer()
    forecaster = Forecaster(store, 3, timer)
    for seed in (0, 1):
        for epochs in (2, 5):
            for loss in ("bce", "lovasz"):
                forecaster.cost(config(store, seed=seed, epochs=epochs, loss=loss, lr=0.1 * epochs))
    assert timer.calls == [("bce", 3, False), ("lovasz", 3, True)]


def test_other_workers_are_counted(store):
    one, two = (Forecaster(store, n, FakeTimer()).cost(config(store)).seconds for n in (1, 2))
    assert two > one


@pytest.mark.parametrize(
    "seconds, n_workers, end",
    [
        ([], 2, 0),
        ([5, 5, 5], 1, 15),
        ([5, 5, 5], 2, 10),  # not 7.5
        ([1, 1, 1, 9], 2, 10),  # the long one comes last
        ([9, 1, 1, 1], 2, 9),
        ([2, 3], 8, 3),
    ],
)
def test_runs_fill_the_workers_in_their_order(seconds, n_workers, end):
    assert schedule_s(seconds, n_workers) == end


def test_a_busy_machine_gives_a_range():
    assert forecast_range(60, load=IDLE_LOAD, n_cores=2) == (60, 60)
    assert forecast_range(60, load=IDLE_LOAD + 2, n_cores=2) == (30, 120)
