"""The compared networks and where their pretrained weights come from."""

from __future__ import annotations

from torch import nn

from seglib.models.resnetunet import ENCODERS, ResNetUNet
from seglib.models.unet import UNet

MODELS = ("unet", "resnetunet")
MULTIPLE = {"unet": UNet.multiple, "resnetunet": ResNetUNet.multiple}

__all__ = ["ENCODERS", "MODELS", "MULTIPLE", "ResNetUNet", "UNet", "build_model"]


def build_model(
    name: str, *, n_classes: int, width: int = 64, encoder: str = "resnet18"
) -> nn.Module:
    """A freshly initialised network, logits (B, n_classes, H, W) for images (B, 3, H, W).

    Args:
        name: "unet" or "resnetunet".
        width: channels of the first level of `unet`; not used by `resnetunet`.
        encoder: "resnet18", "resnet34" or "resnet50" for `resnetunet`; not used by `unet`.
    Weights come from torch's global generator: seed it first.
    """
    if name == "unet":
        return UNet(n_classes=n_classes, width=width)
    if name == "resnetunet":
        return ResNetUNet(n_classes=n_classes, encoder=encoder)
    raise ValueError(f"model must be one of {', '.join(MODELS)}, got {name!r}")
