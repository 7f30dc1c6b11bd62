"""Intervals over seeds and images against textbook tests."""

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.bootstrap import replicates, resample
from analysis.statistics.contrasts import contrast, paired_bootstrap
from analysis.statistics.intervals import verdict
from analysis.statistics.seeds import seed_variance
from tests.analysis.statistics.counts import recipe_interval, rng, runs, with_scores


def test_on_images_that_are_all_alike_the_recipe_interval_is_the_t_test():
    a, b = np.array([0.5, 0.6, 0.75]), np.array([0.3, 0.35, 0.45])
    sample = resample([with_scores(a), with_scores(b)], n_boot=50, rng=rng())
    welch = contrast(sample, (1, -1))
    expected = scipy.stats.ttest_ind(a, b, equal_var=False)
    assert welch.miou.p == pytest.approx(expected.pvalue)
    assert welch.df == pytest.approx(expected.df)
    assert (welch.miou.low, welch.miou.high) == pytest.approx(tuple(expected.confidence_interval()))
    unequal = resample([with_scores(a), with_scores(b[:2])], n_boot=50, rng=rng())
    expected = scipy.stats.ttest_ind(a, b[:2], equal_var=False)
    assert contrast(unequal, (1, -1)).miou.p == pytest.approx(expected.pvalue)
    blocks = seed_variance(sample.observed, (1, -1), seeds=[[0, 1, 2]] * 2)
    paired = contrast(sample, (1, -1), pooled=blocks)
    expected = scipy.stats.ttest_rel(a, b)
    assert (paired.miou.p, paired.df) == (pytest.approx(expected.pvalue), pytest.approx(2))
    network = seed_variance(sample.observed, (1, -1), networks=["n", "n"], seeds=[[0, 1, 2]] * 2)
    assert network.variance == pytest.approx(blocks.variance)  # two arms: the same thing


def test_one_seed_makes_no_claim_unless_a_variance_is_lent():
    one, two = with_scores([0.5]), with_scores([0.4, 0.42])
    args = {"n_boot": 20, "rng": rng()}
    for a, b in ((one, two), (two, one), (one, one)):
        none = recipe_interval(a, b, **args)
        assert none.df == 0 and np.isnan([none.miou.low, none.miou.high, none.miou.p]).all()
        assert verdict(none.miou, 0.005) == "cannot be told"
    lent = recipe_interval(one, two, pooled=(0.02**2, 6), **args)
    half = scipy.stats.t.ppf(0.975, 6) * 0.02 * np.sqrt(1 + 1 / 2)
    assert (lent.df, lent.miou.high) == (pytest.approx(6), pytest.approx(0.09 + half))
    assert np.isnan(lent.per_class.low).all()  # lent for mIoU alone
    assert np.isnan(recipe_interval(one, two, pooled=(0.02**2, 0), **args).miou.low)


def test_image_variance_is_the_bootstrap_of_the_seed_mean_difference():
    a, b = runs(2, n_images=40)[:, None]  # one seed: nothing to take off
    both = recipe_interval(a, b, n_boot=4000, rng=rng(), pooled=(0.0, 1e9)).miou
    alone = paired_bootstrap(a[0], b[0], n_boot=4000, rng=rng()).miou
    assert both.image_variance == pytest.approx(alone.se**2 * 40 / 39)
    assert both.df == pytest.approx(39)
    assert both.high - both.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_what_seeds_and_images_do_together_is_counted_once():
    draw = rng(5)
    tp = draw.integers(200, 800, (2, 4, 400, 1))  # only seed x image: the arms' means are flat
    counts = np.stack([tp, 0 * tp, 1000 - tp], axis=-1)
    sample = resample(list(counts), n_boot=500, rng=rng())
    drawn = replicates(list(counts), n_boot=500, rng=rng())[..., 0]
    bootstrap = np.var(drawn[:, :4].mean(1) - drawn[:, 4:].mean(1))
    result = contrast(sample, (1, -1)).miou
    assert result.image_variance < 0.3 * bootstrap
    assert result.seed_variance > 0


def test_under_five_groups_the_interval_speaks_of_these_images():
    a, b = np.split(runs(6, n_images=20), 2)
    few = recipe_interval(a, b, n_boot=50, rng=rng(), groups=np.arange(20) % 4)
    enough = recipe_interval(a, b, n_boot=50, rng=rng(), groups=np.arange(20) % 5)
    assert few.images_fixed and few.miou.image_variance == 0 and np.isfinite(few.miou.low)
    assert not enough.images_fixed and enough.miou.image_variance > 0 and enough.n_units == 5


def test_without_any_variance_a_difference_is_sure():
    same, other = with_scores([0.5, 0.5]), with_scores([0.25, 0.25])
    told = recipe_interval(same, other, n_boot=20, rng=rng()).miou
    assert (told.low, told.high, told.p) == (0.25, 0.25, 0)
    none = recipe_interval(same, same, n_boot=20, rng=rng()).miou
    assert (none.low, none.high, none.p) == (0, 0, 1) and verdict(none, 0.005) == "equivalent"
