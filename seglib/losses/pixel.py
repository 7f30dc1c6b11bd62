"""Pixel terms: one value a valid pixel, averaged. Class weights act here and only here.

A class weight multiplies the value of each pixel of that class, and the sum is divided by the
number of valid pixels (not by the sum of weights, as torch does: the weights of `class_weights`
have mean 1 over the training pixels, so the term keeps its size and a batch does not rescale it).
"""

from __future__ import annotations

import math

from seglib.lazy import F, torch
from seglib.losses.base import Param, Params, Target, Term

# x ** exponent has an infinite slope at 0 when the exponent is below 1
MIN_BASE = 1e-6


def _weighted(target: Target, values: torch.Tensor) -> torch.Tensor:
    """(B, H, W) -> (B, H, W): 0 on void, times the weight of each pixel's class."""
    values = values * target.valid
    return values if target.weights is None else values * target.weights[target.labels]


def _mean(target: Target, values: torch.Tensor) -> torch.Tensor:
    return _weighted(target, values).sum() / target.n_valid


def _ce(target: Target, params: Params) -> torch.Tensor:
    return -_mean(target, target.true_log_probs)


def _bce(target: Target, params: Params) -> torch.Tensor:
    """-log p of the true channel - log(1 - p) of the others = sum of softplus - true logit."""
    others = F.softplus(target.logits).sum(1)
    return _mean(target, others - target.true_logits) / target.logits.shape[1]


def _balanced_bce(target: Target, params: Params) -> torch.Tensor:
    """bce with its positive part times 2 beta and its negative part times 2 (1 - beta)."""
    beta = params.number("positive_share")
    positive = F.softplus(-target.true_logits)
    negative = F.softplus(target.logits).sum(1) - F.softplus(target.true_logits)
    values = 2 * beta * positive + 2 * (1 - beta) * negative
    return _mean(target, values) / target.logits.shape[1]


def _focal(target: Target, params: Params) -> torch.Tensor:
    log_p = target.true_log_probs
    distance = (-torch.expm1(log_p)).clamp(min=MIN_BASE)
    return -_mean(target, distance ** params.number("gamma") * log_p)


def _topk(target: Target, params: Params) -> torch.Tensor:
    values = _weighted(target, -target.true_log_probs).flatten()
    n_top = math.ceil(round(int(target.n_valid) * params.number("top_percent") / 100, 6))
    return values.topk(n_top).values.mean()


def _power_ce(target: Target, params: Params) -> torch.Tensor:
    values = (-target.true_log_probs).clamp(min=MIN_BASE) ** params.number("exponent")
    return _mean(target, values)


EXPONENT = Param(default=0.3, low=0.1, high=5.0, help="power on the logarithms of both parts")

CE = Term(name="ce", function=_ce, params={}, formula="-log p_y, softmax", source="cross-entropy")
BCE = Term(
    name="bce",
    function=_bce,
    params={},
    formula="mean over classes of -g log p - (1 - g) log(1 - p), sigmoid",
    source="one-vs-rest cross-entropy",
)
BALANCED_BCE = Term(
    name="balanced_bce",
    function=_balanced_bce,
    params={
        "positive_share": Param(
            default=0.5,
            high=1.0,
            search=(0.3, 0.8),
            help="weight of missed pixels against false ones; 0.5 is bce",
        )
    },
    formula="mean over classes of -2 b g log p - 2 (1 - b) (1 - g) log(1 - p), sigmoid; "
    "b = positive_share",
    source="Taghanaki et al. 2018",
)
FOCAL = Term(
    name="focal",
    function=_focal,
    params={
        "gamma": Param(default=2.0, high=10.0, search=(0.5, 4.0), help="power on 1 - p_y; 0 is ce")
    },
    formula="-(1 - p_y)^gamma log p_y, softmax",
    source="Lin et al. 2017, over classes by softmax, without alpha: class weights do that",
)
TOPK = Term(
    name="topk",
    function=_topk,
    params={
        "top_percent": Param(
            default=10.0,
            low=0.01,
            high=100.0,
            search=(5.0, 100.0),
            log=True,
            help="percent of the valid pixels that count, the worst first",
        )
    },
    formula="mean of the highest top_percent of -log p_y, softmax",
    source="Wu et al. 2016",
)
POWER_CE = Term(
    name="power_ce",
    function=_power_ce,
    params={"exponent": EXPONENT},
    formula="(-log p_y)^exponent, softmax",
    source="Wong et al. 2018",
)
