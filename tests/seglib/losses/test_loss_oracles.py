"""What each loss computes: NumPy from the papers' formulas, other libraries, exact identities.

Not asked, because they are wrong: kornia (Tversky ignores which side, Lovasz sorts the labels) and
segmentation_models_pytorch's Tversky (its power comes after the mean over classes).
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seglib.losses import LOSSES, build_loss, class_weights, resolve_params

C = 4


def batch(n_classes=C - 1, void=True):
    """Data by a formula, so that numbers can be pinned; class 3 is absent, or none."""
    n_values = 3 * C * 5 * 6
    logits = (3 * torch.sin(torch.arange(n_values).double() ** 2)).view(3, C, 5, 6)
    masks = (torch.arange(90) ** 2 // 7 % n_classes).view(3, 5, 6)
    if void:
        masks[:, 0, :2] = 255
        masks[2] = torch.where(masks[2] == 2, 0, masks[2])
    return logits, masks


def value(name, logits, masks, **params):
    return float(build_loss(name, n_classes=logits.shape[1], **params)(logits, masks))


def probs_and_truth(logits, masks, activation="softmax"):
    """(N, C) probabilities and 0/1 truth of the valid pixels."""
    z = np.moveaxis(logits.numpy(), 1, -1)[masks.numpy() != 255]
    y = masks.numpy()[masks.numpy() != 255]
    p = (
        1 / (1 + np.exp(-z))
        if activation == "sigmoid"
        else (np.exp(z) / np.exp(z).sum(1, keepdims=True))
    )
    return p, (y[:, None] == np.arange(z.shape[1])).astype(float)


def tversky_index(p, g, a, b, s):
    tp, fp, fn = (p * g).sum(0), (p * (1 - g)).sum(0), ((1 - p) * g).sum(0)
    return (tp + s) / (tp + a * fp + b * fn + s)


def f_beta(p, g, beta, s):
    """Hashemi's form: precision and recall weighed by beta, smoothing counted as hits."""
    hits = (1 + beta**2) * ((p * g).sum(0) + s)
    return hits / (hits + beta**2 * ((1 - p) * g).sum(0) + (p * (1 - g)).sum(0))


def generalised(p, g):
    size = g.sum(0)
    w = np.where(size > 0, 1 / np.maximum(size, 1) ** 2, 0)
    w[size == 0] = w.max() if w.max() else 1  # an absent class weighs as the smallest one
    return 2 * (w * (p * g).sum(0)).sum() / (w * (p + g).sum(0)).sum()


def sensitivity_specificity(p, g, r):
    inside, outside = g.sum(0), (1 - g).sum(0)
    return r * ((g - p) ** 2 * g).sum(0) / np.maximum(inside, 1) + (1 - r) * (
        (g - p) ** 2 * (1 - g)
    ).sum(0) / np.maximum(outside, 1)


def lovasz(p, g):
    """From the set function: 1 - IoU when the k pixels with the largest errors are wrong."""
    values = []
    for errors, truth in zip(np.abs(g - p).T, g.T, strict=True):
        wrong, before, total = np.zeros(len(errors), bool), 0.0, 0.0
        for pixel in np.argsort(-errors):
            wrong[pixel] = True
            now = wrong.sum() / ((truth > 0) | wrong).sum()
            total, before = total + errors[pixel] * (now - before), now
        values.append(total)
    return np.array(values)


def dice_index(p, g, s):
    return (2 * (p * g).sum(0) + s) / (p.sum(0) + g.sum(0) + s)


# One value a class, or one for all.
REGION = {
    "dice": lambda p, g, q: 1 - dice_index(p, g, q["smooth"]),
    "jaccard": lambda p, g, q: (
        1 - ((p * g).sum(0) + q["smooth"]) / ((p + g - p * g).sum(0) + q["smooth"])
    ),
    "tversky": lambda p, g, q: 1 - tversky_index(p, g, q["fp_weight"], q["fn_weight"], q["smooth"]),
    "asymmetric": lambda p, g, q: 1 - f_beta(p, g, q["beta"], q["smooth"]),
    "focal_tversky": lambda p, g, q: (
        (1 - tversky_index(p, g, q["fp_weight"], q["fn_weight"], q["smooth"])) ** q["exponent"]
    ),
    "generalised_dice": lambda p, g, q: 1 - generalised(p, g),
    "penalty_gd": lambda p, g, q: (
        1 - generalised(p, g) / (1 + q["penalty"] * (1 - generalised(p, g)))
    ),
    "sensitivity_specificity": lambda p, g, q: sensitivity_specificity(
        p, g, q["sensitivity_share"]
    ),
    "lovasz": lambda p, g, q: lovasz(p, g),
    "log_dice": lambda p, g, q: (-np.log(dice_index(p, g, q["smooth"]))) ** q["exponent"],
}
# One value a pixel.
PIXEL = {
    "ce": lambda p, s, g, q: -np.log((p * g).sum(1)),
    "bce": lambda p, s, g, q: -(g * np.log(s) + (1 - g) * np.log(1 - s)).mean(1),
    "balanced_bce": lambda p, s, g, q: (
        -2
        * (
            q["positive_share"] * g * np.log(s)
            + (1 - q["positive_share"]) * (1 - g) * np.log(1 - s)
        ).mean(1)
    ),
    "focal": lambda p, s, g, q: -((1 - (p * g).sum(1)) ** q["gamma"]) * np.log((p * g).sum(1)),
    "topk": lambda p, s, g, q: -np.log((p * g).sum(1)),
    "power_ce": lambda p, s, g, q: (-np.log((p * g).sum(1))) ** q["exponent"],
}


