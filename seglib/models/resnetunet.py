"""A U-Net decoder on a torchvision ResNet encoder, skips from the stem and every stage."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model

from seglib.models.spec import ENCODERS
from seglib.models.unet import double_conv

# Decoder channels from the coarsest level up, as in segmentation_models.pytorch's Unet.
DECODER = (256, 128, 64, 32, 16)


class ResNetUNet(nn.Module):
    """Images (B, 3, H, W) -> logits (B, n_classes, H, W); H and W multiples of 32.

    `encoder` is the torchvision network without its classifier; its parameter names are
    torchvision's, so that a classifier's state dict loads.
    Source: the `ResNetUNet` of usuyama/pytorch-unet that the original study used, decoder lighter.
    """

    def __init__(self, *, n_classes: int, encoder: str = "resnet18") -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {encoder!r}")
        self.encoder = get_model(encoder, weights=None)
        self.encoder.avgpool = self.encoder.fc = nn.Identity()
        deep = 4 if encoder == "resnet50" else 1
        skips = [256 * deep, 128 * deep, 64 * deep, 64]
        below = [512 * deep, *DECODER[:-2]]
        self.up = nn.ModuleList(
            double_conv(b + s, out) for b, s, out in zip(below, skips, DECODER[:-1], strict=True)
        )
        self.full = double_conv(DECODER[-2], DECODER[-1])
        self.head = nn.Conv2d(DECODER[-1], n_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        net = self.encoder
        stem = net.relu(net.bn1(net.conv1(images)))  # /2
        stages = [stem, net.layer1(net.maxpool(stem))]  # /2, /4
        for layer in (net.layer2, net.layer3, net.layer4):  # /8, /16, /32
            stages.append(layer(stages[-1]))
        x = stages.pop()
        for block in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, stages.pop()], dim=1))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        logits: torch.Tensor = self.head(self.full(x))
        return logits
