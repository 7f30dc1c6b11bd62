"""The resampling of images against naive loops; bad input."""

import numpy as np
import pytest

from analysis.statistics import bootstrap
from analysis.statistics.bootstrap import replicates, resample
from analysis.statistics.contrasts import contrast, paired_bootstrap
from analysis.statistics.seeds import seed_variance
from seglib.metrics import iou, mean_iou
from tests.analysis.statistics.counts import NAN, N, recipe_interval, rng, runs


@pytest.mark.parametrize("groups", [None, list("aabbbbcdeeff")])
def test_bootstrap_is_the_naive_loop_with_the_same_indices(groups, monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK", 12 * 40)  # several chunks must draw like one
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
    scores = replicates([a[None], b[None]], n_boot=200, rng=rng(3), groups=groups)
    got = scores[:, 0] - scores[:, 1]
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
    scores = replicates([counts[None]], n_boot=5, rng=rng())
    assert (scores[..., 0] == (2**26 + 1) / (2**26 + 2)).all()


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
            r"same images and classes, \(12, 4\) as the first run has, got \(5, 4\)",
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
