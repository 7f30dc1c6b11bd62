"""Owns how differences are written: points, intervals, numbers of seeds."""

from __future__ import annotations

from analysis.answer import Compared, Planned
from analysis.figures.style import count

POINTS = 100  # mIoU points per unit


def points(value: float) -> str:
    """A difference in mIoU points, signed: 0.0523 -> "+5.2"."""
    text = f"{POINTS * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def between(low: float, high: float) -> str:
    """An interval in points; in words where it holds every difference there can be, or only one."""
    if low <= -1 and high >= 1:
        return "beyond ±100, too few seeds to say anything"
    return "the same in every run" if low == high else f"{points(low)} to {points(high)}"


def smallest_points(smallest: float) -> str:
    """The smallest difference of interest in points, without a sign."""
    return f"{POINTS * smallest:.3g}"


def told(compared: Compared) -> str:
    """Estimate of a contrast in points, and its interval."""
    return f"{points(compared.estimate)} points, {between(compared.miou.low, compared.miou.high)}"


def n_seeds(compared: Planned) -> str:
    """How many seeds either side has; which, where they differ."""
    a, b = compared.seeds_a, compared.seeds_b
    if a == b:
        return f"{count(len(a), 'seed')} each"
    lists = " against ".join(", ".join(map(str, seeds)) for seeds in (a, b))
    return f"{count(len(a), 'seed')} against {count(len(b), 'seed')}: {lists}"
