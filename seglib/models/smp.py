"""Networks of segmentation_models.pytorch, `smp:Decoder/encoder`, where its extra is installed.

A name says all of a network but the package's version, which is therefore part of a run's identity
as the source of a `module:factory` is. Weights come from torchvision where they fit, never from
that package, which would download them by itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from typing import Any

from seglib.lazy import torch
from seglib.models.spec import ModelSpec, ModelTraits, SourceError

PREFIX = "smp:"
NAME = re.compile(rf"{PREFIX}(\w+)/([\w.-]+)")
RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d"),
)
VGGS = tuple(f"vgg{n}{norm}" for n in (11, 13, 16, 19) for norm in ("", "_bn"))
# Encoders whose weights have torchvision's names, and the submodule that has those names.
FITTING = dict.fromkeys(RESNETS, "encoder") | dict.fromkeys(
    ("mobilenet_v2", *VGGS), "encoder.features"
)
# Batch norm after pooling over the whole image sees one value a crop.
TWO_CROPS = ("DeepLabV3", "DeepLabV3Plus", "PAN", "UPerNet")
MULTIPLES = {"PAN": 128}  # three poolings after an encoder that reduces by 16; the others: 32
NOT_META = ("mit_", "tu-")  # encoders that read a tensor's values while they are built


def is_smp(name: str) -> bool:
    """Whether `name` means a network of that package."""
    return name.startswith(PREFIX)


def smp_traits(name: str) -> ModelTraits:
    """What is known of a `smp:Decoder/encoder` by its name alone.

    Raises: ValueError where the name has another form.
    """
    decoder, encoder = _parts(name)
    fits = FITTING.get(encoder, "")
    return ModelTraits(
        encoder=fits,
        classifier=encoder if fits else "",
        no_encoder="" if fits else f"no weights of torchvision fit the encoder {encoder}",
        min_crops=2 if decoder in TWO_CROPS else 1,
        meta=not encoder.startswith(NOT_META),
    )


def smp_model(name: str) -> ModelSpec:
    """The spec of `smp:Decoder/encoder`; the package is imported.

    Raises: ValueError where the package is missing, or has no such decoder or encoder.
    """
    decoder, encoder = _parts(name)
    smp = _package(name)
    decoders = [one.__name__ for one in smp.MODEL_ARCHITECTURES_MAPPING.values()]
    _check("decoder", decoder, name, decoders)
    if not encoder.startswith("tu-"):  # timm's hundreds, which it names itself
        _check("encoder", encoder, name, smp.encoders.get_encoder_names())
    traits = smp_traits(name)
    return ModelSpec(
        build=partial(_build, decoder, encoder),
        multiple=MULTIPLES.get(decoder, 32),
        **vars(traits),
    )


def smp_source(name: str, *, expected: str = "") -> str:
    """The versions that a `smp:Decoder/encoder` is built by: they tell its runs apart.

    Raises: SourceError where the package is missing, or they are not the `expected` ones.
    """
    packages = ["segmentation-models-pytorch"]
    if _parts(name)[1].startswith(("tu-", "timm-")):
        packages.append("timm")
    try:
        found = ", ".join(f"{one} {metadata.version(one)}" for one in packages)
    except metadata.PackageNotFoundError:
        raise _missing(name) from None
    if expected and found != expected:
        raise SourceError(
            f"model {name} must be built by {expected}, got {found}; install what it was, or use "
            "--study NEWNAME for new runs"
        )
    return found


def _parts(name: str) -> tuple[str, str]:
    if not (found := NAME.fullmatch(name)):
        raise ValueError(
            "a model of segmentation_models.pytorch must be smp:Decoder/encoder, e.g. "
            f"smp:Unet/mobilenet_v2, got {name!r}"
        )
    return found[1], found[2]


def _missing(name: str) -> SourceError:
    return SourceError(
        f"model {name} needs segmentation_models.pytorch; install it: pip install -e '.[smp]'"
    )


def _package(name: str) -> Any:
    try:
        import segmentation_models_pytorch  # an optional extra, and slow to import
    except ImportError:
        raise _missing(name) from None
    return segmentation_models_pytorch


def _check(what: str, given: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError unless `given` is known, with what is near to it."""
    if given not in (known := sorted(known)):
        by_lower = {one.lower(): one for one in known}
        near = difflib.get_close_matches(given.lower(), by_lower, n=3, cutoff=0.5)
        hint = " or ".join(by_lower[one] for one in near)
        raise ValueError(
            f"{what} of model {name} must be one of segmentation_models.pytorch, got {given}; "
            + (f"did you mean {hint}?" if near else f"known: {', '.join(known)}")
        )


def _build(decoder: str, encoder: str, *, n_classes: int) -> torch.nn.Module:
    import segmentation_models_pytorch as smp  # slow to import

    # a vision transformer would take images of one size alone
    more = {"dynamic_img_size": True} if decoder == "DPT" else {}
    model: torch.nn.Module = getattr(smp, decoder)(
        encoder_name=encoder, encoder_weights=None, in_channels=3, classes=n_classes, **more
    )
    return model
