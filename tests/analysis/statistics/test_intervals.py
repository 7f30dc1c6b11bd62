"""Families, verdicts and p."""

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.intervals import adjust, holm, t_interval, verdict
from tests.analysis.statistics.counts import NAN, single


def test_holm_known_answer():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, NAN, 0.02, 0.9]), [1, NAN, 0.06, 1])


def test_adjusted_intervals_are_bonferroni_and_end_at_0_where_only_holm_rejects():
    # t with 10 df: p = 0.0036, 0.0317, 0.2; 95 % / 3 reaches 2.87
    found = adjust([single(4.0, NAN, NAN), single(-2.5, NAN, NAN), single(1.4, NAN, NAN)])
    reach = scipy.stats.t.ppf(1 - 0.025 / 3, 10)
    np.testing.assert_allclose(found.low, [4 - reach, -2.5 - reach, 1.4 - reach])
    np.testing.assert_allclose(found.high, [4 + reach, -2.5 + reach, 1.4 + reach])
    assert found.p[1] == pytest.approx(2 * scipy.stats.t.sf(2.5, 10) * 2)
    found = adjust([single(9.0, NAN, NAN), single(-2.5, NAN, NAN), single(NAN, NAN, NAN)])
    assert found.p[1] < 0.05 and -2.5 + scipy.stats.t.ppf(1 - 0.025 / 2, 10) > 0
    half = scipy.stats.t.ppf(1 - 0.025 / 2, 10)  # m = 2: what was not tested does not count
    assert (found.low[1], found.high[1]) == (pytest.approx(-2.5 - half), 0)
    assert verdict(found, 0.5).tolist() == ["better", "worse", "cannot be told"]
    assert adjust([single(9.0, NAN, NAN), single(2.5, NAN, NAN)]).low[1] == 0


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.6, 2, "better"),
        (0.1, 2, "better"),
        (-2, -0.1, "worse"),
        (0.1, 0.4, "equivalent"),
        (-0.4, 0.4, "equivalent"),
        (-0.4, 0.6, "cannot be told"),
        (-3, 3, "cannot be told"),
        (0.0, 0.7, "better"),
        (0.0, 0.0, "equivalent"),
        (NAN, NAN, "cannot be told"),
    ],
)
def test_verdicts(low, high, expected):
    assert verdict(single(0.1, low, high), 0.5) == expected


def test_p_is_the_level_at_which_the_interval_ends_at_0():
    seeds, images = [np.array([0.5]), np.array([2.0])], [np.array([0.3]), np.array([50.0])]
    p = t_interval(np.array([3.0]), *seeds, *images).p[0]
    assert abs(t_interval(np.array([3.0]), *seeds, *images, p).low[0]) < 1e-3
    assert 0.02 < p < 0.2
