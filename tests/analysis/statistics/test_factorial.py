"""Main effects and interactions of crossed axes."""

import numpy as np
import pytest

from analysis.statistics.bootstrap import resample
from analysis.statistics.contrasts import contrast
from analysis.statistics.factorial import absent, crossed, factorial_weights
from analysis.statistics.seeds import seed_variance
from tests.analysis.statistics.counts import rng, with_scores


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
            for name, weights in factorial_weights({"network": networks, "loss": losses}).items()
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
        factorial_weights({"network": networks[:5], "loss": losses[:5]})


def test_three_axes_are_averaged_over_all_others():
    """Score = network + 2 loss + 4 augmentation, and 8 where loss and augmentation are both b."""
    axes = {"network": list("NNNNMMMM"), "loss": list("kkllkkll"), "augmentation": list("wswswsws")}
    high = [np.array([label == b for label in axes[n]]) for n, b in zip(axes, "Mls", strict=True)]
    scores = 1.0 * high[0] + 2 * high[1] + 4 * high[2] + 8 * (high[1] & high[2])
    found = {name: float(weights @ scores) for name, weights in factorial_weights(axes).items()}
    assert found == {
        ("network", "M", "N"): 1,
        ("loss", "l", "k"): 2 + 8 / 2,
        ("augmentation", "s", "w"): 4 + 8 / 2,
        ("interaction", ("M", "N"), ("l", "k")): 0,
        ("interaction", ("M", "N"), ("s", "w")): 0,
        ("interaction", ("l", "k"), ("s", "w")): 8,
    }
    short = {name: labels[:-1] for name, labels in axes.items()}
    assert absent(axes) == [] and absent(short) == [("M", "l", "s")]
    with pytest.raises(ValueError, match=r"network, loss, augmentation must have .*'M', 'l', 's'"):
        factorial_weights(short)


def test_what_follows_from_other_axes_is_no_axis():
    axes = {"network": list("nnmm"), "loss": list("klkl")}
    more = {"width": list("1122"), "lr": list("abcd")}  # by network; by network and loss
    assert list(crossed(axes | more)) == ["network", "loss"]
    one = {"network": list("nnn"), "loss": list("kkl"), "lr": list("aba")}
    assert list(crossed(one)) == ["loss", "lr"]
    assert crossed({"network": list("n"), "loss": list("k")}) == {}
