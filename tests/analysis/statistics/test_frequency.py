"""Groups of classes, and the slope on their frequency."""

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.bootstrap import resample
from analysis.statistics.contrasts import contrast
from analysis.statistics.covariance import group_means
from analysis.statistics.frequency import imbalance_slope
from analysis.statistics.seeds import seed_variance
from tests.analysis.statistics.counts import NAN, rng, runs


def test_imbalance_slope():
    frequencies = np.array([0.1, 0.01, 0.001, 0.03, 0.0, 0.5])
    gains = np.array([0.00, 0.05, 0.09, 0.02, 9.0, NAN])  # never in train; absent from test
    found = imbalance_slope(gains, frequencies)
    fit = scipy.stats.linregress(np.log10(frequencies[:4]), gains[:4])
    half = scipy.stats.t.ppf(0.975, 2) * fit.stderr
    assert (found.slope, found.low, found.high, found.n_classes) == pytest.approx(
        (fit.slope, fit.slope - half, fit.slope + half, 4)
    )
    without = [
        scipy.stats.linregress(
            np.delete(np.log10(frequencies[:4]), i), np.delete(gains[:4], i)
        ).slope
        for i in range(4)
    ]
    assert (found.lowest, found.highest) == pytest.approx((min(without), max(without)))
    two = imbalance_slope(gains[:2], frequencies[:2])
    assert two.slope == pytest.approx(-0.05) and np.isnan([two.low, two.lowest]).all()
    assert np.isnan(imbalance_slope([0.1, 0.2, 0.3], [0.1, 0.1, 0.1]).slope)
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        imbalance_slope([1, 2], [1, 2, 3])


def test_means_of_groups_of_classes_get_intervals_too():
    values = np.array([[0.2, 0.4, NAN, NAN], [0.1, 0.5, 0.9, NAN]])
    np.testing.assert_allclose(
        group_means(values, [(0, 1), (1, 2), (3,)]), [[0.3, 0.4, NAN], [0.3, 0.7, NAN]]
    )
    arms = [runs(3), runs(3)[::-1]]
    sample = resample(arms, n_boot=50, rng=rng(), class_groups=[(0, 1)])
    pooled = seed_variance(sample.observed, (1, -1))
    classes = contrast(sample, (1, -1), pooled=pooled).per_class
    assert classes.estimate[4] == pytest.approx(classes.estimate[:2].mean())
    assert classes.low[4] < classes.estimate[4] < classes.high[4]
