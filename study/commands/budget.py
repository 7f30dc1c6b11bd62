"""--budget: how many seeds, steps and arms of a matrix fit into a time. Times nothing itself."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.matrix import Saving
from study.record import Budget
from study.record.files import Scalar
from study.values import ConfigError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
RESERVE = 0.05  # of the time, for what no step shows: start, summaries, a report


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From the least to the most that a study may have, both included."""

    seeds: tuple[int, int]
    steps: tuple[int, int]


class Choice(typing.NamedTuple):
    """How many of the matrix's savings, how many seeds and steps, and what all runs take."""

    n_savings: int
    seeds: int
    steps: int
    seconds: float = 0.0


def seconds_of(text: str) -> float:
    """Seconds of a time such as 90s, 30m, 1.5h or 1d. Raises: ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(found[1]) * UNITS_S[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--budget must be a time such as 30m, 1h or 1d, got {text!r}")
    return seconds


def time_of(seconds: float) -> str:
    """The shortest `--budget` that is no less than these seconds."""
    for unit, most in (("s", 90), ("m", 90 * 60)):
        if (n := math.ceil(seconds / UNITS_S[unit])) * UNITS_S[unit] <= most:
            return f"{n}{unit}"
    return f"{math.ceil(seconds / 360) / 10:g}h"


def applied(
    savings: Sequence[Saving], recipe: Mapping[str, Scalar]
) -> tuple[list[Saving], dict[str, Scalar]]:
    """The savings that change something, and the recipe after them: a field only gets smaller."""
    chosen, found = list[Saving](), dict(recipe)
    for saving in savings:
        smaller = {
            name: value
            for name, value in saving.recipe.items()
            if not _at_most(found.get(name), value)
        }
        found |= smaller
        if smaller or saving.leave_out:
            chosen.append(saving)
    return chosen, found


def _at_most(now: Scalar, value: Scalar) -> bool:
    numbers = isinstance(now, int | float) and isinstance(value, int | float)
    return now is None or (numbers and now <= value)  # type: ignore[operator]


def choose_budget(
    text: str, limits: Limits, n_savings: int, cost: Callable[[Choice], float]
) -> Choice:
    """As many seeds as fit with the least steps, then as many steps; savings only where the least
    of both does not fit.

    Args: cost: seconds of all runs, more with more seeds or steps.
    Raises: ConfigError saying the smallest budget that would do.
    """
    seconds = seconds_of(text) * (1 - RESERVE)
    (least_seeds, most_seeds), (least, most) = limits.seeds, limits.steps
    smallest = math.inf
    for n in range(n_savings + 1):
        needed = cost(Choice(n, least_seeds, least))
        smallest = min(smallest, needed)
        if needed > seconds:
            continue
        seeds = least_seeds
        while seeds < most_seeds and cost(Choice(n, seeds + 1, least)) <= seconds:
            seeds += 1
        low, high = least, most  # low fits
        while low < high:
            middle = (low + high + 1) // 2
            fits = cost(Choice(n, seeds, middle)) <= seconds
            low, high = (middle, high) if fits else (low, middle - 1)
        return Choice(n, seeds, low, cost(Choice(n, seeds, low)))
    raise ConfigError(
        f"--budget must be at least {time_of(smallest / (1 - RESERVE))} here ({least_seeds} "
        f"seed{'s' * (least_seeds > 1)}, {least} steps a run, all that the matrix can spare left "
        f"out), got {text}"
    )


def saved(saving: Saving) -> str:
    """What a saving did, in words."""
    changes = [f"{name}={value}" for name, value in saving.recipe.items()]
    if saving.leave_out:
        where = ", ".join(f"{name}={value}" for name, value in saving.leave_out.items())
        changes.append(f"left out {where}")
    return f"{saving.reason}: {', '.join(changes)}"


def told(text: str, limits: Limits, choice: Choice, savings: Sequence[Saving]) -> Budget:
    """The record of a choice."""
    return Budget(
        text=text,
        n_seeds=choice.seeds,
        most_seeds=limits.seeds[1],
        steps=choice.steps,
        most_steps=limits.steps[1],
        n_savings=choice.n_savings,
        savings=tuple(saved(one) for one in savings),
        forecast_s=choice.seconds,
    )
