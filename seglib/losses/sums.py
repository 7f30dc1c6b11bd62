"""What region terms are made of: sums of each class over batch or image, a mean over classes.

Two switches decide what is averaged. `over`: sums over the whole batch, or over each image (then
the mean of the images in which a class counts). `classes`: those present in the truth of those
sums, all of them, or all flattened into one. An absent class has a constant loss near 1 and next to
no gradient, so `present` is the default. Void takes no part in any sum.
"""

from __future__ import annotations

from seglib.lazy import torch
from seglib.losses.base import Param, Params, Target

ACTIVATION = Param(
    default="softmax",
    choices=("softmax", "sigmoid"),
    help="turns logits into the probabilities of the region term",
)
CLASSES = Param(
    default="present",
    choices=("present", "all", "flattened"),
    help="classes the region term averages over",
)
OVER = Param(default="batch", choices=("batch", "image"), help="what the region sums run over")
BACKGROUND = Param(
    default="in", choices=("in", "out"), help="whether class 0 counts in the region term"
)
SWITCHES: dict[str, Param] = {
    "activation": ACTIVATION,
    "classes": CLASSES,
    "over": OVER,
    "background": BACKGROUND,
}
NOT_FLAT = {
    **SWITCHES,
    "classes": Param(default="present", choices=("present", "all"), help=CLASSES.help),
}


def probs_of(target: Target, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (B, C, H, W), and that of each pixel's class (B, H, W)."""
    return target.sigmoid if params.choice("activation") == "sigmoid" else target.softmax


def rows(values: torch.Tensor, params: Params) -> torch.Tensor:
    """(B, C) sums of images -> (R, C): one row for the batch, or a row an image."""
    return values if params.choice("over") == "image" else values.sum(0, keepdim=True)


def counted_of(truth: torch.Tensor, params: Params) -> torch.Tensor:
    """(R, C) pixels -> (R, C) 1 where a class counts; rows without a valid pixel count nothing."""
    if params.choice("classes") == "present":
        counted = (truth > 0).to(truth)
    else:
        counted = (truth.sum(1, keepdim=True) > 0).to(truth).expand_as(truth)
    if params.choice("background") == "out":
        counted = torch.cat([torch.zeros_like(counted[:, :1]), counted[:, 1:]], dim=1)
    return counted


def mean_over(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Mean over the counted classes of a row, then over the rows that count any."""
    n_classes = counted.sum(1)
    means = (values * counted).sum(1) / n_classes.clamp(min=1)
    return means.sum() / (n_classes > 0).sum().clamp(min=1)


def sums_of(
    target: Target, params: Params
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Soft TP, predicted and true pixels and what counts, (R, C) each; (R, 1) when flattened."""
    probs, true_probs = probs_of(target, params)
    sums = target.per_class(true_probs), target.over_valid(probs), target.n_truth
    tp, predicted, truth = (rows(values, params) for values in sums)
    counted = counted_of(truth, params)
    if params.choice("classes") == "flattened":
        tp, predicted, truth = (
            (values * counted).sum(1, keepdim=True) for values in (tp, predicted, truth)
        )
        counted = counted.amax(1, keepdim=True)
    return tp, predicted, truth, counted
