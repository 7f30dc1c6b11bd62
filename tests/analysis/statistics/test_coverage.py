"""Proof that intervals cover, in small; the full one is benchmarks/coverage.py."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.statistics.counts import rng

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def coverage():
    """The benchmark, under a name that no package has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        spec = importlib.util.spec_from_file_location("_coverage", BENCHMARKS / "coverage.py")
        module = importlib.util.module_from_spec(spec)
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
