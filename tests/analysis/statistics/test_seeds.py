"""The variance between seeds against hand-made tables and textbook tests."""

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.seeds import satterthwaite, seed_variance
from tests.analysis.statistics.counts import rng


def test_seeds_as_blocks_or_as_independent():
    seed = np.array([0.0, 0.1, 0.3])
    arms = [(0.5 + seed)[:, None], (0.6 + seed)[:, None], (0.2 + seed)[:, None]]
    labels, seeds = ["n"] * 3, [[0, 1, 2]] * 3
    blocks = seed_variance(arms, (1, -1, 0), networks=labels, seeds=seeds)
    assert blocks.variance == pytest.approx([0]) and blocks.df == [4]  # (3 - 1)(3 - 1)
    for other in (None, [[0, 1, 2], [0, 1, 3], [0, 1, 2]]):
        free = seed_variance(arms, (1, -1, 0), networks=labels, seeds=other)
        assert free.variance == pytest.approx([np.var(seed, ddof=1)]) and free.df == [6]
    # residual of a hand-made two-way table: 4 of the 9 cells differ by 0.02 from additive
    arms[0][0] += 0.03
    residual = 0.03 * np.array([[4, -2, -2], [-2, 1, 1], [-2, 1, 1]]) / 9
    blocks = seed_variance(arms, (1, -1, 0), networks=labels, seeds=seeds)
    assert blocks.variance == pytest.approx([(residual**2).sum() / 4])


def test_across_networks_blocks_keep_what_does_not_cancel():
    scores = list(rng(1).normal(0.5, 0.05, (6, 4, 1)))
    for arm in scores[3:]:
        arm[:] = 0.4  # the second network has no seed noise
    weights, seeds = (1, 0, 0, -1, 0, 0), [range(4)] * 6
    found = seed_variance(scores, weights, networks=list("aaabbb"), seeds=seeds)
    within = np.mean([arm.var(ddof=1) for arm in scores[:3]])
    assert 2 * found.variance[0] == pytest.approx(within)  # the first network's own, nothing else
    assert 3 < found.df[0] < 9


def test_unequal_numbers_of_seeds_across_networks():
    arms = [rng(s).normal(0, scale, (n, 1)) for s, scale, n in ((3, 1, 3), (4, 1, 2), (5, 5, 4))]
    found = seed_variance(arms, (0, 1, -1), networks="nnm", seeds=[[0, 1, 2], [0, 1], range(4)])
    own = [arm.var(ddof=1) for arm in arms]
    parts = [(2 * own[0] + own[1]) / 3 / 2, own[2] / 4]
    assert found.variance * (1 / 2 + 1 / 4) == pytest.approx([sum(parts)])
    assert found.df == pytest.approx([sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 3)])


def test_unequal_variances_are_found_and_kept_apart():
    arms = [rng(2).normal(0, scale, (8, 1)) for scale in (1.0, 1.2, 20.0)]
    found = seed_variance(arms, (1, -1, 0), networks="nnn")
    assert found.p_equal == pytest.approx([scipy.stats.bartlett(*(a[:, 0] for a in arms)).pvalue])
    own = [arm.var(ddof=1) for arm in arms]
    assert found.variance == pytest.approx([np.mean(own[:2])])
    assert found.df == pytest.approx(
        scipy.stats.ttest_ind(*(a[:, 0] for a in arms[:2]), equal_var=False).df
    )
    alike = seed_variance([*arms[:2], arms[0] + 1], (1, -1, 0), networks="nnn")
    assert alike.df == [21] and alike.p_equal > 0.05
    flat = seed_variance([arms[0], 0 * arms[0], 0 * arms[0]], (0, 1, -1), networks="nnn")
    assert flat.variance == [0]  # an arm that never leaves 0 is not lent the noise of another
    assert seed_variance([0 * arms[0]] * 2, (1, -1), networks="nn").p_equal == [1]


@pytest.mark.parametrize(
    "variances, dfs, expected",
    [
        ([1, 1], [2, 2], 4),
        ([1, 3], [1, 3], 4),
        ([1, 0], [2, 9], 2),
        ([0, 0], [3, 7], 3),
        ([5, 1], [0, 9], 0),
        ([2, 0], [4, np.inf], 4),
    ],
)
def test_satterthwaite(variances, dfs, expected):
    assert satterthwaite(np.array(variances)[:, None], np.array(dfs)[:, None]) == [expected]
