"""Class weights for the pixel terms: one family, f^-exponent."""

from __future__ import annotations

from collections.abc import Sequence

from seglib.lazy import torch


def class_weights(
    pixel_share: Sequence[float], *, exponent: float, background_multiplier: float = 1.0
) -> torch.Tensor | None:
    """Weights w_c = f_c^-exponent, scaled so that sum f_c w_c = 1: the loss keeps its size.

    Args:
        pixel_share: (C,) share of valid training pixels; a class without pixels gets weight 0.
        exponent: 0 = no weights, 0.5 = inverse square root, 1 = inverse frequency.
        background_multiplier: extra factor on class 0, before the scaling.
    Returns: (C,) float64, or None when it would be all ones.
    Raises: ValueError if the shares are not shares.
    """
    if exponent == 0 and background_multiplier == 1:
        return None
    share = torch.as_tensor(pixel_share, dtype=torch.float64)
    if share.ndim != 1 or not bool((share >= 0).all() & ((share.sum() - 1).abs() < 1e-6)):
        raise ValueError(
            "pixel_share must be one non-negative number a class, which add up to 1, "
            f"got {share.flatten().tolist()[:5]}"
        )
    weights = torch.where(share > 0, share.clamp(min=1e-12) ** -exponent, 0.0)
    weights[0] *= background_multiplier
    return weights / (share * weights).sum()
