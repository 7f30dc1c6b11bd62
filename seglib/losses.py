"""Segmentation losses: terms, their declared parameters, and weighted sums of terms.

A loss is an object: `loss(logits, masks)` is a scalar, `loss.terms(...)` its named weighted parts.
Everything is computed in at least float32; void pixels take no part, in the prediction or in the
target. Class weights act on the cross-entropy part only: a macro region term already treats
classes alike, weighting it too would count imbalance twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from seglib.metrics import VOID

# (1 - TI)^exponent has an infinite slope at a perfect class when exponent < 1.
_MIN_DISTANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Param:
    """One declared parameter of a loss: its default, what is allowed, what it means.

    `low` and `high` bound what is accepted; `search` is the narrower range worth tuning.
    """

    default: float | str | None
    help: str
    low: float = 0.0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    search: tuple[float, float] | None = None
    log: bool = False
    introduced: float | str | None = None  # the first default, when `default` has changed since

    def check(self, name: str, value: object) -> float | str:
        """Return `value` in its canonical type, or raise ValueError saying what was expected."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{name} must be one of {', '.join(self.choices)}, got {value!r}")
            return str(value)
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be a number, got {value!r}") from None
        if not self.low <= number <= self.high or math.isinf(number):
            raise ValueError(
                f"{name} must be in [{self.low:g}, {self.high:g}], got {number:g}"
            )
        return number


@dataclass(frozen=True)
class Target:
    """What every term reads: logits and one-hot truth, both void-free where it matters.

    logits (B, C, H, W) float32+; onehot (B, C, H, W), 0 on void; valid (B, 1, H, W) 0/1;
    weights (C,) of the cross-entropy part, or None.
    """

    logits: torch.Tensor
    onehot: torch.Tensor
    valid: torch.Tensor
    weights: torch.Tensor | None


def _bce(target: Target, params: Mapping[str, float | str]) -> torch.Tensor:
    """One-vs-rest sigmoid cross-entropy, mean over valid pixels and channels.

    A class weight multiplies all channels of a pixel by the weight of its true class.
    """
    pixels = target.valid
    if target.weights is not None:
        pixels = torch.einsum("bchw,c->bhw", target.onehot, target.weights).unsqueeze(1)
    raw = F.binary_cross_entropy_with_logits(target.logits, target.onehot, reduction="none")
    n_values = target.valid.sum() * target.logits.shape[1]
    return (raw * pixels).sum() / n_values.clamp(min=1)


