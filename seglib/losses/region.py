"""Region terms: from the sums of each class over the batch (or an image), a mean over classes.

Two switches decide what is averaged. `over`: sums over the whole batch, or over each image (then
the mean of the images in which a class counts). `classes`: those present in the truth of those
sums, all of them, or all flattened into one. An absent class has a constant loss near 1 and next to
no gradient, so `present` is the default. Void takes no part in any sum.
"""

from __future__ import annotations

from functools import partial

import torch

from seglib.losses.base import Param, Params, Target, Term
from seglib.losses.pixel import EXPONENT, MIN_BASE


def _probs(target: Target, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (B, C, H, W), and that of each pixel's class (B, H, W)."""
    return target.sigmoid if params["activation"] == "sigmoid" else target.softmax


def _rows(values: torch.Tensor, params: Params) -> torch.Tensor:
    """(B, C) sums of images -> (R, C): one row for the batch, or a row an image."""
    return values if params["over"] == "image" else values.sum(0, keepdim=True)


def _counted(truth: torch.Tensor, params: Params) -> torch.Tensor:
    """(R, C) pixels -> (R, C) 1 where a class counts; rows without a valid pixel count nothing."""
    if params["classes"] == "present":
        counted = (truth > 0).to(truth)
    else:
        counted = (truth.sum(1, keepdim=True) > 0).to(truth).expand_as(truth)
    if params["background"] == "out":
        counted = torch.cat([torch.zeros_like(counted[:, :1]), counted[:, 1:]], dim=1)
    return counted


def _mean(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Mean over the counted classes of a row, then over the rows that count any."""
    n_classes = counted.sum(1)
    rows = (values * counted).sum(1) / n_classes.clamp(min=1)
    return rows.sum() / (n_classes > 0).sum().clamp(min=1)


def _sums(
    target: Target, params: Params
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Soft TP, predicted and true pixels and what counts, (R, C) each; (R, 1) when flattened."""
    probs, true_probs = _probs(target, params)
    sums = target.per_class(true_probs), target.over_valid(probs), target.n_truth
    tp, predicted, truth = (_rows(values, params) for values in sums)
    counted = _counted(truth, params)
    if params["classes"] == "flattened":
        tp, predicted, truth = (
            (values * counted).sum(1, keepdim=True) for values in (tp, predicted, truth)
        )
        counted = counted.amax(1, keepdim=True)
    return tp, predicted, truth, counted


def _index(
    target: Target, params: Params, fp_weight: float, fn_weight: float, smooth: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Tversky index (TP + s) / (TP + a FP + b FN + s) and what counts, (R, C) each."""
    tp, predicted, truth, counted = _sums(target, params)
    below = tp + fp_weight * (predicted - tp) + fn_weight * (truth - tp) + smooth
    return (tp + smooth) / below.clamp(min=1e-12), counted


def _tversky(target: Target, params: Params) -> torch.Tensor:
    index, counted = _index(
        target, params, params["fp_weight"], params["fn_weight"], params["smooth"]
    )
    return _mean(1 - index, counted)


def _focal_tversky(target: Target, params: Params) -> torch.Tensor:
    """The power comes before the mean over classes: it is what focuses on some of them."""
    index, counted = _index(
        target, params, params["fp_weight"], params["fn_weight"], params["smooth"]
    )
    return _mean((1 - index).clamp(min=MIN_BASE) ** params["exponent"], counted)


def _overlap(target: Target, params: Params, *, weight: float) -> torch.Tensor:
    """Dice (weight 0.5, its s counts TP twice) and Jaccard (weight 1)."""
    index, counted = _index(target, params, weight, weight, params["smooth"] * weight)
    return _mean(1 - index, counted)


def _asymmetric(target: Target, params: Params) -> torch.Tensor:
    missed = params["beta"] ** 2 / (1 + params["beta"] ** 2)
    index, counted = _index(target, params, 1 - missed, missed, params["smooth"])
    return _mean(1 - index, counted)


def _log_dice(target: Target, params: Params) -> torch.Tensor:
    index, counted = _index(target, params, 0.5, 0.5, params["smooth"] / 2)
    distance = -index.clamp(min=1e-12).log()
    return _mean(distance.clamp(min=MIN_BASE) ** params["exponent"], counted)


def _generalised(target: Target, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised Dice coefficient of each row and whether it counts, (R, 1) each.

    Classes weigh 1 / pixels^2, relative to the smallest present one; an absent class that counts
    weighs as much as that one.
    """
    tp, predicted, truth, counted = _sums(target, params)
    there = torch.where((truth > 0) & (counted > 0), truth, torch.inf)
    smallest = there.amin(1, keepdim=True).clamp(max=1e12)
    weight = (smallest / torch.where(truth > 0, truth, smallest)) ** 2 * counted
    both = (weight * (predicted + truth)).sum(1, keepdim=True)
    index = 2 * (weight * tp).sum(1, keepdim=True) / both.clamp(min=1e-12)
    return index, counted.amax(1, keepdim=True)


def _generalised_dice(target: Target, params: Params) -> torch.Tensor:
    index, counted = _generalised(target, params)
    return _mean(1 - index, counted)


def _penalty_gd(target: Target, params: Params) -> torch.Tensor:
    index, counted = _generalised(target, params)
    return _mean(1 - index / (1 + params["penalty"] * (1 - index)), counted)


def _sensitivity_specificity(target: Target, params: Params) -> torch.Tensor:
    probs, true_probs = _probs(target, params)
    among_true = _rows(target.per_class((1 - true_probs).square()), params)
    elsewhere = target.over_valid(probs.square()) - target.per_class(true_probs.square())
    truth = _rows(target.n_truth, params)
    n_elsewhere = truth.sum(1, keepdim=True) - truth
    sensitivity = among_true / truth.clamp(min=1)
    specificity = _rows(elsewhere, params) / n_elsewhere.clamp(min=1)
    ratio = params["sensitivity_share"]
    return _mean(ratio * sensitivity + (1 - ratio) * specificity, _counted(truth, params))


def _lovasz(target: Target, params: Params) -> torch.Tensor:
    """Void has error 0: it is sorted last or among zeros, where it changes nothing."""
    counted = _counted(_rows(target.n_truth, params), params)
    probs = _probs(target, params)[0].flatten(2)
    valid, labels = target.valid.flatten(1), target.labels.flatten(1)
    if params["over"] == "batch":
        probs = probs.transpose(0, 1).flatten(1).unsqueeze(0)  # (1, C, N)
        valid, labels = valid.reshape(1, -1), labels.reshape(1, -1)
    channels = [row.unbind() for row in probs.unbind()]  # an index would fill zeros like probs each
    values = []
    for row, label in counted.nonzero().tolist():
        here = (labels[row] == label) * valid[row]
        errors = (here - channels[row][label]).abs() * valid[row]
        values.append((errors * _lovasz_slopes(errors.detach(), here)).sum())
    values.append(target.logits[:0].sum())  # 0 with a gradient, for when no class counts
    filled = torch.zeros_like(counted).masked_scatter(counted > 0, torch.stack(values))
    return _mean(filled, counted)


def _lovasz_slopes(errors: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    """(N,) what each error is multiplied by: the rise of 1 - IoU as its pixel joins the wrong ones.

    Pixels join from the largest error down; `here` is 1 on the pixels of the class. In float64: one
    pixel of many moves 1 - IoU by little more than float32 resolves. Errors are sorted by their
    bits, which rank numbers >= 0 as they stand: torch sorts integers 5 times faster on a CPU.
    """
    bits = errors.view(torch.int64 if errors.dtype == torch.float64 else torch.int32)
    order = (-bits).argsort()
    here = here[order].double()
    jaccard = 1 - (here.sum() - here.cumsum(0)) / (here.sum() + (1 - here).cumsum(0))
    rises = jaccard.diff(prepend=jaccard.new_zeros(1)).to(errors)
    return torch.empty_like(errors).index_copy_(0, order, rises)


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
SWITCHES = {"activation": ACTIVATION, "classes": CLASSES, "over": OVER, "background": BACKGROUND}
NOT_FLAT = {
    **SWITCHES,
    "classes": Param(default="present", choices=("present", "all"), help=CLASSES.help),
}
SMOOTH = {
    "smooth": Param(
        default=1.0, high=1e9, help="added to numerator and denominator of the index, pixels"
    )
}
TVERSKY_WEIGHTS = {
    "fn_weight": Param(
        default=0.7, high=1.0, search=(0.3, 0.8), help="weight of false negatives (missed pixels)"
    ),
    "fp_weight": Param(
        default=None, high=1.0, help="weight of false positives; 1 - fn_weight unless given"
    ),
}

DICE = Term(
    name="dice",
    function=partial(_overlap, weight=0.5),
    params={**SMOOTH, **SWITCHES},
    formula="1 - (2 TP + s) / (2 TP + FP + FN + s)",
    source="Drozdzal et al. 2016 (no squares)",
)
JACCARD = Term(
    name="jaccard",
    function=partial(_overlap, weight=1.0),
    params={**SMOOTH, **SWITCHES},
    formula="1 - (TP + s) / (TP + FP + FN + s)",
    source="Rahman & Wang 2016",
)
TVERSKY = Term(
    name="tversky",
    function=_tversky,
    params={**TVERSKY_WEIGHTS, **SMOOTH, **SWITCHES},
    formula="1 - TI, TI = (TP + s) / (TP + fp_weight FP + fn_weight FN + s)",
    source="Salehi et al. 2017",
)
ASYMMETRIC = Term(
    name="asymmetric",
    function=_asymmetric,
    params={
        "beta": Param(
            default=1.5,
            low=0.1,
            high=10.0,
            search=(0.5, 2.0),
            log=True,
            help="F_beta: recall counts beta times as much as precision",
        ),
        **SMOOTH,
        **SWITCHES,
    },
    formula="tversky with fn_weight = beta^2 / (1 + beta^2), fp_weight = 1 - fn_weight",
    source="Hashemi et al. 2018",
)
FOCAL_TVERSKY = Term(
    name="focal_tversky",
    function=_focal_tversky,
    params={
        **TVERSKY_WEIGHTS,
        "exponent": Param(
            default=0.75,
            low=0.1,
            high=5.0,
            search=(0.5, 2.0),
            log=True,
            help="power on (1 - Tversky index); above 1 looks at the worst classes",
        ),
        **SMOOTH,
        **SWITCHES,
    },
    formula="(1 - TI)^exponent",
    source="Abraham & Khan 2018; their gamma is 1 / exponent, their alpha fn_weight",
)
GENERALISED_DICE = Term(
    name="generalised_dice",
    function=_generalised_dice,
    params=NOT_FLAT,
    formula="1 - GD, GD = 2 sum w TP / sum w (P + G), w = 1 / G^2",
    source="Sudre et al. 2017",
)
PENALTY_GD = Term(
    name="penalty_gd",
    function=_penalty_gd,
    params={
        "penalty": Param(default=2.5, high=100.0, search=(0.0, 5.0), help="0 is generalised_dice"),
        **NOT_FLAT,
    },
    formula="1 - GD / (1 + penalty (1 - GD))",
    source="Yang et al. 2019",
)
SENSITIVITY_SPECIFICITY = Term(
    name="sensitivity_specificity",
    function=_sensitivity_specificity,
    params={
        "sensitivity_share": Param(
            default=0.05,
            high=1.0,
            search=(0.01, 0.5),
            log=True,
            help="share of the error on the class's own pixels",
        ),
        **NOT_FLAT,
    },
    formula="r sum (1 - p)^2 g / G + (1 - r) sum p^2 (1 - g) / (N - G), r = sensitivity_share",
    source="Brosch et al. 2015",
)
LOVASZ = Term(
    name="lovasz",
    function=_lovasz,
    params=NOT_FLAT,
    formula="Lovasz extension of 1 - IoU at the errors |g - p|",
    source="Berman et al. 2018",
)
LOG_DICE = Term(
    name="log_dice",
    function=_log_dice,
    params={"exponent": EXPONENT, **SMOOTH, **SWITCHES},
    formula="(-log Dice)^exponent",
    source="Wong et al. 2018",
)
