"""Shapes, sizes, and what weights files are accepted."""

import hashlib
import shutil
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from seglib.data import scenes
from seglib.models import (
    MODELS,
    WeightsError,
    build_model,
    load_encoder,
    pretext,
    resolve_weights,
    set_output_bias,
    weights,
)
from seglib.models.start import RAREST


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, options",
    [
        ("unet", {"width": 8}),
        ("resnetunet", {}),
        ("resnetunet", {"encoder": "resnet50"}),
        ("resnetunet", {"decoder": "wide", "branch": 64}),
        ("resnetunet", {"branch": 0}),
        ("lraspp_mobilenet_v3_large", {}),
        ("fcn_resnet50", {}),
        ("deeplabv3_resnet50", {}),
    ],
)
def test_fully_convolutional(name, options):
    model = build_model(name, n_classes=5, **options).eval()
    for factor in ((1, 1), (2, 3)):
        height, width_px = (MODELS[name].multiple * f for f in factor)
        with torch.inference_mode():
            assert model(torch.zeros(1, 3, height, width_px)).shape == (1, 5, height, width_px)


def test_unet_is_the_original_size():
    model = build_model("unet", n_classes=21)
    channels = [block[0].out_channels for block in model.down]
    assert channels == [64, 128, 256, 512]
    double = [(3, 64), (64, 128), (128, 256), (256, 512), (768, 256), (384, 128), (192, 64)]
    by_hand = sum(9 * o * (i + o) + 4 * o for i, o in double) + 64 * 21 + 21
    assert sum(p.numel() for p in model.parameters()) == by_hand == 7_787_029


def test_the_branch_joins_at_full_resolution():
    with_branch, without = (build_model("resnetunet", n_classes=3, branch=b) for b in (16, 0))
    assert without.branch is None
    convolutions = [m for m in with_branch.branch.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(3, 16), (16, 16)]
    assert with_branch.full[0].in_channels == without.full[0].in_channels + 16
    with torch.inference_mode():  # of the image itself: its size is that of the logits
        assert with_branch.branch(torch.zeros(1, 3, 32, 64)).shape == (1, 16, 32, 64)
    wide = build_model("resnetunet", n_classes=3, decoder="wide", branch=64)
    assert [block[3].out_channels for block in wide.up] == [512, 256, 256, 128]
    assert (wide.full[0].in_channels, wide.full[0].out_channels) == (128 + 64, 64)
    for wrong in ({"branch": -1}, {"decoder": "narrow"}):
        with pytest.raises(ValueError, match="must be"):
            build_model("resnetunet", n_classes=3, **wrong)


def test_the_last_bias_starts_at_the_classes_frequencies():
    shares = np.array([0.9, 0.1, 0.0])
    for name, options in (("unet", {"width": 4}), ("deeplabv3_resnet50", {})):
        model = build_model(name, n_classes=3, **options)
        assert set_output_bias(model, shares)
        biases = [p for n, p in model.named_parameters() if n.endswith("bias") and p.shape == (3,)]
        started = [b.detach().sigmoid().numpy() for b in biases]
        assert any(np.allclose(s, [0.9, 0.1, RAREST], rtol=1e-5) for s in started)
    bare = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.Conv2d(3, 5, 1))
    before = [p.clone() for p in bare.parameters()]
    assert not set_output_bias(bare, shares)
    assert all(map(torch.equal, before, bare.parameters()))


def test_unknown_names():
    with pytest.raises(ValueError, match="model must be one of unet, resnetunet, .*, got 'unett'"):
        build_model("unett", n_classes=2)
    with pytest.raises(ValueError, match="encoder must be one of resnet18"):
        build_model("resnetunet", n_classes=2, encoder="vgg")
    with pytest.raises(ValueError, match="options of unet must be among width, got encoder"):
        build_model("unet", n_classes=2, encoder="resnet18")


@pytest.fixture(scope="module")
def encoder_state():
    torch.manual_seed(1)
    return build_model("resnetunet", n_classes=2).encoder.state_dict()


