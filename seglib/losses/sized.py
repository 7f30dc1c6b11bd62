"""Region terms that weigh classes, or a class's own pixels and the others, by their number."""

from __future__ import annotations

from seglib.lazy import torch
from seglib.losses.base import Param, Params, Target, Term
from seglib.losses.sums import NOT_FLAT, counted_of, mean_over, probs_of, rows, sums_of


def _generalised(target: Target, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised Dice coefficient of each row and whether it counts, (R, 1) each.

    Classes weigh 1 / pixels^2, relative to the smallest present one; an absent class that counts
    weighs as much as that one.
    """
    tp, predicted, truth, counted = sums_of(target, params)
    there = torch.where((truth > 0) & (counted > 0), truth, torch.inf)
    smallest = there.amin(1, keepdim=True).clamp(max=1e12)
    weight = (smallest / torch.where(truth > 0, truth, smallest)) ** 2 * counted
    both = (weight * (predicted + truth)).sum(1, keepdim=True)
    index = 2 * (weight * tp).sum(1, keepdim=True) / both.clamp(min=1e-12)
    return index, counted.amax(1, keepdim=True)


def _generalised_dice(target: Target, params: Params) -> torch.Tensor:
    index, counted = _generalised(target, params)
    return mean_over(1 - index, counted)


def _penalty_gd(target: Target, params: Params) -> torch.Tensor:
    index, counted = _generalised(target, params)
    return mean_over(1 - index / (1 + params.number("penalty") * (1 - index)), counted)


def _sensitivity_specificity(target: Target, params: Params) -> torch.Tensor:
    probs, true_probs = probs_of(target, params)
    among_true = rows(target.per_class((1 - true_probs).square()), params)
    elsewhere = target.over_valid(probs.square()) - target.per_class(true_probs.square())
    truth = rows(target.n_truth, params)
    n_elsewhere = truth.sum(1, keepdim=True) - truth
    sensitivity = among_true / truth.clamp(min=1)
    specificity = rows(elsewhere, params) / n_elsewhere.clamp(min=1)
    ratio = params.number("sensitivity_share")
    return mean_over(ratio * sensitivity + (1 - ratio) * specificity, counted_of(truth, params))


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
