"""Properties that every loss has, whatever it is made of.

Each takes the name of a loss and fails if the loss does not have it.
"""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from seglib.losses import LOSSES, build_loss

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
