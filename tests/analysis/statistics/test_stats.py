"""Intervals against naive loops, textbook tests, hand-known answers and simulated studies."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from analysis.statistics import intervals as stats
from analysis.statistics.effects import (
    add_group_means,
    convergence,
    factorial_weights,
    group_means,
    imbalance_slope,
    score_at_cost,
)
from analysis.statistics.intervals import (
    Interval,
    adjust,
    contrast,
    holm,
    paired_bootstrap,
    recipe_interval,
    resample,
    verdict,
)
from analysis.statistics.seeds import (
    detectable_difference,
    satterthwaite,
    seed_variance,
    seeds_needed,
)
from seglib.metrics import iou, mean_iou

N, NAN = 12, np.nan


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def runs(n_runs: int, seed: int = 0, n_images: int = N) -> np.ndarray:
    """Runs on one truth: class 1 in every third image, class 2 in one, class 3 only predicted."""
    draw = rng(seed)
    truth = draw.integers(50, 100, (n_images, 4)) * [1, 1, 1, 0]
    truth[:, 1] *= np.arange(n_images) % 3 == 0
    truth[:, 2] *= np.arange(n_images) == 4
    tp = (truth * draw.random((n_runs, n_images, 4))).astype(int)
    fp = draw.integers(0, 40, tp.shape)
    return np.stack([tp, fp, truth - tp], axis=-1)


def with_scores(scores, n_images: int = N) -> np.ndarray:
    """A row per seed whose mIoU is the given score, in each image alike."""
    tp = np.rint(1000 * np.asarray(scores))[:, None, None] * np.ones((1, n_images, 1))
    return np.stack([tp, 0 * tp, 1000 - tp], axis=-1).astype(int)


def single(estimate, low, high, variance=1.0, df=10.0) -> Interval:
    p = 2 * scipy.stats.t.sf(abs(estimate) / np.sqrt(variance), df)
    return Interval(estimate, low, high, np.sqrt(variance), df, p, variance, df, 0.0, np.inf)


# ---- bootstrap


@pytest.mark.parametrize("groups", [None, list("aabbbbcdeeff")])
def test_bootstrap_is_the_naive_loop_with_the_same_indices(groups, monkeypatch):
    monkeypatch.setattr(stats, "CHUNK", 12 * 40)  # several chunks must draw like one
    a, b = runs(2)
    blocks = [[i] for i in range(N)]
    if groups:
        blocks = [[i for i in range(N) if groups[i] == g] for g in sorted(set(groups))]
    draws = rng(3).integers(len(blocks), size=(200, len(blocks)))
    naive = []
    for draw in draws:
        images = [i for block in draw for i in blocks[block]]  # whole groups
        x, y = a[images], b[images]
        present = (x[..., 0] + x[..., 2]).sum(0) > 0
        per_class = np.where(present, iou(x) - iou(y), NAN)
        naive.append([mean_iou(x) - mean_iou(y), *per_class])
    naive = np.array(naive)
    sample = resample([a[None], b[None]], n_boot=200, rng=rng(3), groups=groups)
    got = sample.replicates[0][:, 0] - sample.replicates[1][:, 0]
    np.testing.assert_allclose(got, naive, rtol=0, atol=1e-12)
    assert np.isnan(naive[:, 3]).any() and not np.isnan(naive[:, 3]).all()  # class 2 comes and goes
    result = paired_bootstrap(a, b, n_boot=200, rng=rng(3), groups=groups)
    assert (result.miou.low, result.miou.high) == pytest.approx(
        tuple(np.quantile(naive[:, 0], [0.025, 0.975]))
    )
    rare = naive[~np.isnan(naive[:, 3]), 3]
    assert result.per_class.low[2] == pytest.approx(np.quantile(rare, 0.025))
    assert result.n_units == len(blocks)


def test_estimates_are_direct_differences_and_absent_classes_are_left_out_for_both():
    a, b = runs(3), runs(3, seed=0)[::-1][:2]
    pair = paired_bootstrap(a[0], b[0], n_boot=20, rng=rng())
    assert pair.miou.estimate == pytest.approx(mean_iou(a[0]) - mean_iou(b[0]))
    np.testing.assert_allclose(pair.per_class.estimate[:3], (iou(a[0]) - iou(b[0]))[:3])
    assert np.isnan([pair.per_class.estimate[3], pair.per_class.low[3]]).all()
    assert iou(a[0])[3] == 0 and not np.isnan(pair.miou.estimate)  # predicted, never in the mean
    recipe = recipe_interval(a, b, n_boot=20, rng=rng())
    means = [np.mean([mean_iou(run) for run in side]) for side in (a, b)]
    assert recipe.miou.estimate == pytest.approx(means[0] - means[1])
    assert np.isnan(recipe.per_class.low[3])
    assert np.isnan(recipe.per_class.low[2])  # in one image: nothing to resample, no claim
    assert np.isfinite(recipe.per_class.low[:2]).all()


def test_counts_beyond_float32_stay_exact():
    tp = np.array([[[2**26 + 1]], [[2**26 + 1]]])
    counts = np.concatenate([tp, 0 * tp, 0 * tp + 1], axis=-1)
    sample = resample([counts[None]], n_boot=5, rng=rng())
    assert (sample.replicates[0][..., 0] == (2**26 + 1) / (2**26 + 2)).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: paired_bootstrap(runs(2), runs(2), n_boot=9, rng=rng()),
            r"\(n_images, C, 3\) and not empty, got \(2, 12, 4, 3\)",
        ),
        (
            lambda: recipe_interval(runs(2)[0], runs(2)[0], n_boot=9, rng=rng()),
            r"\(S, n_images, C, 3\) and not empty, got \(12, 4, 3\)",
        ),
        (
            lambda: recipe_interval(runs(2), runs(2)[:, :5], n_boot=9, rng=rng()),
            r"like \(2, 12, 4, 3\), got \(2, 5, 4, 3\)",
        ),
        (lambda: recipe_interval(runs(2), runs(2, 1), n_boot=9, rng=rng()), "must share the truth"),
        (
            lambda: paired_bootstrap(*runs(2), n_boot=9, rng=rng(), groups=[0, 1]),
            "12 labels.*got 2",
        ),
        (
            lambda: paired_bootstrap(*runs(2), n_boot=1, rng=rng()),
            "n_boot must be at least 2, got 1",
        ),
        (
            lambda: recipe_interval(
                runs(2), runs(2), n_boot=9, rng=rng(), pooled=(np.ones(3), np.ones(3))
            ),
            r"\(5,\), got \(3,\) and \(3,\)",
        ),
        (
            lambda: contrast(resample([runs(2)], n_boot=9, rng=rng()), (1, -1)),
            "1 numbers, one per arm",
        ),
        (lambda: seed_variance([np.ones((2, 1))], [1.0], seeds=[[0]]), r"\[2\], got \[\[0\]\]"),
        (
            lambda: seed_variance([np.ones((2, 1))], [1.0, -1.0]),
            r"per arm \(1\), got \[1.0, -1.0\]",
        ),
    ],
)
def test_bad_input_says_what_was_expected_and_got(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- seeds and images


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
    bootstrap = np.var(sample.replicates[0].mean(1) - sample.replicates[1].mean(1), axis=0)[0]
    result = contrast(sample, (1, -1)).miou
    assert result.image_variance < 0.3 * bootstrap
    assert result.seed_variance > 0


def test_under_five_groups_the_interval_speaks_of_these_images():
    a, b = np.split(runs(6, n_images=20), 2)
    few = recipe_interval(a, b, n_boot=50, rng=rng(), groups=np.arange(20) % 4)
    enough = recipe_interval(a, b, n_boot=50, rng=rng(), groups=np.arange(20) % 5)
    assert few.images_fixed and few.miou.image_variance == 0 and np.isfinite(few.miou.low)
    assert not enough.images_fixed and enough.miou.image_variance > 0 and enough.n_units == 5


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


def test_without_any_variance_a_difference_is_sure():
    same, other = with_scores([0.5, 0.5]), with_scores([0.25, 0.25])
    told = recipe_interval(same, other, n_boot=20, rng=rng()).miou
    assert (told.low, told.high, told.p) == (0.25, 0.25, 0)
    none = recipe_interval(same, same, n_boot=20, rng=rng()).miou
    assert (none.low, none.high, none.p) == (0, 0, 1) and verdict(none, 0.005) == "equivalent"


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


# ---- families and verdicts


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
    p = stats.t_interval(np.array([3.0]), *seeds, *images).p[0]
    assert abs(stats.t_interval(np.array([3.0]), *seeds, *images, p).low[0]) < 1e-3
    assert 0.02 < p < 0.2


# ---- noise floor


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


# ---- whole studies


def test_main_effects_and_interaction():
    networks, losses = list("uuurrr"), ["bce", "dice", "ft"] * 2
    cells = np.array([[0.2, 0.3, 0.25], [0.4, 0.5, 0.65]])  # ft does 0.2 more for r
    sample = resample(
        [with_scores([m - 0.01, m + 0.01]) for m in cells.ravel()], n_boot=20, rng=rng()
    )

    def effects(seeds):
        return {
            name: contrast(
                sample,
                weights,
                pooled=seed_variance(sample.observed, weights, networks=networks, seeds=seeds),
            )
            for name, weights in factorial_weights(networks, losses).items()
        }

    found = effects([[0, 1]] * 6)
    assert len(found) == 1 + 3 + 3
    network = found["network", "r", "u"].miou
    assert network.estimate == pytest.approx((0.55 + 0.75 + 0.25) / 3 - 0.25)
    assert found["loss", "dice", "bce"].miou.estimate == pytest.approx(0.1)
    assert found["interaction", ("r", "u"), ("ft", "bce")].miou.estimate == pytest.approx(0.2)
    assert found["interaction", ("r", "u"), ("dice", "bce")].miou.estimate == pytest.approx(0)
    # both networks have the same seed effect: it cancels in every contrast
    assert network.se == pytest.approx(0, abs=1e-9)
    free = effects(None)["network", "r", "u"].miou
    assert free.se == pytest.approx(np.sqrt(2 * 0.0002 / 2 / 3))  # 6 arms, 2 seeds, weights 1/3
    with pytest.raises(ValueError, match=r"\('r', 'ft'\)"):
        factorial_weights(networks[:5], losses[:5])


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
    sample = add_group_means(resample([runs(3), runs(3)[::-1]], n_boot=50, rng=rng()), [(0, 1)])
    pooled = seed_variance(sample.observed, (1, -1))
    classes = contrast(sample, (1, -1), pooled=pooled).per_class
    assert classes.estimate[4] == pytest.approx(classes.estimate[:2].mean())
    assert classes.low[4] < classes.estimate[4] < classes.high[4]


def test_convergence_and_cost():
    epochs = np.array([1, 2, 4, 8])
    slow, fast = np.array([0.1, 0.2, 0.3, 0.6]), np.array([0.1, 0.5, NAN, 0.5])
    found = convergence([(epochs, slow), (epochs, fast)])
    assert found.reference == 0.6
    assert found.epochs.tolist() == [[4, 8, 8], [2, 2, np.inf]]
    assert found.area == pytest.approx([(0.15 + 0.5 + 1.8) / 7, (0.3 + 3.0) / 7])
    falls = np.array([0.1, 0.3, NAN, 0.2])  # evaluated after 2, 4 and 16 minutes
    np.testing.assert_allclose(
        score_at_cost(epochs * 2.0, falls, [1, 2, 3, 4, 15, 17]), [NAN, 0.1, 0.2, 0.3, 0.3, 0.3]
    )
    with pytest.raises(ValueError, match="first increasing"):
        score_at_cost([2, 1], [0.1, 0.2], 1.5)


# ---- proof, in small; the full one is benchmarks/coverage.py


@pytest.fixture(scope="module")
def coverage():
    path = Path(__file__).parents[3] / "benchmarks/coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("world, n_seeds", [("SEED_NOISE", 2), ("IMAGE_NOISE", 3)])
def test_recipe_intervals_cover_the_truth(coverage, world, n_seeds):
    world, draw = getattr(coverage, world), rng(11)
    truth = coverage.true_scores(world, draw, 1000)
    found = coverage.coverage_row(world, n_seeds, 300, draw, truth)
    for row in found.values():
        assert 0.92 <= row["recipe"] <= 0.985 and 0.9 <= row["rare"] <= 0.995
    if world == coverage.SEED_NOISE:
        assert found["loss"]["images"] < 0.65  # images alone do not speak of the recipe


def test_few_degrees_of_freedom_do_not_make_short_intervals(coverage):
    rows = np.array(coverage.small_df(rng(13), 5000))
    assert rows[:, 2].min() < 0.9 < 0.93 < rows[:, 3].min()  # plain Satterthwaite, ours
    assert rows[:, 3].max() < 0.985


def test_arms_alike_are_seldom_told_apart(coverage):
    alike = replace(coverage.SEED_NOISE, effect=0.0)
    found = coverage.false_alarms(alike, 2, 200, rng(12), coverage.planned(2))
    assert max(found.values()) <= 0.1
    apart = replace(coverage.SEED_NOISE, effect=2.0)
    found = coverage.false_alarms(apart, 3, 20, rng(12), coverage.planned(2))
    assert found["loss"] > 0.5  # the same test does see a difference