def numpy_region(name, logits, masks, q):
    whole = [slice(None)] if q["over"] == "batch" else [slice(i, i + 1) for i in range(len(masks))]
    rows = []
    for row in whole:
        p, g = probs_and_truth(logits[row], masks[row], q["activation"])
        counts = g.any(0) if q["classes"] == "present" else np.full(g.shape[1], len(g) > 0)
        counts[0] &= q["background"] == "in"
        if counts.any():
            p, g = p[:, counts], g[:, counts]
            if q["classes"] == "flattened":
                p, g = p.reshape(-1, 1), g.reshape(-1, 1)
            rows.append(np.mean(REGION[name](p, g, q)))
    return np.mean(rows)


def numpy_pixel(name, logits, masks, q, weights):
    (p, g), (s, _) = (probs_and_truth(logits, masks, a) for a in ("softmax", "sigmoid"))
    values = PIXEL[name](p, s, g, q) * (g * weights).sum(1)
    if name == "topk":
        return np.sort(values)[-int(np.ceil(len(values) * q["top_percent"] / 100)) :].mean()
    return values.sum() / len(values)


def settings(params):
    """Every combination of the switches, and two settings of the numbers."""
    switches = {k: p.choices for k, p in params.items() if p.choices}
    numbers = [{}, {k: 0.37 + i / 8 for i, k in enumerate(set(params) - set(switches))}]
    for chosen in itertools.product(*switches.values()):
        yield from (dict(zip(switches, chosen, strict=True)) | more for more in numbers)


def spec_of(term):
    """A loss that has the term."""
    return next(
        (name, spec)
        for name, spec in LOSSES.items()
        if term in [part.name for part in (spec.region, spec.pixel) if part]
    )


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


@pytest.mark.parametrize(
    "fp_weight, fn_weight, exponent, smooth, over, expected",
    [
        (1, 1, 1, 1, "batch", 0.826598623564),
        (0.5, 0.5, 1, 0.5, "batch", 0.722622079491),
        (0.3, 0.7, 1, 1, "image", 0.669144954633),
        (0.3, 0.7, 4 / 3, 1, "batch", 0.646638504530),
        (0.4, 0.6, 2, 0.1, "image", 0.553002466560),
    ],
)
def test_jdt_losses(fp_weight, fn_weight, exponent, smooth, over, expected):
    """Numbers made with zifuwanggg/JDTLosses 4d2b2a2: alpha, beta, gamma, mIoUD or mIoUI."""
    found = value(
        "focal_tversky",
        *batch(),
        fp_weight=fp_weight,
        fn_weight=fn_weight,
        exponent=exponent,
        smooth=smooth,
        over=over,
    )
    assert found == pytest.approx(expected, abs=1e-11)


def test_monai():
    """It has no void and counts all classes; its focal loss also divides by the channels."""
    import monai.losses as monai

    how = {"to_onehot_y": True, "softmax": True, "batch": True}
    for n_classes in (C, C - 1):  # all there; one absent
        logits, masks = batch(n_classes, void=False)
        index = masks.unsqueeze(1)
        for found, theirs in (
            (
                value("dice", logits, masks, classes="all", smooth=2),
                monai.DiceLoss(**how, smooth_nr=2, smooth_dr=2),
            ),
            (
                value("tversky", logits, masks, classes="all", fp_weight=0.2, fn_weight=0.9),
                monai.TverskyLoss(**how, alpha=0.2, beta=0.9, smooth_nr=1, smooth_dr=1),
            ),
            (
                value("generalised_dice", logits, masks, classes="all"),
                monai.GeneralizedDiceLoss(**how, smooth_nr=0, smooth_dr=0),
            ),
            (
                value("dice", logits, masks, classes="all", background="out", smooth=2),
                monai.DiceLoss(**how, include_background=False, smooth_nr=2, smooth_dr=2),
            ),
        ):
            assert found == pytest.approx(float(theirs(logits, index)), rel=1e-5)
        focal = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=1.7)
        assert value("focal", logits, masks, gamma=1.7) == pytest.approx(
            C * float(focal(logits, index)), rel=1e-5
        )


def test_segmentation_models_pytorch():
    """Its Dice and Jaccard count absent classes as 0 in the mean: asked where all are there."""
    import segmentation_models_pytorch.losses as smp

    logits, masks = batch(C)
    for name, s, theirs in (("dice", 2, smp.DiceLoss), ("jaccard", 1, smp.JaccardLoss)):
        theirs = theirs("multiclass", smooth=1.0, ignore_index=255)  # half of s in its Dice
        assert value(name, logits, masks, smooth=s) == pytest.approx(float(theirs(logits, masks)))
    for n_classes, per_image in itertools.product((C, C - 1), (False, True)):
        logits, masks = batch(n_classes)
        theirs = smp.LovaszLoss("multiclass", per_image=per_image, ignore_index=255)
        over = "image" if per_image else "batch"
        assert value("lovasz", logits, masks, over=over) == pytest.approx(
            float(theirs(logits.float(), masks)), rel=1e-5
        )


def test_torch():
    """Its weighted mean divides by the weights of the pixels there, ours by the pixels."""
    logits, masks = batch()
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    total = F.cross_entropy(logits, masks, weights, ignore_index=255, reduction="sum")
    assert value("ce", logits, masks, class_weights=weights) == pytest.approx(
        float(total / (masks != 255).sum())
    )
    rows, labels = logits.movedim(1, -1)[masks != 255], masks[masks != 255]
    assert value("bce", logits, masks) == pytest.approx(
        float(F.binary_cross_entropy_with_logits(rows, F.one_hot(labels, C).double()))
    )


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
