"""Bad weights through the real command line: one line, exit 2, nothing written."""

import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from seglib.models import build_model, weights
from tests.helpers import refused

PRETRAINED = ["--only", "init=pretrained", "--seeds", "1", "--set", "epochs=1"]


def encoder(change=lambda state: state):
    return lambda path: torch.save(
        change(build_model("resnetunet", n_classes=2).encoder.state_dict()), path
    )


def without(name):
    return lambda state: {k: v for k, v in state.items() if k != name}


class Exploding:
    """Pickled code: unpickling it would run `os.mkdir`."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


BAD_WEIGHTS = {
    "missing": (lambda path: None, "no such file"),
    "of another shape": (
        encoder(lambda s: s | {"conv1.weight": torch.zeros(64, 1, 7, 7)}),
        "1 of another shape (conv1.weight)",
    ),
    "without a layer": (
        encoder(without("layer1.0.conv1.weight")),
        "1 missing (layer1.0.conv1.weight)",
    ),
    "with more": (
        encoder(lambda s: s | {"layer5.weight": torch.zeros(1)}),
        "1 unexpected (layer5.weight)",
    ),
    "pickled code": (lambda path: torch.save(Exploding(), path), "must be a state dict of tensors"),
    "a whole module": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "must be a state dict of tensors",
    ),
    "not a weights file": (
        lambda path: path.write_bytes(b"hello"),
        "must be a state dict of tensors",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("make, message", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(folder, tmp_path, capfd, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    path, out = tmp_path / "encoder.pth", tmp_path / "out"
    make(path)
    error = refused(
        ["--grid", "--data", folder, "--out", out, "--pretrained", path, *PRETRAINED], capfd
    )
    assert message in error and str(path) in error
    assert not list(out.rglob("study.json")) and not list(out.rglob("runs"))
    assert not (tmp_path / "exploded").exists()


def test_imagenet_weights_out_of_reach(folder, tmp_path, capfd, monkeypatch):
    def offline(url, path):
        Path(path).write_bytes(b"half a file")
        raise URLError("no network")

    monkeypatch.setattr(
        weights.resolve_weights,
        "__kwdefaults__",
        weights.resolve_weights.__kwdefaults__ | {"download": offline},
    )
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *PRETRAINED], capfd)
    url = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"could not download {url}" in error
    assert f"put the file at {weights.cache_dir() / 'resnet18-f37072fd.pth'}" in error
    assert not list(weights.cache_dir().glob("*"))
    assert not list((tmp_path / "out").rglob("study.json"))
    (weights.cache_dir() / "resnet18-f37072fd.pth").write_bytes(b"another file")
    error = refused(["--grid", "--data", folder, "--out", tmp_path / "out", *PRETRAINED], capfd)
    assert "must have a sha256 beginning with f37072fd" in error
