"""Losses against NumPy written from the formulas; what void, absent classes and weights do."""

import numpy as np
import pytest
import torch

from seglib.losses import LOSSES, build_loss, class_weights, resolve_params

C = 4
torch.manual_seed(0)
LOGITS = torch.randn(3, C, 5, 6, dtype=torch.float64)
MASKS = torch.randint(0, C - 1, (3, 5, 6))  # class 3 is absent
MASKS[:, 0, :2] = 255


def numpy_parts(activation):
    logits, masks = LOGITS.numpy(), MASKS.numpy()
    valid = masks != 255
    onehot = np.stack([(masks == c) & valid for c in range(C)], 1).astype(float)
    if activation == "sigmoid":
        probs = 1 / (1 + np.exp(-logits))
    else:
        exp = np.exp(logits)
        probs = exp / exp.sum(1, keepdims=True)
    return probs, onehot, valid


def test_bce_is_the_mean_over_valid_pixels_and_channels():
    probs, onehot, valid = numpy_parts("sigmoid")
    values = -(onehot * np.log(probs) + (1 - onehot) * np.log(1 - probs)).sum(1)[valid]
    assert float(build_loss("bce", n_classes=C)(LOGITS, MASKS)) == pytest.approx(values.mean() / C)


def test_class_weight_multiplies_all_channels_of_a_pixel():
    weights = [0.5, 2.0, 1.0, 3.0]
    probs, onehot, valid = numpy_parts("sigmoid")
    values = -(onehot * np.log(probs) + (1 - onehot) * np.log(1 - probs)).sum(1)
    pixel = (onehot * np.array(weights)[:, None, None]).sum(1)
    expected = (values * pixel)[valid].sum() / valid.sum() / C
    loss = build_loss("bce", n_classes=C, class_weights=weights)
    assert float(loss(LOGITS, MASKS)) == pytest.approx(expected)


def test_dice_bce_is_the_sum_of_its_shares():
    probs, onehot, valid = numpy_parts("sigmoid")
    probs = probs * valid[:, None]
    tp, p, g = ((a).sum((0, 2, 3)) for a in (probs * onehot, probs, onehot))
    dice = (1 - (2 * tp + 1) / (p + g + 1))[:3].mean()
    bce = float(build_loss("bce", n_classes=C)(LOGITS, MASKS))
    loss = build_loss("dice_bce", n_classes=C, share=0.3)
    terms = loss.terms(LOGITS, MASKS)
    assert float(terms["bce"]) == pytest.approx(0.7 * bce)
    assert float(terms["dice"]) == pytest.approx(0.3 * dice)
    assert float(loss(LOGITS, MASKS)) == pytest.approx(0.7 * bce + 0.3 * dice)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_focal_tversky_formula(activation):
    probs, onehot, valid = numpy_parts(activation)
    probs = probs * valid[:, None]
    tp = (probs * onehot).sum((0, 2, 3))
    fp, fn = probs.sum((0, 2, 3)) - tp, onehot.sum((0, 2, 3)) - tp
    index = (tp + 1) / (tp + 0.4 * fp + 0.6 * fn + 1)
    expected = ((1 - index) ** 1.5)[:3].mean()  # the power before the mean, absent class skipped
    loss = build_loss("focal_tversky", n_classes=C, fn_weight=0.6, exponent=1.5,
                      activation=activation)
    assert float(loss(LOGITS, MASKS)) == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_void_changes_nothing_and_all_void_is_zero(name):
    loss = build_loss(name, n_classes=C)
    moved = LOGITS.clone()
    moved[:, :, 0, :2] += 50
    assert float(loss(moved, MASKS)) == pytest.approx(float(loss(LOGITS, MASKS)))
    logits = LOGITS.clone().requires_grad_()
    loss(logits, MASKS).backward()
    assert not logits.grad[:, :, 0, :2].any() and logits.grad.any()
    logits = LOGITS.clone().requires_grad_()
    value = loss(logits, torch.full_like(MASKS, 255))
    value.backward()
    assert float(value.detach()) == 0 and not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_prediction_has_a_finite_gradient_and_half_agrees(name):
    loss = build_loss(name, n_classes=C)
    masks = torch.randint(0, C, (2, 8, 8))
    logits = (torch.nn.functional.one_hot(masks, C).permute(0, 3, 1, 2) * 60.0 - 30).double()
    logits.requires_grad_()
    value = loss(logits, masks)
    value.backward()
    assert float(value.detach()) < 1e-4 and bool(torch.isfinite(logits.grad).all())
    single = loss(LOGITS.float(), MASKS)
    assert float(loss(LOGITS.half(), MASKS)) == pytest.approx(float(single), abs=2e-3)


def test_gradients():
    for name in LOSSES:
        loss = build_loss(name, n_classes=C)
        logits = LOGITS[:1, :, :3, :3].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, MASKS[:1, :3, :3]), logits)


def test_class_weights_keep_the_expected_size():
    share = [0.7, 0.25, 0.05, 0.0]
    weights = class_weights(share, exponent=0.5, background_multiplier=0.5)
    assert float((weights * torch.tensor(share)).sum()) == pytest.approx(1)
    assert float(weights[2] / weights[1]) == pytest.approx((0.25 / 0.05) ** 0.5)
    assert float(weights[3]) == 0
    assert class_weights(share, exponent=0.0) is None


def test_parameters_resolve_once():
    assert resolve_params("focal_tversky", {"fn_weight": 0.6})["fp_weight"] == pytest.approx(0.4)
    assert resolve_params("focal_tversky", {"fn_weight": 0.6, "fp_weight": 0.6})["fp_weight"] == 0.6


@pytest.mark.parametrize("name, params, message", [
    ("dicebce", {}, "loss must be one of bce, dice_bce, focal_tversky, got 'dicebce'"),
    ("bce", {"share": 0.5}, "bce has no parameter share; it declares none"),
    ("dice_bce", {"share": 1.5}, r"share must be in \[0, 1\], got 1.5"),
    ("dice_bce", {"share": float("nan")}, r"share must be in \[0, 1\], got nan"),
    ("focal_tversky", {"activation": "relu"}, "must be one of softmax, sigmoid, got 'relu'"),
])
def test_bad_parameters(name, params, message):
    with pytest.raises(ValueError, match=message):
        build_loss(name, n_classes=C, **params)


def test_bad_tensors():
    loss = build_loss("bce", n_classes=C)
    with pytest.raises(ValueError, match=r"logits must be \(B, 4, H, W\)"):
        loss(LOGITS[:, :3], MASKS)
    with pytest.raises(ValueError, match=r"masks must be in \[0, 4\) or 255, got 0 to 4"):
        loss(LOGITS, MASKS.clamp(max=4))
    with pytest.raises(ValueError, match="class_weights must be 4 non-negative"):
        build_loss("bce", n_classes=C, class_weights=[1, 2, -1, 0])
