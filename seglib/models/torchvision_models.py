"""torchvision's segmentation networks: the dict that they return and their auxiliary head hidden.

All resize their logits to the size of the images themselves. Their weights are drawn afresh; a
pretrained start is the ImageNet classifier's, in the encoder alone.
"""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import get_model


class Logits(nn.Module):
    """Images (B, 3, H, W) -> logits (B, n_classes, H, W) of torchvision's `network`."""

    def __init__(self, network: str, *, n_classes: int) -> None:
        super().__init__()
        self.network = get_model(
            network, weights=None, weights_backbone=None, num_classes=n_classes
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)["out"]
        return logits
