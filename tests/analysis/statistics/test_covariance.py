"""Covariances kept in place of resamples give the variances that the resamples have."""

import numpy as np
import pytest

from analysis.statistics.covariance import Covariances, variance_of
from analysis.statistics.seeds import variance_over


@pytest.mark.parametrize("sizes", [(1,), (3, 3), (2, 3, 2, 1, 3)])
@pytest.mark.parametrize("step", [7, 100])
def test_variances_of_weighted_sums_are_those_of_the_resamples(sizes, step):
    rng = np.random.default_rng(len(sizes))
    observed = rng.random((sum(sizes), 4))
    scores = observed + 1e-3 * rng.standard_normal((60, sum(sizes), 4))
    scores[rng.random(60) < 0.4, :, 2] = np.nan  # a class comes and goes, for all runs
    scores[1:, :, 3] = np.nan  # one resample holds it
    found = Covariances(observed, sizes)
    for start in range(0, 60, step):
        found.add(scores[start : start + step])
    means, distances = found.both()
    arms = np.split(scores, np.cumsum(sizes)[:-1], axis=1)
    for _ in range(5):
        w = rng.standard_normal(len(sizes))
        expected = variance_over(sum(a * arm.mean(1) for a, arm in zip(w, arms, strict=True)))
        np.testing.assert_allclose(variance_of(means, w), expected, rtol=1e-9)
        for size in {s for s in sizes if s > 1}:
            alike = np.where(np.array(sizes) == size, w, 0.0)
            rows = sum(a * arm for a, arm in zip(alike, arms, strict=True) if a)
            expected = variance_over(rows - rows.mean(1, keepdims=True)).sum(0)
            np.testing.assert_allclose(variance_of(distances, alike), expected, rtol=1e-9)


def test_what_cancels_has_no_variance_at_all():
    rng = np.random.default_rng(0)
    one = rng.random((50, 2, 3))
    found = Covariances(np.full((4, 3), 0.5), (2, 2))
    found.add(np.concatenate([one, one], axis=1))
    for part in found.both():
        assert (variance_of(part, np.array([1.0, -1.0])) == 0).all()
        assert (variance_of(part, np.array([1.0, 0.0])) > 0).all()
