"""The compared networks, as data, and where their pretrained weights come from."""

from __future__ import annotations

from seglib.lazy import torch
from seglib.models.catalog import MODELS
from seglib.models.smp import is_smp, smp_model, smp_source, smp_traits
from seglib.models.spec import (
    DECODERS,
    ENCODERS,
    ModelSpec,
    ModelTraits,
    SourceError,
    check_logits,
    is_own,
    own_model,
    own_source,
    own_traits,
)
from seglib.models.start import set_output_bias
from seglib.models.weights import Weights, WeightsError, load_encoder, resolve_weights

# The fields of a run that apply to some networks and not to others.
OPTIONS = tuple(dict.fromkeys(name for spec in MODELS.values() for name in spec.options))

__all__ = [
    "DECODERS",
    "ENCODERS",
    "MODELS",
    "OPTIONS",
    "ModelSpec",
    "ModelTraits",
    "SourceError",
    "Weights",
    "WeightsError",
    "build_model",
    "check_logits",
    "load_encoder",
    "model_source",
    "model_spec",
    "model_traits",
    "resolve_weights",
    "set_output_bias",
]


def model_traits(name: str) -> ModelTraits:
    """What is known of the network `name` before anything of others is imported.

    Raises: ValueError listing the choices.
    """
    if is_smp(name):
        return smp_traits(name)
    return own_traits(name) if name not in MODELS and is_own(name) else model_spec(name)


def model_spec(name: str) -> ModelSpec:
    """All of the network `name`: one of MODELS, `module:factory` or `smp:Decoder/encoder`; what
    the last two name is imported.

    Raises: ValueError listing the choices, or saying what is wrong with the user's module.
    """
    if name in MODELS:
        return MODELS[name]
    if is_smp(name):
        return smp_model(name)
    if is_own(name):
        return own_model(name)
    raise ValueError(
        f"model must be one of {', '.join(MODELS)}, got {name!r}; a network of your own is "
        "module:factory, one of segmentation_models.pytorch smp:Decoder/encoder"
    )


def model_source(name: str, *, expected: str = "") -> str:
    """What beside its name tells runs of a network apart that is not one of MODELS: the sha256 of
    the user's file, or the version of segmentation_models.pytorch.

    Raises: SourceError where it cannot be known, or is not the `expected` one.
    """
    return (smp_source if is_smp(name) else own_source)(name, expected=expected)


def build_model(name: str, *, n_classes: int, **options: object) -> torch.nn.Module:
    """A freshly initialised network, logits (B, n_classes, H, W) for images (B, 3, H, W).

    Args:
        options: those of its spec, e.g. `width` of unet or `encoder` of resnetunet.
    Weights come from torch's global generator: seed it first.
    """
    spec = model_spec(name)
    if wrong := sorted(set(options) - set(spec.options)):
        raise ValueError(
            f"options of {name} must be among {', '.join(spec.options) or 'none'}, got "
            f"{', '.join(wrong)}"
        )
    return spec.build(n_classes=n_classes, **options)
