"""Class weights: one family of the share of the pixels, scaled to mean 1."""

import itertools

import pytest
import torch

from seglib.losses import class_weights


def test_class_weights():
    share = [0.7, 0.25, 0.05, 0.0]
    assert class_weights(share, exponent=0) is None
    for exponent, background in itertools.product((0.5, 1.0, 2.0), (0.25, 1.0, 3.0)):
        weights = class_weights(share, exponent=exponent, background_multiplier=background)
        assert float((weights * torch.tensor(share).double()).sum()) == pytest.approx(1)
        assert float(weights[1] / weights[2]) == pytest.approx((0.05 / 0.25) ** exponent)
        assert float(weights[0] / weights[1]) == pytest.approx(
            background * (0.25 / 0.7) ** exponent
        )
        assert float(weights[3]) == 0
    inverse = class_weights([0.64, 0.36], exponent=1)  # f w is 1 / classes
    assert inverse.tolist() == pytest.approx([1 / 1.28, 1 / 0.72])
    root = class_weights([0.64, 0.36], exponent=0.5)  # 1/0.8 and 1/0.6 over 0.8 + 0.6
    assert root.tolist() == pytest.approx([1.25 / 1.4, 1 / 0.6 / 1.4])
    for bad in ([0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [0.0, 0.0], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="pixel_share must be .* add up to 1, got"):
            class_weights(bad, exponent=0.5)
