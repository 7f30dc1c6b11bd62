"""Bad parameters, shapes, labels and weights are refused; the table of the README."""

import math
from pathlib import Path

import pytest
import torch

from seglib.losses import LOSSES, build_loss
from seglib.losses.__main__ import markdown_table
from tests.seglib.losses.properties import C, batch


@pytest.mark.parametrize(
    "name, params, message",
    [
        ("dicebce", {}, "loss must be one of ce, bce, focal, .*, exp_log, got 'dicebce'"),
        ("bce", {"share": 0.5}, "bce has no parameter share; it declares none"),
        ("focal", {"beta": 1, "alpha": 2}, "focal has no parameter alpha, beta; it declares gamma"),
        ("dice_bce", {"share": 1.5}, r"share must be in \[0, 1\], got 1.5"),
        (
            "lovasz",
            {"classes": "flattened"},
            "classes must be one of present, all, got 'flattened'",
        ),
    ],
)
def test_bad_parameters(name, params, message):
    with pytest.raises(ValueError, match=message):
        build_loss(name, n_classes=C, **params)


def test_every_value_outside_its_range_is_refused():
    for name, spec in LOSSES.items():
        for key, param in spec.params.items():
            none = [] if key == "fp_weight" else [None]  # it follows fn_weight
            for bad in (param.low - 1e-6, param.high * 1.01, math.nan, math.inf, "much", *none):
                with pytest.raises(ValueError, match=f"{key} must be"):
                    build_loss(name, n_classes=C, **{key: bad})
            for fine in param.choices or (param.low, param.high, *(param.search or ())):
                assert build_loss(name, n_classes=C, **{key: fine}).params[key] == fine


@pytest.mark.parametrize(
    "logits, masks",
    [
        ((2, 3, 5, 6), (2, 5, 6)),
        ((2, 4, 5, 6), (1, 5, 6)),
        ((1, 4, 5, 6), (2, 5, 6)),
        ((2, 4, 5, 6), (2, 6, 5)),
        ((2, 4, 5, 6), (2, 1, 5, 6)),
        ((4, 5, 6), (5, 6)),
        ((), ()),
    ],
)
def test_shapes_that_disagree(logits, masks):
    with pytest.raises(ValueError, match=r"logits must be \(B, 4, H, W\) and masks \(B, H"):
        build_loss("dice_ce", n_classes=C)(torch.zeros(logits), torch.zeros(masks).long())


@pytest.mark.parametrize("label", [-1, -100, 4, 254, 256])
def test_labels_out_of_range(label):
    logits, masks = batch()
    masks[1, 1, 1] = label
    with pytest.raises(ValueError, match=rf"masks must be in \[0, 4\) or 255, got .*{label}"):
        build_loss("dice_ce", n_classes=C)(logits, masks)
    with pytest.raises(ValueError, match="masks must be integers, got torch.float32"):
        build_loss("dice_ce", n_classes=C)(logits, masks.float())


@pytest.mark.parametrize(
    "weights",
    [[1, 2, 3], [1] * 5, [[1] * 4], 1.0, [1, 2, -1, 0], [1, math.nan, 1, 1], [1, math.inf, 1, 1]],
)
def test_bad_class_weights(weights):
    with pytest.raises(ValueError, match="class_weights must be 4 finite, non-negative numbers"):
        build_loss("bce", n_classes=C, class_weights=weights)


def test_the_readme_has_the_table_of_losses():
    """To renew it: python -m seglib.losses, between the marks."""
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    table = readme.partition("<!-- losses -->")[2].partition("<!-- /losses -->")[0]
    assert table.strip() == markdown_table()
