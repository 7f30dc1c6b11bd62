"""The networks, as data; their modules are imported when one is built, as torch is slow to."""

from __future__ import annotations

from functools import partial
from typing import Any

from seglib.lazy import torch
from seglib.models.spec import ModelSpec


def _unet(**options: Any) -> torch.nn.Module:
    from seglib.models.unet import UNet  # slow to import

    return UNet(**options)


def _resnetunet(**options: Any) -> torch.nn.Module:
    from seglib.models.resnetunet import ResNetUNet  # slow to import

    return ResNetUNet(**options)


def _torchvision(network: str, **options: Any) -> torch.nn.Module:
    from seglib.models.torchvision_models import Logits  # slow to import

    return Logits(network, **options)


# Adding a network is one entry here.
MODELS: dict[str, ModelSpec] = {
    "unet": ModelSpec(
        build=_unet,
        multiple=8,
        options={"width": "w{}"},
        no_encoder="a plain U-Net has no pretrained encoder",
    ),
    "resnetunet": ModelSpec(
        build=_resnetunet,
        multiple=32,
        options={"encoder": "{}", "decoder": "{}", "branch": "branch{}"},
        encoder="encoder",
    ),
    "lraspp_mobilenet_v3_large": ModelSpec(
        build=partial(_torchvision, "lraspp_mobilenet_v3_large"),
        multiple=16,
        encoder="network.backbone",
        classifier="mobilenet_v3_large",
    ),
    "fcn_resnet50": ModelSpec(
        build=partial(_torchvision, "fcn_resnet50"),
        multiple=8,
        encoder="network.backbone",
        classifier="resnet50",
    ),
    # batch norm after the pooling over the whole image sees one value a crop: it needs two crops
    "deeplabv3_resnet50": ModelSpec(
        build=partial(_torchvision, "deeplabv3_resnet50"),
        multiple=8,
        encoder="network.backbone",
        classifier="resnet50",
        min_crops=2,
    ),
}