@pytest.mark.slow
def test_older_files_without_counters_load(tmp_path, encoder_state):
    old = {k: v for k, v in encoder_state.items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "old.pt"
    torch.save(old | {"fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)}, path)
    model = build_model("resnetunet", n_classes=2)
    load_encoder(model.encoder, path, sha256=resolve_weights(str(path)).sha256)
    assert torch.equal(model.encoder.bn1.running_mean, encoder_state["bn1.running_mean"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "prefix, extra", [("", {}), ("module.encoder.", {}), ("", {"fc.weight": torch.zeros(3, 512)})]
)
def test_encoder_loads(tmp_path, encoder_state, prefix, extra):
    path = tmp_path / "w.pt"
    torch.save({f"{prefix}{k}": v for k, v in encoder_state.items()} | extra, path)
    found = resolve_weights(str(path))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    model = build_model("resnetunet", n_classes=2)
    load_encoder(model.encoder, path, sha256=found.sha256)
    assert torch.equal(model.encoder.conv1.weight, encoder_state["conv1.weight"])


def test_other_weights_are_refused(tmp_path, encoder_state):
    model = build_model("resnetunet", n_classes=2)
    state = dict(encoder_state)
    state.pop("conv1.weight")
    state["layer9.weight"] = torch.zeros(1)
    state["bn1.weight"] = torch.zeros(3)
    path = tmp_path / "w.pt"
    torch.save(state, path)
    found = resolve_weights(str(path))
    with pytest.raises(WeightsError, match="1 missing .conv1.weight.*1 unexpected .layer9.*shape"):
        load_encoder(model.encoder, path, sha256=found.sha256)
    with pytest.raises(WeightsError, match="it changed"):
        load_encoder(model.encoder, path, sha256="0" * 64)
    torch.save(build_model, path)  # code, not tensors
    with pytest.raises(WeightsError, match="must be a state dict of tensors"):
        load_encoder(model.encoder, path, sha256=resolve_weights(str(path)).sha256)
    with pytest.raises(WeightsError, match="no such file"):
        resolve_weights(str(tmp_path / "none.pt"))


def test_the_shipped_pretext_encoder_loads():
    found = resolve_weights("pretext")
    assert found.source == "pretext (drawn scenes)" and found.path.stat().st_size < 25e6
    model = build_model("resnetunet", n_classes=2)
    before = model.encoder.layer4[1].conv2.weight.clone()
    load_encoder(model.encoder, found.path, sha256=found.sha256)
    assert not torch.equal(model.encoder.layer4[1].conv2.weight, before)
    assert all(torch.isfinite(v).all() for v in model.encoder.state_dict().values())
    with pytest.raises(WeightsError, match="for resnet18 only, got encoder resnet50"):
        resolve_weights("pretext", encoder="resnet50")


def test_pretext_scenes_share_nothing_with_the_embedded_data():
    textures = {kind.texture for kind in scenes._KINDS}
    outlines = {kind.outline for kind in scenes._KINDS} | {"bar", "blob"}
    assert not textures & set(pretext.TEXTURES) and not outlines & set(pretext.OUTLINES)
    assert not set(scenes.CLASSES[1:]) & {*pretext.TEXTURES, *pretext.OUTLINES}
    drawn = [pretext.draw_pretext_scene(np.random.default_rng([0, i])) for i in range(60)]
    again = pretext.draw_pretext_scene(np.random.default_rng([0, 7]))
    assert np.array_equal(drawn[7][0], again[0]) and np.array_equal(drawn[7][1], again[1])
    labels = np.stack([label for _, label in drawn])
    assert set(np.unique(labels[:, 0])) == set(range(len(pretext.OUTLINES)))
    assert set(np.unique(labels[:, 1])) == set(range(len(pretext.TEXTURES)))


@pytest.mark.slow
def test_pretext_training_changes_the_encoder_and_fits(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretext, "N_SCENES", 8)
    monkeypatch.setattr(pretext, "BATCH", 4)
    path = tmp_path / "encoder.pt"
    assert pretext.main([str(path)]) == 0
    assert "step 6 of 6" in (text := capsys.readouterr().out)
    found = resolve_weights(str(path))
    assert f"sha256 {found.sha256}: 24 crops of 64 px" in text
    load_encoder(build_model("resnetunet", n_classes=2).encoder, path, sha256=found.sha256)
    state = torch.load(path, weights_only=True)
    assert state["conv1.weight"].dtype == torch.float16 and "fc.weight" not in state
    assert pretext.main([]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder, name",
    [
        ("resnet18", "resnet18-f37072fd.pth"),
        ("resnet34", "resnet34-b627a593.pth"),
        ("resnet50", "resnet50-0676ba61.pth"),
    ],
)
def test_imagenet_weights_of_each_encoder(tmp_path, monkeypatch, encoder, name):
    """A stand-in for the download, its hash taken for the right one, loads into the network."""
    torch.manual_seed(2)
    whole = torchvision.models.get_model(encoder, weights=None).state_dict()
    digits = name.removesuffix(".pth").rpartition("-")[2]
    monkeypatch.setattr(weights, "file_sha256", lambda path: digits + "0" * 56)
    urls = []

    def download(url, path):
        urls.append(url)
        torch.save(whole, path)

    found = resolve_weights("imagenet", encoder=encoder, cache=tmp_path, download=download)
    assert resolve_weights("imagenet", encoder=encoder, cache=tmp_path, download=download) == found
    assert len(urls) == 1 and urls[0].endswith(f"/{name}") and found.path.name == name
    model = build_model("resnetunet", n_classes=2, encoder=encoder)
    load_encoder(model.encoder, found.path, sha256=found.sha256)
    assert torch.equal(model.encoder.conv1.weight, whole["conv1.weight"])
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, 32, 64)).shape == (1, 2, 32, 64)


def test_imagenet_download_is_hash_checked(tmp_path, encoder_state):
    torch.save(encoder_state, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="sha256 beginning with f37072fd"):
        resolve_weights(
            "imagenet",
            cache=tmp_path / "cache",
            download=lambda url, to: shutil.copy(tmp_path / "other.pt", to),
        )

    def offline(url, to):
        raise URLError("no network")

    with pytest.raises(WeightsError, match=r"could not download .*resnet18-f37072fd.pth"):
        resolve_weights("imagenet", cache=tmp_path / "empty", download=offline)
    assert not list((tmp_path / "empty").iterdir())
