"""What runs will cost before they are begun: seconds, megabytes, and the time of all of them.

Knows nothing of the command line, nor how its parts are timed (`study.execution.timing`).
"""

from __future__ import annotations

import heapq
import typing
from collections.abc import Callable, Iterable
from dataclasses import asdict

from seglib.data.store import Split, Store
from study.config import RunConfig
from study.execution.panel import panel_indices
from study.execution.parts import RunData, n_parameters, split_data, training_parts
from study.execution.progress import checkpoint_interval_s
from study.execution.timing import Timing, measure

EPOCH_S, END_S = 0.01, 0.3  # journal and system metrics; results packed and drawn (measured)
IDLE_LOAD = 0.5  # of the last minute: what reading the data and the program itself may make
N_STATES = 4  # a checkpoint holds the weights, AdamW's two moments and the best epoch's weights
# Fields that change neither what a step computes nor how long it takes, and those that do not
# change an evaluation either. A field that is not known here is timed anew.
SAME_STEP = {
    *("data", "init", "seed", "role", "tuning", "weights", "weights_source", "weights_path"),
    *("split_seed", "dev_share", "dev_images", "n_evaluations", "epochs", "checkpoint_s", "store"),
    *("class_weight_exponent", "background_multiplier", "lr_multiplier", "lr", "weight_decay"),
    *("schedule", "warmup_frac"),
}
SAME_NETWORK = SAME_STEP | {"loss", "loss_params"}


class RunCost(typing.NamedTuple):
    """What a run will take, and leave on disk."""

    seconds: float
    megabytes: float


class Forecaster:
    """Forecasts of single runs; each kind of step is timed once, when it is first asked for."""

    def __init__(
        self, store: Store, n_workers: int, measure: Callable[..., Timing] = measure
    ) -> None:
        self.store, self.n_workers, self._measure = store, n_workers, measure
        self._costs: dict[str, RunCost] = {}
        self._timings: dict[str, Timing] = {}  # of a network: all that is the same for its losses
        self._steps: dict[str, float] = {}
        self._data: dict[tuple[int, float, int], RunData] = {}
        self._test: tuple[Split, int] | None = None  # and the pixels of its panel

    def cost(self, config: RunConfig) -> RunCost:
        """Of one run from nothing to its end, while `n_workers` - 1 others work.

        Raises: study.execution.timing.TimingError when the run does not work.
        """
        key = _key(config, {"seed"})
        if key not in self._costs:
            self._costs[key] = self._cost(config)
        return self._costs[key]

    def _cost(self, config: RunConfig) -> RunCost:
        timing, data = self._timing(config), self._split(config)
        _, sampler, recipe = training_parts(config, data.fit)
        seconds = timing.start_s + END_S
        seconds += config.epochs * (len(sampler) * timing.step_s + EPOCH_S)
        seconds += timing.pixel_s * len(recipe.evaluate_at) * _pixels(data.dev)
        if config.role == "final":  # only these are scored on the test images
            seconds += timing.pixel_s * self._test_pixels(config)
        weights_mb = n_parameters(config, len(self.store.classes)) * 4 / 1e6
        saved_s = N_STATES * weights_mb * timing.saved_mb_s
        interval_s = checkpoint_interval_s(config.checkpoint_s, saved_s)
        n_saved = 1 + min(config.epochs - 1, int(seconds / max(interval_s, 1e-3)))
        return RunCost(seconds + n_saved * saved_s, weights_mb + 1)

    def _timing(self, config: RunConfig) -> Timing:
        """Of this very step; what does not depend on the loss is timed with the first one."""
        network, step = (_key(config, same) for same in (SAME_NETWORK, SAME_STEP))
        if step not in self._steps:
            known = network in self._timings
            timing = self._measure(config, self.n_workers, steps_only=known)
            self._timings.setdefault(network, timing)
            self._steps[step] = timing.step_s
        return self._timings[network]._replace(step_s=self._steps[step])

    def _split(self, config: RunConfig) -> RunData:
        key = config.split_seed, config.dev_share, config.dev_images
        if key not in self._data:
            self._data[key] = split_data(self.store, config)
        return self._data[key]

    def _test_pixels(self, config: RunConfig) -> int:
        if self._test is None:
            test = self.store.test()
            self._test = test, _pixels(test.subset(panel_indices(test)))
        test, panel = self._test
        return _pixels(test) * (1 + (config.train_void == "class")) + panel


def _key(config: RunConfig, same: set[str]) -> str:
    """A run without the fields that make no difference."""
    return repr({name: value for name, value in asdict(config).items() if name not in same})


def _pixels(split: Split) -> int:
    return int(split.sizes.prod(1).sum())


def schedule_s(seconds: Iterable[float], n_workers: int) -> float:
    """When the last of these runs ends: each is begun, in this order, by the first free worker."""
    free_at = [0.0] * n_workers
    for run_s in seconds:
        heapq.heapreplace(free_at, free_at[0] + run_s)
    return max(free_at)


def forecast_range(seconds: float, load: float, n_cores: int) -> tuple[float, float]:
    """The least and the most that a forecast may mean; both are the forecast on an idle machine.

    What was timed on a busy machine is too slow if the others end, and too fast if the timed
    moments were their quiet ones.

    Args: load: `os.getloadavg()[0]` from before anything was timed.
    """
    slower = 1 + max(0.0, load - IDLE_LOAD) / n_cores
    return seconds / slower, seconds * slower
