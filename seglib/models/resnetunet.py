"""A U-Net decoder on a torchvision ResNet encoder, and a branch of the image at full resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model

from seglib.models.spec import DECODERS, ENCODERS
from seglib.models.unet import double_conv

# Channels from the coarsest level up, the last at full resolution: as in
# segmentation_models.pytorch's Unet, and as in the original.
CHANNELS = {"light": (256, 128, 64, 32, 16), "wide": (512, 256, 256, 128, 64)}


class ResNetUNet(nn.Module):
    """Images (B, 3, H, W) -> logits (B, n_classes, H, W); H and W multiples of 32.

    `encoder` is the torchvision network without its classifier; its parameter names are
    torchvision's, so that a classifier's state dict loads. `branch` is the number of channels of
    two convolutions of the image that join the decoder at full resolution, where the encoder has
    nothing to give (its first convolution halves the image); 0 leaves them out.
    Source: the `ResNetUNet` of usuyama/pytorch-unet that the original study used (64 branch
    channels, decoder "wide"; one convolution a level where two are used here).
    """

    def __init__(
        self, *, n_classes: int, encoder: str = "resnet18", decoder: str = "light", branch: int = 32
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {encoder!r}")
        if decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}")
        if branch < 0:
            raise ValueError(f"branch must be 0 or more, got {branch}")
        self.encoder = get_model(encoder, weights=None)
        self.encoder.avgpool = self.encoder.fc = nn.Identity()
        deep = 4 if encoder == "resnet50" else 1
        skips = [256 * deep, 128 * deep, 64 * deep, 64]
        *coarse, full = CHANNELS[decoder]
        below = [512 * deep, *coarse[:-1]]
        self.up = nn.ModuleList(
            double_conv(b + s, out) for b, s, out in zip(below, skips, coarse, strict=True)
        )
        self.branch = double_conv(3, branch) if branch else None
        self.full = double_conv(coarse[-1] + branch, full)
        self.head = nn.Conv2d(full, n_classes, 1)

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
        if self.branch is not None:
            x = torch.cat([x, self.branch(images)], dim=1)
        logits: torch.Tensor = self.head(self.full(x))
        return logits
