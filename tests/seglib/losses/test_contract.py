"""The contract every loss keeps, loss by loss and property by property.

What a term's value is, against the formulas and other libraries: test_terms.py and
test_other_libraries.py.
"""

import itertools
import math

import pytest
import torch

from seglib.losses import LOSSES, build_loss, resolve_params
from tests.seglib.losses.properties import (
    C,
    a_perfect_prediction_is_a_minimum,
    an_absent_class_changes_nothing,
    an_all_void_batch_is_zero,
    arguments_stay_and_any_integer_dtype_will_do,
    autocast_changes_nothing,
    batch,
    extreme_logits_stay_finite_and_nan_shows,
    float32_is_enough_for_many_pixels,
    gradcheck_passes,
    hard,
    low_precision_logits_are_read_in_float32,
    the_order_of_the_batch_and_the_memory_layout_change_nothing,
    void_changes_nothing,
)


def one_sided(kind, activation):
    """Logits and masks whose only errors are false positives, or negatives, of class 1.

    With softmax they are errors of class 0 too, which must then not count.
    """
    masks = torch.zeros(1, 6, 6, dtype=torch.long)
    masks[:, 2:4], masks[:, 4:] = 1, 2
    logits = hard(masks)
    pixels = logits[0, :, 0, :3] if kind == "fp" else logits[0, :, 2, :3]
    pixels[1] = 30.0 if kind == "fp" else -30.0
    if activation == "softmax":
        pixels[0] = -30.0 if kind == "fp" else 30.0
    return logits, masks


def moves_only(kind, name, raised, kept):
    for (activation, background), here in itertools.product(
        (("sigmoid", "in"), ("softmax", "out")), ("fp", "fn")
    ):
        low, high = (
            float(
                build_loss(
                    name,
                    n_classes=C,
                    activation=activation,
                    background=background,
                    **{raised: value, kept: 0.5},
                )(*one_sided(here, activation))
            )
            for value in (0.2, 0.8)
        )
        assert high > low + 1e-3 if here == kind else high == pytest.approx(low, rel=1e-9)


def fp_weight_moves_false_positives_only(name):
    moves_only("fp", name, "fp_weight", "fn_weight")


def fn_weight_moves_false_negatives_only(name):
    moves_only("fn", name, "fn_weight", "fp_weight")


LN, MISS = math.log(C), 1 - 1 / C  # -log p_y and 1 - p_y where all logits are 0


SIGMOID_DICE, BCE = 1 - 2 / (C + 2), math.log(2)  # there all p = 1/2


SIZES = {
    "ce": LN,
    "bce": BCE,
    "focal": MISS**2 * LN,
    "topk": LN,
    "dice": MISS,
    "jaccard": 1 - 1 / (2 * C - 1),
    "tversky": MISS,
    "asymmetric": MISS,
    "focal_tversky": MISS**0.75,
    "generalised_dice": MISS,
    "penalty_gd": 1 - 1 / (C + 2.5 * (C - 1)),
    "sensitivity_specificity": 0.05 * MISS**2 + 0.95 / C**2,
    "lovasz": MISS,
    "dice_bce": (SIGMOID_DICE + BCE) / 2,
    "dice_ce": (MISS + LN) / 2,
    "dice_focal": (MISS + MISS**2 * LN) / 2,
    "dice_topk": (MISS + LN) / 2,
    "combo": (SIGMOID_DICE + BCE) / 2,
    "tversky_ce": (MISS + LN) / 2,
    "focal_tversky_bce": (MISS**0.75 + BCE) / 2,
    "focal_tversky_ce": (MISS**0.75 + LN) / 2,
    "lovasz_ce": (MISS + LN) / 2,
    "exp_log": LN**0.3,
}


def the_size_at_the_start_is_known(name):
    masks = torch.arange(2 * 4 * C).view(2, 4, C) % C
    smooth = {"smooth": 0} if "smooth" in LOSSES[name].params else {}
    loss = build_loss(name, n_classes=C, **smooth)
    assert float(loss(torch.zeros(2, C, 4, C).double(), masks)) == pytest.approx(SIZES[name])


def class_weights_act_on_the_pixel_term_only(name):
    spec, (logits, masks) = LOSSES[name], batch()
    plain = build_loss(name, n_classes=C).terms(logits, masks)
    double = build_loss(name, n_classes=C, class_weights=[2] * C).terms(logits, masks)
    for term in filter(None, (spec.region, spec.pixel)):
        factor = 2 if term is spec.pixel else 1
        assert float(double[term.name]) == pytest.approx(factor * float(plain[term.name]))
    assert spec.cross_entropy == (spec.pixel is not None)


