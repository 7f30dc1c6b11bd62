"""What each term computes: NumPy from the papers' formulas, exact identities."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seglib.losses import LOSSES, build_loss, resolve_params
from tests.seglib.losses.oracles import (
    PIXEL,
    REGION,
    C,
    batch,
    numpy_pixel,
    numpy_region,
    probs_and_truth,
    settings,
    spec_of,
    value,
)


@pytest.mark.slow
@pytest.mark.parametrize("term", REGION)
def test_region_terms(term):
    logits, masks = batch()
    name, spec = spec_of(term)
    for given in settings(spec.region.params):
        q = resolve_params(name, given)
        loss = build_loss(name, n_classes=C, **given)
        for images in (slice(None), slice(2, 3)):  # image 2 has two classes
            found = float(loss.terms(logits[images], masks[images])[term]) / q.get("share", 1)
            expected = numpy_region(term, logits[images], masks[images], q)
            assert found == pytest.approx(expected, rel=1e-9), given


@pytest.mark.parametrize("term", PIXEL)
def test_pixel_terms(term):
    logits, masks = batch()
    name, spec = spec_of(term)
    for given, weights in itertools.product(
        settings(spec.pixel.params), ([1, 1, 1, 1], [0.5, 2, 0, 3])
    ):
        loss = build_loss(name, n_classes=C, class_weights=weights, **given)
        share = 1 - loss.params.get("share", 0)
        expected = numpy_pixel(term, logits, masks, loss.params, weights)
        assert float(loss.terms(logits, masks)[term]) / share == pytest.approx(expected), given


def test_topk_counts_its_percent_exactly():
    """100 * 0.07 is a little above 7 in float64."""
    logits = torch.stack([-torch.arange(100.0).double(), torch.zeros(100).double()])
    worst = F.softplus(torch.arange(93.0, 100.0).double()).mean()
    masks = torch.zeros(1, 10, 10).long()
    found = value("topk", logits.view(1, 2, 10, 10), masks, top_percent=7)
    assert found == pytest.approx(float(worst), rel=1e-12)


def test_every_term_has_an_oracle():
    terms = {term.name for spec in LOSSES.values() for term in (spec.region, spec.pixel) if term}
    assert terms == {*REGION, *PIXEL}


@pytest.mark.parametrize("name", [name for name, spec in LOSSES.items() if spec.share])
def test_a_compound_is_the_weighted_sum_of_its_parts(name):
    logits, masks = batch()
    spec, weights = LOSSES[name], [1, 2, 0.5, 3]
    q = resolve_params(
        name,
        {
            key: param.default if param.choices or key == "ramp" else 0.3 + i / 15
            for i, (key, param) in enumerate(spec.params.items())
        },
    )
    total = 0.0
    for term, share in ((spec.region, q["share"]), (spec.pixel, 1 - q["share"])):
        if term.name in LOSSES:
            own = {key: q[key] for key in LOSSES[term.name].params}
            alone = float(
                build_loss(term.name, n_classes=C, class_weights=weights, **own)(logits, masks)
            )
        elif term.name in REGION:
            alone = numpy_region(term.name, logits, masks, q)
        else:
            alone = numpy_pixel(term.name, logits, masks, q, weights)
        total += share * alone
    loss = build_loss(name, n_classes=C, class_weights=weights, **q)
    assert float(loss(logits, masks)) == pytest.approx(total, rel=1e-12)
    both = set(spec.region.params) & set(spec.pixel.params)
    assert both == ({"exponent"} if name == "exp_log" else set())  # no name means two things


SAME = [
    ("tversky", {"fn_weight": 0.5, "smooth": 1.5}, "dice", {"smooth": 3}),
    ("tversky", {"fn_weight": 1, "fp_weight": 1, "smooth": 3}, "jaccard", {"smooth": 3}),
    ("asymmetric", {"beta": 1}, "tversky", {"fn_weight": 0.5}),
    ("asymmetric", {"beta": 2}, "tversky", {"fn_weight": 0.8}),
    ("focal_tversky", {"exponent": 1}, "tversky", {}),
    ("focal_tversky_ce", {"exponent": 1}, "tversky_ce", {}),
    ("penalty_gd", {"penalty": 0}, "generalised_dice", {}),
    ("focal", {"gamma": 0}, "ce", {}),
    ("topk", {"top_percent": 100}, "ce", {}),
    ("combo", {"positive_share": 0.5}, "dice_bce", {}),
    ("dice_focal", {"gamma": 0}, "dice_ce", {}),
    ("lovasz_ce", {"share": 1}, "lovasz", {}),
    ("dice_topk", {"top_percent": 100, "share": 0}, "ce", {}),
]


@pytest.mark.slow
@pytest.mark.parametrize("name, params, other, other_params", SAME)
def test_identities(name, params, other, other_params):
    logits, masks = batch()
    shared = {k: p for k, p in LOSSES[name].params.items() if k in LOSSES[other].params}
    for switches in settings({k: p for k, p in shared.items() if p.choices}):
        found = value(name, logits, masks, **params, **switches)
        assert found == pytest.approx(
            value(other, logits, masks, **other_params, **switches), rel=1e-12
        )


def test_flattened_tversky_under_softmax_is_the_mean_probability_of_the_wrong_classes():
    """Whatever the weights, as long as they add up to 1: no handling of imbalance is left."""
    logits, masks = batch()
    p, g = probs_and_truth(logits, masks)
    for fn_weight in (0.1, 0.5, 0.9):
        found = value("tversky", logits, masks, fn_weight=fn_weight, smooth=0, classes="flattened")
        assert found == pytest.approx(1 - (p * g).sum(1).mean(), rel=1e-12)


def test_lovasz_of_a_hard_prediction_is_one_minus_iou():
    logits, masks = batch()
    guess = logits.argmax(1).masked_fill(masks == 255, -1)
    iou = np.mean(
        [
            int(((guess == c) & (masks == c)).sum()) / int(((guess == c) | (masks == c)).sum())
            for c in range(3)
        ]
    )
    hard = 60 * F.one_hot(guess.clamp(min=0), C).movedim(-1, 1).double()
    assert value("lovasz", hard, masks) == pytest.approx(1 - iou)


def test_lovasz_has_the_gradient_of_its_definition_with_many_pixels_in_float32():
    """A pixel of many moves 1 - IoU by little more than float32 resolves."""
    n_pixels = 2**18
    masks = (torch.arange(n_pixels) % 2).view(1, 512, 512)
    column = torch.linspace(-3, 3, n_pixels, dtype=torch.float64)  # all errors differ
    single, double = (
        torch.stack([-column, column]).view(1, 2, 512, 512).to(dtype).requires_grad_()
        for dtype in (torch.float32, torch.float64)
    )
    loss = build_loss("lovasz", n_classes=2, activation="sigmoid", background="out")
    for logits in (single, double):
        loss(logits, masks).backward()
    assert float((single.grad - double.grad).norm() / double.grad.norm()) < 1e-3


def test_lovasz_is_the_largest_over_all_orders_of_the_pixels():
    """The Lovasz extension of a submodular function is its convex closure: brute force."""
    logits = batch()[0][:1, :3, :2, :3]
    masks = torch.tensor([[[0, 1, 1], [2, 0, 1]]])
    p, g = probs_and_truth(logits, masks)
    values = []
    for errors, truth in zip(np.abs(g - p).T, g.T, strict=True):
        best = 0.0
        for order in itertools.permutations(range(6)):
            jaccard = [
                len(set(order[:k])) / len(set(order[:k]) | set(np.flatnonzero(truth)))
                for k in range(7)
            ]
            best = max(best, float(errors[list(order)] @ np.diff(jaccard)))
        values.append(best)
    assert value("lovasz", logits, masks) == pytest.approx(np.mean(values), rel=1e-12)
