"""The losses, as data: a term alone, or a region term and a pixel term with shares.

A loss is an object: `loss(logits, masks)` is a scalar, `loss.terms(...)` its named weighted parts.
Everything is computed in at least float32; void pixels take no part, in the prediction or in the
target. Class weights act on the pixel term only: a mean over classes already treats them alike,
weighting it too would count imbalance twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seglib.lazy import torch
from seglib.losses import lovasz, pixel, region, sized
from seglib.losses.base import Param, Params, Target, Term
from seglib.metrics import VOID


@dataclass(frozen=True)
class LossSpec:
    """A loss as data: its terms, and the parameters that it declares."""

    region: Term | None
    pixel: Term | None
    share: Param | None = None  # of the region term, in a compound loss

    @property
    def params(self) -> dict[str, Param]:
        declared: dict[str, Param] = {}
        if self.share:
            declared |= {"share": self.share, "ramp": _RAMP}
        for term in (self.region, self.pixel):
            declared |= term.params if term else {}
        return declared

    @property
    def terms(self) -> tuple[Term, ...]:
        """The pixel term, the region term, or both."""
        return tuple(term for term in (self.pixel, self.region) if term)

    @property
    def cross_entropy(self) -> bool:
        """Whether class weights apply."""
        return self.pixel is not None

    def parts(self, params: Params, progress: float) -> list[tuple[Term, float]]:
        """The terms with their weights at `progress` in [0, 1] of the training."""
        if not self.share:
            return [(term, 1.0) for term in self.terms]
        ramp = params.number("ramp")
        share = params.number("share") * (min(1.0, progress / ramp) if ramp else 1.0)
        return list(zip(self.terms, (1 - share, share), strict=True))


_SHARE_HELP = "share of the region term; the pixel term gets the rest"
_RAMP = Param(
    default=0.0,
    high=1.0,
    help="first part of the training over which the region share rises from 0",
)


def compound(region: Term, pixel: Term, share: float = 0.5, low: float = 0.1) -> LossSpec:
    """share x region term + (1 - share) x pixel term; the share is searched from `low` to 0.9."""
    return LossSpec(
        region, pixel, Param(default=share, high=1.0, search=(low, 0.9), help=_SHARE_HELP)
    )


# Adding a compound loss is one line here.
LOSSES: dict[str, LossSpec] = {
    **{term.name: LossSpec(None, term) for term in (pixel.CE, pixel.BCE, pixel.FOCAL, pixel.TOPK)},
    **{
        term.name: LossSpec(term, None)
        for term in (
            region.DICE,
            region.JACCARD,
            region.TVERSKY,
            region.ASYMMETRIC,
            region.FOCAL_TVERSKY,
            sized.GENERALISED_DICE,
            sized.PENALTY_GD,
            sized.SENSITIVITY_SPECIFICITY,
            lovasz.LOVASZ,
        )
    },
    "dice_bce": compound(region.DICE.having(activation="sigmoid"), pixel.BCE),
    "dice_ce": compound(region.DICE, pixel.CE),
    "dice_focal": compound(region.DICE, pixel.FOCAL),
    "dice_topk": compound(region.DICE, pixel.TOPK),
    "combo": compound(region.DICE.having(activation="sigmoid"), pixel.BALANCED_BCE),
    "tversky_ce": compound(region.TVERSKY, pixel.CE),
    "focal_tversky_bce": compound(region.FOCAL_TVERSKY, pixel.BCE, low=0.3),
    "focal_tversky_ce": compound(region.FOCAL_TVERSKY, pixel.CE, low=0.3),
    "lovasz_ce": compound(lovasz.LOVASZ, pixel.CE),
    "exp_log": compound(region.LOG_DICE, pixel.POWER_CE, share=0.8),
}


def loss_spec(name: str) -> LossSpec:
    """The declaration of a loss; an unknown name lists the choices."""
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    return LOSSES[name]


def resolve_params(name: str, given: Mapping[str, object]) -> Params:
    """All declared parameters of loss `name` with `given` filled in, checked, dependents set."""
    spec = loss_spec(name)
    unknown = sorted(set(given) - set(spec.params))
    if unknown:
        raise ValueError(
            f"{name} has no parameter {', '.join(unknown)}; "
            f"it declares {', '.join(spec.params) or 'none'}"
        )
    values = {key: given.get(key, param.default) for key, param in spec.params.items()}
    if values.get("fp_weight", 0) is None:
        fn_weight = spec.params["fn_weight"].check("fn_weight", values["fn_weight"])
        values["fp_weight"] = round(1 - float(fn_weight), 12)
    return Params({key: param.check(key, values[key]) for key, param in spec.params.items()})


def introduced_params(name: str) -> Params:
    """The parameters of loss `name` at the defaults they had when they were introduced."""
    first = {k: p.introduced for k, p in loss_spec(name).params.items() if p.introduced is not None}
    return resolve_params(name, first)


@dataclass(frozen=True, eq=False)
class Loss:
    """A weighted sum of terms; see `LOSSES` for what exists, `build_loss` for how one is made."""

    name: str
    n_classes: int
    params: Params
    class_weights: torch.Tensor | None  # (C,), of the pixel term

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
        parts = loss_spec(self.name).parts(self.params, progress)
        return {term.name: share * term.function(target, self.params) for term, share in parts}

    def _target(self, logits: torch.Tensor, masks: torch.Tensor) -> Target:
        expected = (*masks.shape[:1], self.n_classes, *masks.shape[1:])
        if masks.ndim != 3 or tuple(logits.shape) != expected:
            raise ValueError(
                f"logits must be (B, {self.n_classes}, H, W) and masks (B, H, W), got "
                f"{tuple(logits.shape)} and {tuple(masks.shape)}"
            )
        if masks.is_floating_point():
            raise ValueError(f"masks must be integers, got {masks.dtype}")
        masks = masks.long()
        valid = masks != VOID
        labels = masks.masked_fill(~valid, 0)
        if not 0 <= int(labels.min()) <= int(labels.max()) < self.n_classes:
            raise ValueError(
                f"masks must be in [0, {self.n_classes}) or {VOID}, got "
                f"{int(labels.min())} to {int(labels.max())}"
            )
        logits = logits if logits.dtype == torch.float64 else logits.float()
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        return Target(logits, labels, valid.to(logits), weights)


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
    resolved, weights = resolve_params(name, params), None
    if class_weights is not None:
        weights = torch.as_tensor(class_weights, dtype=torch.float32)
        fine = torch.isfinite(weights) & (weights >= 0)
        if weights.shape != (n_classes,) or not bool(fine.all()):
            raise ValueError(
                f"class_weights must be {n_classes} finite, non-negative numbers, got "
                f"{tuple(weights.shape)} {weights.flatten().tolist()[:5]}"
            )
    return Loss(name, n_classes, resolved, weights)
