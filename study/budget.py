"""`--budget`: its text, and what fits it: first seeds, then epochs, then fewer or smaller cells.

Knows nothing of studies: what a choice costs, it is told.
"""

from __future__ import annotations

import bisect
import math
import re
import typing
from collections.abc import Callable, Iterable
from functools import partial

from study.values import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TEXT = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
# What is not in the forecast of the runs: start-up, timing, MLflow's last writes, a report.
START_S, RESERVE = 15.0, 0.05
Cost = Callable[[int, int], float]  # (seeds, epochs) -> seconds


class Choice(typing.NamedTuple):
    """What fits: the number of the first stage that does, and the most of it."""

    stage: int
    n_seeds: int
    epochs: int


def seconds_of(text: str) -> float:
    """The seconds of 90s, 30m, 1.5h or 1d. Raises: ConfigError in one line."""
    found = TEXT.fullmatch(text)
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(
            "--budget must be a number above 0 with s, m, h or d behind it, e.g. 30m or 1.5h, "
            f"got {text!r}"
        )
    return seconds


def text_of(seconds: float) -> str:
    """The shortest text of at least so many seconds, rounded up by a fifth at most."""
    unit = next((u for u in "dhm" if seconds > 5 * UNITS[u]), "s")
    return f"{math.ceil(seconds / UNITS[unit])}{unit}"


def fitting(
    budget: str, stages: Iterable[Cost], seeds: tuple[int, int], epochs: tuple[int, int]
) -> Choice:
    """Of the first stage that fits: as many seeds as fit at the fewest epochs, then epochs.

    Args:
        budget: e.g. 1h.
        stages: what the runs of one matrix cost, from all of its cells to the fewest.
        seeds, epochs: the least and the most.
    Raises: ConfigError with the smallest budget that fits.
    """
    left_s = seconds_of(budget) * (1 - RESERVE) - START_S
    least = math.inf
    for stage, cost in enumerate(stages):
        for n_seeds in range(seeds[1], seeds[0] - 1, -1):
            seconds = cost(n_seeds, epochs[0])
            least = min(least, seconds)
            if seconds <= left_s:
                more = range(epochs[0], epochs[1] + 1)
                n = bisect.bisect_right(more, left_s, key=partial(cost, n_seeds))
                return Choice(stage, n_seeds, more[max(0, n - 1)])
    smallest = text_of(1.1 * (least + START_S) / (1 - RESERVE))  # steps are timed again
    raise ConfigError(
        f"--budget must be at least {smallest} for {seeds[0]} seed{'s' * (seeds[0] > 1)} of the "
        f"fewest cells and steps, got {budget}"
    )