def _tversky_index(
    target: Target, *, fp_weight: float, fn_weight: float, activation: str, smooth: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Tversky index of each class from sums over the batch, and which classes are present.

    Returns: index (C,) in [0, 1], present (C,) 0/1.
    Source: Salehi et al. 2017, named weights instead of alpha and beta.
    """
    logits = target.logits
    probs = logits.sigmoid() if activation == "sigmoid" else logits.softmax(1)
    probs = probs * target.valid
    over = (0, 2, 3)
    tp = (probs * target.onehot).sum(over)
    n_truth = target.onehot.sum(over)
    fp, fn = probs.sum(over) - tp, n_truth - tp
    index = (tp + smooth) / (tp + fp_weight * fp + fn_weight * fn + smooth)
    return index, (n_truth > 0).to(index)


def _mean_present(values: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    return (values * present).sum() / present.sum().clamp(min=1)


def _background_out(present: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
    if params["background"] == "in":
        return present
    return torch.cat([torch.zeros_like(present[:1]), present[1:]])


def _dice(target: Target, params: Mapping[str, float | str]) -> torch.Tensor:
    """Soft Dice loss (sums, not squares) with sigmoid, over the classes present in the batch."""
    index, present = _tversky_index(
        target, fp_weight=0.5, fn_weight=0.5, activation="sigmoid", smooth=params["smooth"] / 2
    )
    return _mean_present(1 - index, _background_out(present, params))


def _focal_tversky(target: Target, params: Mapping[str, float | str]) -> torch.Tensor:
    """Mean over the classes present in the batch of (1 - Tversky index) ** exponent.

    Source: Abraham & Khan 2018; the exponent is theirs inverted (4/3 -> 0.75), per class before
    the mean. Absent classes are skipped (our choice: they carry a constant and no gradient).
    """
    index, present = _tversky_index(
        target,
        fp_weight=params["fp_weight"],
        fn_weight=params["fn_weight"],
        activation=params["activation"],
        smooth=params["smooth"],
    )
    distance = (1 - index).clamp(min=_MIN_DISTANCE) ** params["exponent"]
    return _mean_present(distance, _background_out(present, params))


_SHARE = Param(
    default=0.5, high=1.0, search=(0.1, 0.9), help="share of the region term; bce gets the rest"
)
_SMOOTH = Param(default=1.0, help="added to numerator and denominator of the region term, pixels")
_BACKGROUND = Param(
    default="in", choices=("in", "out"), help="whether class 0 counts in the mean over classes"
)
_FOCAL_TVERSKY = {
    "fn_weight": Param(
        default=0.7, high=1.0, search=(0.3, 0.8), help="weight of false negatives (missed pixels)"
    ),
    "fp_weight": Param(
        default=None, high=1.0, help="weight of false positives; 1 - fn_weight unless given"
    ),
    "exponent": Param(
        default=0.75, low=0.1, high=5.0, search=(0.5, 2.0), log=True,
        help="power on (1 - Tversky index); above 1 looks at the worst classes",
    ),
    "activation": Param(
        default="softmax", choices=("softmax", "sigmoid"), help="turns logits into probabilities"
    ),
    "smooth": _SMOOTH,
    "background": _BACKGROUND,
}

Term = Callable[[Target, Mapping[str, float | str]], torch.Tensor]
Shares = Callable[[Mapping[str, float | str]], Sequence[tuple[str, Term, float]]]


@dataclass(frozen=True)
class LossSpec:
    """A loss as data: declared parameters and the (name, term, weight) it sums."""

    params: Mapping[str, Param]
    parts: Shares
    cross_entropy: bool  # whether class weights apply


LOSSES: dict[str, LossSpec] = {
    "bce": LossSpec({}, lambda p: [("bce", _bce, 1.0)], True),
    "dice_bce": LossSpec(
        {"share": _SHARE, "smooth": _SMOOTH, "background": _BACKGROUND},
        lambda p: [("bce", _bce, 1 - p["share"]), ("dice", _dice, p["share"])],
        True,
    ),
    "focal_tversky": LossSpec(
        _FOCAL_TVERSKY, lambda p: [("focal_tversky", _focal_tversky, 1.0)], False
    ),
}


def loss_spec(name: str) -> LossSpec:
    """The declaration of a loss; an unknown name lists the choices."""
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    return LOSSES[name]


def resolve_params(name: str, given: Mapping[str, object]) -> dict[str, float | str]:
    """All declared parameters of loss `name` with `given` filled in, checked, dependents set."""
    spec = loss_spec(name)
    unknown = sorted(set(given) - set(spec.params))
    if unknown:
        raise ValueError(
            f"{name} has no parameter {', '.join(unknown)}; "
            f"it declares {', '.join(spec.params) or 'none'}"
        )
    values = {key: given.get(key, param.default) for key, param in spec.params.items()}
    resolved = {k: spec.params[k].check(k, v) for k, v in values.items() if v is not None}
    if "fp_weight" in spec.params:
        resolved.setdefault("fp_weight", round(1 - resolved["fn_weight"], 12))
    return {key: resolved[key] for key in spec.params}


def introduced_params(name: str) -> dict[str, float | str]:
    """The parameters of loss `name` at the defaults they had when they were introduced."""
    first = {k: p.introduced for k, p in loss_spec(name).params.items() if p.introduced is not None}
    return resolve_params(name, first)


class Loss:
    """A weighted sum of terms; see `LOSSES` for what exists and which parameters each declares."""

    def __init__(
        self,
        name: str,
        *,
        n_classes: int,
        class_weights: Sequence[float] | torch.Tensor | None = None,
        **params: object,
    ) -> None:
        self.name = name
        self.n_classes = n_classes
        self.params = resolve_params(name, params)
        self._parts = loss_spec(name).parts(self.params)
        self._weights = None
        if class_weights is not None:
            weights = torch.as_tensor(class_weights, dtype=torch.float32)
            if weights.shape != (n_classes,) or not bool((weights >= 0).all()):
                raise ValueError(
                    f"class_weights must be {n_classes} non-negative numbers, got "
                    f"{tuple(weights.shape)} {weights.tolist()[:5]}"
                )
            self._weights = weights

    def __call__(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Scalar loss.

        Args:
            logits: (B, C, H, W) float, unnormalised.
            masks: (B, H, W) int64 in [0, C), or 255 = void.
        Raises: ValueError if shapes or labels disagree with n_classes.
        """
        return torch.stack(list(self.terms(logits, masks).values())).sum()

    def terms(
        self, logits: torch.Tensor, masks: torch.Tensor, progress: float = 1.0
    ) -> dict[str, torch.Tensor]:
        """The named terms, already weighted: their sum is the loss. `progress` in [0, 1]."""
        target = self._target(logits, masks)
        return {name: share * term(target, self.params) for name, term, share in self._parts}

    def _target(self, logits: torch.Tensor, masks: torch.Tensor) -> Target:
        expected = (logits.shape[0], self.n_classes, *masks.shape[1:])
        if masks.ndim != 3 or tuple(logits.shape) != expected:
            raise ValueError(
                f"logits must be (B, {self.n_classes}, H, W) and masks (B, H, W), got "
                f"{tuple(logits.shape)} and {tuple(masks.shape)}"
            )
        masks = masks.long()
        valid = masks != VOID
        labels = masks.masked_fill(~valid, 0)
        if not 0 <= int(labels.min()) <= int(labels.max()) < self.n_classes:
            raise ValueError(
                f"masks must be in [0, {self.n_classes}) or {VOID}, got "
                f"{int(labels.min())} to {int(labels.max())}"
            )
        logits = logits if logits.dtype == torch.float64 else logits.float()
        valid = valid.unsqueeze(1).to(logits)
        onehot = torch.zeros_like(logits).scatter_(1, labels.unsqueeze(1), valid)
        weights = self._weights
        if weights is not None:
            weights = weights.to(logits)
        return Target(logits, onehot, valid, weights)


def build_loss(
    name: str,
    *,
    n_classes: int,
    class_weights: Sequence[float] | torch.Tensor | None = None,
    **params: object,
) -> Loss:
    """The loss called `name` for `n_classes` classes.

    Args:
        class_weights: (C,) weights of the cross-entropy part; ignored by losses without one.
        params: declared parameters of that loss, e.g. `fn_weight=0.6`.
    Raises: ValueError for an unknown loss or parameter or a value out of range.
    """
    return Loss(name, n_classes=n_classes, class_weights=class_weights, **params)


def class_weights(
    pixel_share: Sequence[float], *, exponent: float, background_multiplier: float = 1.0
) -> torch.Tensor | None:
    """Weights w_c = f_c^-exponent, scaled so that sum f_c w_c = 1: the loss keeps its size.

    Args:
        pixel_share: (C,) share of valid training pixels; a class without pixels gets weight 0.
        exponent: 0 = no weights, 0.5 = inverse square root, 1 = inverse frequency.
        background_multiplier: extra factor on class 0, before the scaling.
    Returns: (C,) float64, or None when it would be all ones.
    """
    if exponent == 0 and background_multiplier == 1:
        return None
    share = torch.as_tensor(pixel_share, dtype=torch.float64)
    weights = torch.where(share > 0, share.clamp(min=1e-12) ** -exponent, 0.0)
    weights[0] *= background_multiplier
    return weights / (share * weights).sum()
