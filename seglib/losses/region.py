"""Region terms of an index, an overlap of prediction and truth: Dice, Tversky and their kin."""

from __future__ import annotations

from functools import partial

from seglib.lazy import torch
from seglib.losses.base import Param, Params, Target, Term
from seglib.losses.pixel import EXPONENT, MIN_BASE
from seglib.losses.sums import SWITCHES, mean_over, sums_of


def _index(
    target: Target, params: Params, fp_weight: float, fn_weight: float, smooth: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Tversky index (TP + s) / (TP + a FP + b FN + s) and what counts, (R, C) each."""
    tp, predicted, truth, counted = sums_of(target, params)
    below = tp + fp_weight * (predicted - tp) + fn_weight * (truth - tp) + smooth
    return (tp + smooth) / below.clamp(min=1e-12), counted


def _tversky_index(target: Target, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
    weights = params.number("fp_weight"), params.number("fn_weight")
    return _index(target, params, *weights, params.number("smooth"))


def _tversky(target: Target, params: Params) -> torch.Tensor:
    index, counted = _index(
        target,
        params,
        params.number("fp_weight"),
        params.number("fn_weight"),
        params.number("smooth"),
    )
    return mean_over(1 - index, counted)


def _focal_tversky(target: Target, params: Params) -> torch.Tensor:
    """The power comes before the mean over classes: it is what focuses on some of them."""
    index, counted = _index(
        target,
        params,
        params.number("fp_weight"),
        params.number("fn_weight"),
        params.number("smooth"),
    )
    return mean_over((1 - index).clamp(min=MIN_BASE) ** params.number("exponent"), counted)


def _overlap(target: Target, params: Params, *, weight: float) -> torch.Tensor:
    """Dice (weight 0.5, its s counts TP twice) and Jaccard (weight 1)."""
    index, counted = _index(target, params, weight, weight, params.number("smooth") * weight)
    return mean_over(1 - index, counted)


def _asymmetric(target: Target, params: Params) -> torch.Tensor:
    missed = params.number("beta") ** 2 / (1 + params.number("beta") ** 2)
    index, counted = _index(target, params, 1 - missed, missed, params.number("smooth"))
    return mean_over(1 - index, counted)


def _log_dice(target: Target, params: Params) -> torch.Tensor:
    index, counted = _index(target, params, 0.5, 0.5, params.number("smooth") / 2)
    distance = -index.clamp(min=1e-12).log()
    return mean_over(distance.clamp(min=MIN_BASE) ** params.number("exponent"), counted)


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
LOG_DICE = Term(
    name="log_dice",
    function=_log_dice,
    params={"exponent": EXPONENT, **SMOOTH, **SWITCHES},
    formula="(-log Dice)^exponent",
    source="Wong et al. 2018",
)
