"""The U-Net of the original study: four levels, three poolings, bilinear up-sampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def double_conv(n_in: int, n_out: int) -> nn.Sequential:
    """Two 3x3 convolutions with BatchNorm and ReLU; (B, n_in, H, W) -> (B, n_out, H, W)."""
    layers: list[nn.Module] = []
    for channels in (n_in, n_out):
        layers += [
            nn.Conv2d(channels, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Images (B, 3, H, W) -> logits (B, n_classes, H, W); H and W multiples of 8.

    Channels are width x (1, 2, 4, 8): 64-128-256-512 at the original width.
    Source: Ronneberger et al. 2015, with padded convolutions and BatchNorm.
    """

    def __init__(self, *, n_classes: int, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        sizes = [width * 2**level for level in range(4)]
        self.down = nn.ModuleList(
            double_conv(n_in, n_out) for n_in, n_out in zip([3, *sizes], sizes, strict=False)
        )
        self.up = nn.ModuleList(
            double_conv(below + skip, skip)
            for below, skip in zip(sizes[:0:-1], sizes[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x, skips = images, []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skips.pop()], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits
