"""The contract every loss keeps, loss by loss and property by property; bad input.

What a term's value is, against the formulas and other libraries: tests/test_loss_oracles.py.
"""

import itertools
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from seglib.losses import LOSSES, build_loss, resolve_params
from seglib.losses.__main__ import markdown_table

C = 4
HUGE = 1e4


def batch(seed=0, size=(3, 5, 6)):
    """Float64 logits, masks with every class in every image, and void."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], C, *size[1:], generator=rng, dtype=torch.float64)
    masks = torch.randint(0, C, size, generator=rng)
    masks[:, -1, :C] = torch.arange(C)
    masks[:, 0, :2] = 255
    return logits, masks


def hard(masks, scale=30.0):
    """Logits that predict `masks` (void as class 0) as surely as `scale` says."""
    labels = masks.masked_fill(masks == 255, 0)
    return (2 * F.one_hot(labels, C).movedim(-1, 1).double() - 1) * scale


def value_and_grad(loss, logits, masks):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, masks)
    value.backward()
    return float(value.detach()), logits.grad


def variants(name):
    """The loss as declared, and with every other value of every switch it has."""
    yield build_loss(name, n_classes=C)
    for key, param in LOSSES[name].params.items():
        for choice in param.choices:
            if choice != param.default:
                yield build_loss(name, n_classes=C, **{key: choice})


# The properties. Each takes the name of a loss and fails if the loss does not have it.


def a_perfect_prediction_is_a_minimum(name):
    loss, (_, masks) = build_loss(name, n_classes=C), batch()
    perfect, grad = value_and_grad(loss, hard(masks), masks)
    floor = 1e-6**0.3 if name == "exp_log" else 0.0  # its logarithms are clamped at 1e-6
    assert floor - 1e-9 <= perfect < floor + 1e-4 and bool(torch.isfinite(grad).all())
    for seed in range(12):
        for worse in (
            batch(seed)[0] * 10.0 ** (seed % 3 - 1),
            hard(batch(seed + 1)[1]),
            hard(masks) + 40 * batch(seed)[0],
            hard(masks, 0.3 * seed),
        ):
            assert perfect <= float(loss(worse, masks)) + 1e-9
    powers = {key: 0.1 for key in ("gamma", "exponent") if key in loss.params}  # steep at 0
    for scale, params in itertools.product((30.0, 60.0, HUGE), ({}, powers)):
        loss = build_loss(name, n_classes=C, **params)
        grad = value_and_grad(loss, hard(masks, scale).float(), masks)[1]
        assert bool(torch.isfinite(grad).all())


def an_all_void_batch_is_zero(name):
    for loss in variants(name):
        value, grad = value_and_grad(loss, batch()[0], torch.full_like(batch()[1], 255))
        assert value == 0 and not grad.any()


def void_changes_nothing(name):
    logits, masks = batch()
    void = (masks == 255).unsqueeze(1).expand_as(logits)
    for loss in variants(name):
        value, grad = value_and_grad(loss, logits, masks)
        assert not grad[void].any() and grad.any()
        for other in (logits + 50, -logits, torch.full_like(logits, HUGE), logits.sign() * HUGE):
            moved, moved_grad = value_and_grad(loss, torch.where(void, other, logits), masks)
            assert moved == pytest.approx(value, rel=1e-13)
            assert not moved_grad[void].any()
            torch.testing.assert_close(moved_grad, grad, rtol=1e-12, atol=1e-15)


def arguments_stay_and_any_integer_dtype_will_do(name):
    logits, masks = batch()
    for loss in variants(name):
        kept = logits.clone(), masks.clone()
        value, _ = value_and_grad(loss, logits, masks)
        assert torch.equal(logits, kept[0]) and torch.equal(masks, kept[1])
        assert float(loss(logits, masks.to(torch.uint8))) == value
        assert float(loss(logits, masks.int())) == value


def the_order_of_the_batch_and_the_memory_layout_change_nothing(name):
    logits, masks = batch()
    masks[0, :, :3] = 255  # the images differ in how much they hold
    order = torch.tensor([2, 0, 1])
    for loss in variants(name):
        value, grad = value_and_grad(loss, logits, masks)
        other = (
            logits[order].contiguous(memory_format=torch.channels_last),
            masks[order].transpose(1, 2).contiguous().transpose(1, 2),
        )
        turned, turned_grad = value_and_grad(loss, *other)
        assert turned == pytest.approx(value, rel=1e-12)
        torch.testing.assert_close(turned_grad, grad[order], rtol=1e-9, atol=1e-14)


def low_precision_logits_are_read_in_float32(name):
    loss, (logits, masks) = build_loss(name, n_classes=C), batch()
    for dtype in (torch.float16, torch.bfloat16):
        rounded = logits.to(dtype)
        value, grad = value_and_grad(loss, rounded, masks)
        expected, expected_grad = value_and_grad(loss, rounded.float(), masks)
        assert value == expected and loss(rounded, masks).dtype == torch.float32
        assert torch.equal(grad, expected_grad.to(dtype))


def autocast_changes_nothing(name):
    logits, masks = batch()
    for loss in variants(name):
        outside = value_and_grad(loss, logits.float(), masks)
        with torch.autocast("cpu", torch.bfloat16):
            inside = value_and_grad(loss, logits.float(), masks)
        assert inside[0] == outside[0] and torch.equal(inside[1], outside[1])


def float32_is_enough_for_many_pixels(name):
    masks = torch.zeros(1, 256, 256, dtype=torch.long)
    masks[:, :20], masks[:, 20:40], masks[:, 40:42, :9], masks[0, 50] = 1, 2, 3, 255
    logits = hard(masks, 3.5) + 0.1 * batch(0, (1, 256, 256))[0]  # p_y about 0.997
    loss = build_loss(name, n_classes=C)
    single, single_grad = value_and_grad(loss, logits.float(), masks)
    double, double_grad = value_and_grad(loss, logits, masks)
    assert single == pytest.approx(double, rel=2e-4, abs=1e-7)
    apart = float((single_grad - double_grad).norm() / double_grad.norm())
    assert apart < 0.05  # topk may choose another pixel


def an_absent_class_changes_nothing(name):
    logits, masks = batch()
    wider = torch.cat([logits, torch.full_like(logits[:, :1], -HUGE)], dim=1)
    region = LOSSES[name].region
    for activation in region.params["activation"].choices if region else (None,):
        params = {"activation": activation} if region else {}
        value, grad = value_and_grad(build_loss(name, n_classes=C, **params), logits, masks)
        loss = build_loss(name, n_classes=C + 1, **params)
        with_absent, with_grad = value_and_grad(loss, wider, masks)
        assert with_absent == pytest.approx(value, rel=1e-12) and not with_grad[:, C].any()
        torch.testing.assert_close(with_grad[:, :C], grad, rtol=1e-12, atol=1e-15)


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


def gradcheck_passes(name):
    logits, masks = batch(3, (2, 3, 4))
    for loss in variants(name):
        logits.requires_grad_()
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, masks), logits, fast_mode=True)


def extreme_logits_stay_finite_and_nan_shows(name):
    masks = batch()[1]
    signs = batch(1)[0].sign().float()
    for loss, extreme in itertools.product(
        variants(name),
        (signs, torch.ones_like(signs), hard(masks, 1.0).float(), -hard(masks, 1.0).float()),
    ):
        value, grad = value_and_grad(loss, extreme * HUGE, masks)
        assert math.isfinite(value) and bool(torch.isfinite(grad).all())
    signs[0, 1, 2, 3] = math.nan  # but what is not finite must show
    assert math.isnan(float(build_loss(name, n_classes=C)(signs, masks)))


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


@pytest.mark.parametrize("loss, prop", CELLS)
def test_contract(loss, prop):
    PROPERTIES[prop](loss)


def test_nothing_is_left_out_of_the_contract_silently():
    left_out = [len(losses) for losses, _ in NOT_APPLICABLE.values()]
    assert left_out == [4, 18, 18, 4, 4, 13] and NOT_APPLICABLE.keys() <= PROPERTIES.keys()
    assert (len(LOSSES), len(PROPERTIES), len(CELLS)) == (23, 18, 23 * 18 - 61)


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