def over_image_is_the_mean_of_images(name):
    logits, masks = batch(0, (4, 5, 6))
    masks[1], masks[2] = 255, masks[2].clamp(max=1)  # image 1 has no valid pixel
    term, alone = LOSSES[name].region.name, build_loss(name, n_classes=C)
    each = [alone.terms(logits[i : i + 1], masks[i : i + 1])[term] for i in (0, 2, 3)]
    together = build_loss(name, n_classes=C, over="image").terms(logits, masks)[term]
    assert float(together) == pytest.approx(float(torch.stack(each).mean()), rel=1e-12)


def background_out_leaves_class_0_alone(name):
    logits, masks = batch()
    for background in ("in", "out"):
        region = build_loss(name, n_classes=C, activation="sigmoid", background=background)
        logits = logits.detach().requires_grad_()
        region.terms(logits, masks)[LOSSES[name].region.name].backward()
        assert bool(logits.grad[:, 0].any()) == (background == "in")
        assert bool(logits.grad[:, 1:].any())


def the_ramp_moves_the_share(name):
    spec, (logits, masks) = LOSSES[name], batch()
    full = build_loss(name, n_classes=C).terms(logits, masks)
    share = resolve_params(name, {})["share"]
    region, pixel = full[spec.region.name] / share, full[spec.pixel.name] / (1 - share)
    loss = build_loss(name, n_classes=C, ramp=0.4)
    for progress, now in ((0.0, 0.0), (0.1, share / 4), (0.3, share * 0.75), (0.4, share)):
        terms = loss.terms(logits, masks, progress)
        assert float(terms[spec.region.name]) == pytest.approx(now * float(region))
        assert float(terms[spec.pixel.name]) == pytest.approx((1 - now) * float(pixel))
    for progress in (0.4, 0.7, 1.0):
        assert loss.terms(logits, masks, progress) == full
    assert build_loss(name, n_classes=C).terms(logits, masks, 0.0) == full


PROPERTIES = {
    check.__name__: check
    for check in (
        a_perfect_prediction_is_a_minimum,
        an_all_void_batch_is_zero,
        void_changes_nothing,
        arguments_stay_and_any_integer_dtype_will_do,
        the_order_of_the_batch_and_the_memory_layout_change_nothing,
        low_precision_logits_are_read_in_float32,
        autocast_changes_nothing,
        float32_is_enough_for_many_pixels,
        an_absent_class_changes_nothing,
        fp_weight_moves_false_positives_only,
        fn_weight_moves_false_negatives_only,
        gradcheck_passes,
        extreme_logits_stay_finite_and_nan_shows,
        the_size_at_the_start_is_known,
        class_weights_act_on_the_pixel_term_only,
        over_image_is_the_mean_of_images,
        background_out_leaves_class_0_alone,
        the_ramp_moves_the_share,
    )
}


# Where a property does not apply: the losses that have no such thing, and why.
PIXEL_ONLY = {name for name, spec in LOSSES.items() if not spec.region}


NO_WEIGHTS = {name for name, spec in LOSSES.items() if "fp_weight" not in spec.params}


NOT_APPLICABLE = {
    "an_absent_class_changes_nothing": (
        {"bce", "dice_bce", "combo", "focal_tversky_bce"},
        "bce divides by the channels",
    ),
    "fp_weight_moves_false_positives_only": (NO_WEIGHTS, "no fp_weight"),
    "fn_weight_moves_false_negatives_only": (NO_WEIGHTS, "no fn_weight"),
    "over_image_is_the_mean_of_images": (PIXEL_ONLY, "no region term"),
    "background_out_leaves_class_0_alone": (PIXEL_ONLY, "no region term"),
    "the_ramp_moves_the_share": (
        {name for name, spec in LOSSES.items() if not spec.share},
        "one term only",
    ),
}


CELLS = [
    (loss, prop)
    for loss, prop in itertools.product(LOSSES, PROPERTIES)
    if loss not in NOT_APPLICABLE.get(prop, (set(), ""))[0]
]


@pytest.mark.slow
@pytest.mark.parametrize("loss, prop", CELLS)
def test_contract(loss, prop):
    PROPERTIES[prop](loss)


def test_nothing_is_left_out_of_the_contract_silently():
    left_out = [len(losses) for losses, _ in NOT_APPLICABLE.values()]
    assert left_out == [4, 18, 18, 4, 4, 13] and NOT_APPLICABLE.keys() <= PROPERTIES.keys()
    assert (len(LOSSES), len(PROPERTIES), len(CELLS)) == (23, 18, 23 * 18 - 61)
