"""torchvision's segmentation networks: the dict that they return and their auxiliary head hidden.

Both resize their logits to the size of the images themselves. Their weights are drawn afresh; a
pretrained start is the ImageNet classifier's, in the encoder alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50, lraspp_mobilenet_v3_large


class Logits(nn.Module):
    """Images (B, 3, H, W) -> logits (B, n_classes, H, W) of a torchvision network."""

    def __init__(self, network: Callable[..., nn.Module], *, n_classes: int) -> None:
        super().__init__()
        self.network = network(weights=None, weights_backbone=None, num_classes=n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)["out"]
        return logits


def lraspp(*, n_classes: int) -> nn.Module:
    return Logits(lraspp_mobilenet_v3_large, n_classes=n_classes)


def deeplab(*, n_classes: int) -> nn.Module:
    return Logits(deeplabv3_resnet50, n_classes=n_classes)
