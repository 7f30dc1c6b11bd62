"""`smp:Decoder/encoder`: by its name, with a stand-in for the package, with the real one."""

import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from seglib.models import (
    SourceError,
    build_model,
    load_encoder,
    model_source,
    model_spec,
    model_traits,
    weights,
)
from seglib.models.smp import FITTING, MULTIPLES, TWO_CROPS
from seglib.models.spec import check_logits

PACKAGE = "segmentation_models_pytorch"
UNET = "smp:Unet/mobilenet_v2"


class Unet(nn.Conv2d):
    """As the package's decoders are called."""

    def __init__(self, *, encoder_name, encoder_weights, in_channels, classes):
        assert encoder_weights is None, "a silent download"
        super().__init__(in_channels, classes, 1)


@pytest.fixture
def stand_in(monkeypatch):
    """The package with one decoder and two encoders, version 9.9."""
    encoders = SimpleNamespace(get_encoder_names=lambda: ["mobilenet_v2", "resnet18"])
    package = SimpleNamespace(
        Unet=Unet, MODEL_ARCHITECTURES_MAPPING={"unet": Unet}, encoders=encoders
    )
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    versions = {"segmentation-models-pytorch": "9.9", "timm": "1.2"}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)

    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    "name, encoder, classifier, min_crops, meta",
    [
        (UNET, "encoder.features", "mobilenet_v2", 1, True),
        ("smp:DeepLabV3Plus/resnet101", "encoder", "resnet101", 2, True),
        ("smp:Segformer/mit_b0", "", "", 1, False),
        ("smp:FPN/tu-convnext_tiny.fb_in1k", "", "", 1, False),
    ],
)
def test_a_name_alone_says_what_a_matrix_needs(missing, name, encoder, classifier, min_crops, meta):
    traits = model_traits(name)
    assert (traits.encoder, traits.classifier_for(None)) == (encoder, classifier)
    assert (traits.min_crops, traits.meta) == (min_crops, meta)
    assert bool(traits.no_encoder) != bool(encoder)


@pytest.mark.parametrize(
    "name", ["smp:Unet", "smp:Unet/", "smp:/resnet18", "smp:a/b/c", "smp:a b/c"]
)
def test_another_form_is_refused(name):
    for ask in (model_traits, model_spec, model_source):
        with pytest.raises(ValueError, match="must be smp:Decoder/encoder, e.g. smp:Unet/mob.*got"):
            ask(name)


def test_a_missing_package_is_one_line(missing):
    for ask in (model_spec, model_source):
        with pytest.raises(SourceError, match=r"needs segm.* pip install -e '.\[smp\]'") as error:
            ask(UNET)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, message",
    [
        ("smp:unet/resnet18", "decoder of model smp:unet/resnet18 must .*; did you mean Unet?"),
        ("smp:Unet/resnet8", "encoder of model .*, got resnet8; did you mean resnet18?"),
        ("smp:Unet/zzzz", "encoder of model .*, got zzzz; known: mobilenet_v2, resnet18"),
    ],
)
def test_unknown_names_are_told_with_near_ones(stand_in, name, message):
    with pytest.raises(ValueError, match=message):
        model_spec(name)


def test_it_is_built_without_weights_and_known_by_its_version(stand_in):
    spec = model_spec(UNET)
    assert spec.multiple == 32 and spec.encoder == "encoder.features"
    check_logits(UNET, spec, crop_px=32)
    assert build_model(UNET, n_classes=5)(torch.zeros(1, 3, 8, 8)).shape == (1, 5, 8, 8)
    assert model_source(UNET) == "segmentation-models-pytorch 9.9"
    assert model_source("smp:Unet/tu-vit") == "segmentation-models-pytorch 9.9, timm 1.2"
    with pytest.raises(SourceError, match="must be built by segm.* 9.8, got segm.* 9.9; install"):
        model_source(UNET, expected="segmentation-models-pytorch 9.8")


@pytest.fixture
def smp():
    return pytest.importorskip(PACKAGE, minversion="0.6")


@pytest.mark.slow
def test_each_decoder_of_the_package_keeps_what_its_traits_say(smp):
    """Its smallest image; one crop is refused by those that say so, and only by them."""
    torch.manual_seed(0)
    decoders = [one.__name__ for one in smp.MODEL_ARCHITECTURES_MAPPING.values()]
    assert set(decoders) >= {*TWO_CROPS, *MULTIPLES}
    for decoder in decoders:
        name = f"smp:{decoder}/" + {"DPT": "tu-vit_tiny_patch16_224"}.get(decoder, "mobilenet_v2")
        spec = model_spec(name)
        check_logits(name, spec, crop_px=max(64, spec.multiple))
        model = build_model(name, n_classes=2).requires_grad_(False)
        crop = torch.zeros(1, 3, 128, 128)
        if spec.min_crops == 2:
            with pytest.raises(ValueError, match="more than 1 value per channel"):
                model(crop)
        else:
            assert model(crop).shape == (1, 2, 128, 128)


@pytest.mark.slow
def test_each_known_classifier_fits_its_encoder(smp, tmp_path):
    """Names and shapes of all; the weights of two, drawn here."""
    for encoder, where in FITTING.items():
        with torch.device("meta"):
            whole = torchvision.models.get_model(encoder, weights=None).state_dict()
            ours = build_model(f"smp:Unet/{encoder}", n_classes=2).get_submodule(where).state_dict()
        bare = {k.removeprefix("features."): v.shape for k, v in whole.items()}
        assert {k: v.shape for k, v in ours.items()}.items() <= bare.items()
        assert all(k.startswith(("fc.", "classifier.")) for k in bare.keys() - ours.keys())
    for encoder in ("resnet18", "mobilenet_v2"):
        whole, path = torchvision.models.get_model(encoder, weights=None), tmp_path / encoder
        torch.save(whole.state_dict(), path)
        ours = build_model(f"smp:FPN/{encoder}", n_classes=2).get_submodule(FITTING[encoder])
        load_encoder(ours, path, sha256=weights.file_sha256(path))
        assert all(map(torch.equal, ours.parameters(), whole.parameters()))


@pytest.mark.slow
def test_what_is_built_on_the_meta_device_says_so(smp):
    for encoder in smp.encoders.get_encoder_names():
        name = f"smp:Unet/{encoder}"
        if model_traits(name).meta and not encoder.startswith("timm-"):
            with torch.device("meta"):
                build_model(name, n_classes=2)
