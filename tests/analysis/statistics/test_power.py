"""The smallest detectable difference against the noncentral t."""

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.power import detectable_difference, seeds_needed
from tests.analysis.statistics.counts import NAN


def test_noise_floor_and_power():
    many = detectable_difference(0.01**2, 200, n_arms=500)
    assert many == pytest.approx((1.95996 + 0.84162) * 0.01 * np.sqrt(2 / 200), rel=1e-3)
    few = detectable_difference(0.01**2, 3, n_arms=3)  # 4 df
    shift = few / np.sqrt(2 * 0.01**2 / 3)
    assert scipy.stats.nct.sf(scipy.stats.t.ppf(0.975, 4), 4, shift) == pytest.approx(0.8, abs=1e-3)
    assert few > detectable_difference(0.01**2, 4, n_arms=3)
    assert detectable_difference(0.0, 3, n_arms=3, image_variance=0.01**2) == pytest.approx(
        2.80158 * 0.01, rel=1e-4
    )
    assert np.isnan(detectable_difference(NAN, 3, n_arms=3))
    assert np.isnan(detectable_difference(0.01, 1, n_arms=3))


def test_seeds_needed():
    n = seeds_needed(0.01, 0.01**2, n_arms=3)
    floors = [detectable_difference(0.01**2, int(s), n_arms=3) for s in (n - 1, n)]
    assert floors[1] <= 0.01 < floors[0]
    assert seeds_needed(0.01, 0.01**2, n_arms=3, image_variance=0.0036**2) == np.inf
    assert n < seeds_needed(0.01, 0.01**2, n_arms=3, image_variance=0.003**2) < np.inf
    assert seeds_needed(1.0, 0.01**2, n_arms=3) == 2
    assert np.isnan(seeds_needed(0.01, NAN, n_arms=3))
    with pytest.raises(ValueError, match="above 0 and n_arms at least 2, got 0 and 3"):
        seeds_needed(0, 1.0, n_arms=3)
