"""What a step, an evaluated pixel and a checkpoint cost: measured here and now, in workers.

A run is slowed down by the other workers (they share memory, clock rate, GPU): so, while one
process is timed, as many others as there will be train the same thing. Knows nothing of studies.
"""

from __future__ import annotations

import tempfile
import time
import typing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seglib.data.store import Split
from seglib.predict import BATCH_PIXELS
from seglib.train import EpochResult, fit
from study.config import RunConfig
from study.execution import checkpoint
from study.execution.parts import build_network, open_data, placed, training_parts
from study.execution.results import confusions_of
from study.execution.run import reason
from study.execution.worker import begin_worker, listen, worker_context

STEPS_S, N_STEPS = 0.7, 50  # steps are timed for so long, or until there are so many
N_IMAGES = 32  # evaluated at most, after as many to warm up
SAVED_MB = 16


class Timing(typing.NamedTuple):
    """What the parts of a run cost."""

    start_s: float  # data, network, and what the first step takes longer than others
    step_s: float  # a training step: crops, loss, gradients, optimizer
    pixel_s: float  # of an evaluated image
    saved_mb_s: float  # a megabyte of a checkpoint


class TimingError(ValueError):
    """A run cannot be timed, because it does not work."""


def measure(config: RunConfig, n_workers: int, steps_only: bool = False) -> Timing:
    """Time a run for a second or two while `n_workers` - 1 others like it train.

    Pretrained weights are not needed: they change no time but that of loading them.

    Args: steps_only: `pixel_s` and `saved_mb_s` are not wanted; they are 0.
    Raises: TimingError with the cause when the run fails.
    """
    with ExitStack() as stack:
        others = [stack.enter_context(_process(_keep_busy, config)) for _ in range(n_workers - 1)]
        for other in others:
            _answer(other)  # it trains now
        timed = _process(_time, config, steps_only)
        return Timing(*_answer(stack.enter_context(timed)))


@contextmanager
def _process(body: Callable[..., None], config: RunConfig, *more: object) -> Iterator[Connection]:
    """A process that works on `config` and is gone when the block ends."""
    context = worker_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=body, args=(theirs, config, *more), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _answer(pipe: Connection) -> tuple[float, ...]:
    try:
        answer: tuple[float, ...] | str = pipe.recv()
    except EOFError:
        answer = "a process that ended without a word"
    if isinstance(answer, str):
        raise TimingError(f"a run must work to be timed, got: {answer}")
    return answer


def _keep_busy(pipe: Connection, config: RunConfig) -> None:
    """Train until the process is killed; the pipe is told before the first step."""

    def tick() -> bool:
        if not told:
            told.append(None)
            pipe.send(())
        return False

    told: list[None] = []
    begin_worker()
    listen(pipe, lambda: None)
    try:
        for _ in _training(config, open_data(config).fit, tick)[1]:
            pass
    except Exception as error:
        pipe.send(reason(error, config))


def _time(pipe: Connection, config: RunConfig, steps_only: bool) -> None:
    """Send the numbers of a Timing."""
    began = time.monotonic()  # from the driver it would hold what the fork server still imports
    begin_worker()
    listen(pipe, lambda: None)
    try:
        data = open_data(config)
        model, ticks = time_steps(config, data.fit)
        step_s = (ticks[-1] - ticks[1]) / (len(ticks) - 2)
        timing = Timing(max(0.0, ticks[1] - began - step_s), step_s, 0.0, 0.0)
        if not steps_only:
            saved_mb_s = time_saving(Path(config.store).parent)
            pixel_s = time_evaluation(config, model, data.dev)
            timing = timing._replace(pixel_s=pixel_s, saved_mb_s=saved_mb_s)
        pipe.send(tuple(timing))
    except Exception as error:
        pipe.send(reason(error, config))


def _training(
    config: RunConfig, fit_split: Split, tick: Callable[[], bool]
) -> tuple[nn.Module, Iterator[EpochResult]]:
    """Training as a run does it, but without end and at a rate that changes nothing.

    `tick` is called before each step, and says whether to end.
    """
    torch.set_num_threads(config.threads)
    model = placed(build_network(config, fit_split.class_pixels.shape[1]), config)
    loss, sampler, recipe = training_parts(config, fit_split)
    recipe = replace(recipe, n_epochs=10**9, lr=1e-9, weight_decay=0.0, evaluate_at=frozenset())
    return model, fit(model, loss, sampler, recipe, should_stop=tick)


def time_steps(config: RunConfig, fit_split: Split) -> tuple[nn.Module, list[float]]:
    """The network, and the moments before each step; the first step only warms up."""
    ticks: list[float] = []

    def tick() -> bool:
        if torch.device(config.device).type == "cuda":
            torch.cuda.synchronize(config.device)
        ticks.append(time.monotonic())
        n_timed = len(ticks) - 2
        return n_timed >= N_STEPS or (n_timed > 0 and ticks[-1] - ticks[1] >= STEPS_S)

    model, epochs = _training(config, fit_split, tick)
    for _ in epochs:
        pass
    return model, ticks


def time_evaluation(config: RunConfig, model: nn.Module, dev: Split) -> float:
    """Seconds a pixel of a batch of dev images, from the smallest to the largest."""
    by_size = np.argsort(dev.sizes.prod(1), kind="stable")
    n = int(np.clip(BATCH_PIXELS // dev.sizes.prod(1).mean(), 1, min(N_IMAGES, len(dev))))
    some = dev.subset(by_size[np.linspace(0, len(dev) - 1, n + 2)[1:-1].round().astype(int)])
    for _ in range(2):  # the first time warms up
        began = time.monotonic()
        confusions_of(config, model, some, lambda: False)
    return (time.monotonic() - began) / int(some.sizes.prod(1).sum())


def time_saving(folder: Path) -> float:
    """Seconds a megabyte of a checkpoint on this folder's disk."""
    state = {"weights": torch.ones(SAVED_MB * 250_000)}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".timed-") as scratch:
        began = time.monotonic()
        checkpoint.save(state, Path(scratch) / "last.pt", None)
        return (time.monotonic() - began) / SAVED_MB
