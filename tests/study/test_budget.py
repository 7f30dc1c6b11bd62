"""`--budget`: its text, and what fits of costs that are known."""

import pytest

from study.budget import RESERVE, START_S, fitting, seconds_of, text_of
from study.presets import FOLDER, SHAPES, epochs_for, steps_on
from study.values import ConfigError


@pytest.mark.parametrize(
    "text, seconds", [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("1d", 86400), ("0.5m", 30)]
)
def test_a_budget_is_a_number_with_its_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["5", "1 h", "0s", "0.0h", "-1h", "1w", "h", "1e3s", "1h30m"])
def test_other_texts_are_no_budget(text):
    with pytest.raises(ConfigError, match="--budget must be a number above 0 with s, m, h or d"):
        seconds_of(text)


@pytest.mark.parametrize(
    "seconds, text", [(0.2, "1s"), (300, "300s"), (301, "6m"), (18001, "6h"), (432001, "6d")]
)
def test_the_smallest_budget_is_rounded_up(seconds, text):
    assert text_of(seconds) == text and seconds_of(text) >= seconds


def budget_of(left_s):
    """The budget that leaves so many seconds for the runs."""
    return f"{(left_s + START_S) / (1 - RESERVE) + 1e-6:.6f}s"


def arms(n_arms, epoch_s=1.0):
    return lambda n_seeds, epochs: n_arms * n_seeds * epochs * epoch_s


@pytest.mark.parametrize(
    "left_s, chosen",
    [
        (10_000, (0, 4, 100)),  # all of it: 9 x 4 x 100 = 3,600
        (3599, (0, 4, 99)),
        (9 * 4 * 20, (0, 4, 20)),  # seeds before epochs
        (9 * 4 * 20 - 1, (0, 3, 26)),  # 719 // 27
        (9 * 2 * 20, (0, 2, 20)),
        (9 * 2 * 20 - 1, (1, 2, 29)),  # 359 // 12, where 3 seeds are 360
        (6 * 2 * 20, (1, 2, 20)),
        (6 * 2 * 20 - 1, (2, 3, 26)),  # 239 // 9
        (3 * 2 * 20, (2, 2, 20)),
    ],
)
def test_seeds_come_first_then_epochs_then_savings(left_s, chosen):
    stages = [arms(9), arms(6), arms(3)]
    assert fitting(budget_of(left_s), stages, (2, 4), (20, 100)) == chosen


def test_seeds_and_epochs_that_are_given_stay():
    assert fitting(budget_of(500), [arms(9), arms(6)], (5, 5), (10, 10)) == (0, 5, 10)
    assert fitting(budget_of(449), [arms(9), arms(6)], (5, 5), (10, 10)) == (1, 5, 10)


def test_what_is_not_needed_is_not_asked_for():
    def stages():
        yield arms(2)
        raise AssertionError("the second stage is not looked at")

    assert fitting(budget_of(80), stages(), (2, 2), (10, 20)) == (0, 2, 20)


def test_too_small_a_budget_says_which_one_does():
    with pytest.raises(ConfigError, match="at least 157s for 2 seeds of the fewest .*, got 5s"):
        fitting("5s", [arms(9), arms(6), arms(3)], (2, 4), (20, 100))
    assert fitting("157s", [arms(9), arms(6), arms(3)], (2, 4), (20, 100)) == (2, 2, 22)
    with pytest.raises(ConfigError, match="for 1 seed of the fewest"):
        fitting("1s", [arms(3)], (1, 1), (20, 100))


@pytest.mark.parametrize(
    "steps, n_fit, batch_size, epochs",
    [(288, 256, 8, 9), (1200, 20, 8, 600), (1200, 2000, 8, 5), (1200, 3, 8, 1200), (1, 99, 4, 1)],
)
def test_epochs_follow_from_steps(steps, n_fit, batch_size, epochs):
    assert epochs_for(steps, n_fit, batch_size) == epochs


def test_a_preset_has_steps_for_each_kind_of_device():
    assert steps_on(FOLDER, "cuda:1") == FOLDER.steps["cuda"] > FOLDER.steps["cpu"]
    assert SHAPES.min_steps <= steps_on(SHAPES, "cpu")
