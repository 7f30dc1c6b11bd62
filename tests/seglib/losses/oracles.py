"""What each loss computes, in NumPy from the papers' formulas; data by a formula."""

import itertools

import numpy as np
import torch

from seglib.losses import LOSSES, build_loss

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
