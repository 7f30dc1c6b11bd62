"""The smallest part of a batch: refused where batch norm would see one value a channel, and only
there: a step of the network itself is the oracle."""

import sys

import pytest
import torch

from seglib.models import build_model
from seglib.train import Recipe, gradients
from study.config import ConfigError, RunConfig
from study.execution.batches import check_batches, smallest_part
from tests.helpers import BASE_RUN, refused, run_command, write_folder

# model, fit images, batch size, parts, crop, what helps ("": it learns)
CASES = [
    ("resnetunet", 1, 8, 1, 32, "2 or more images to fit .*, or --set crop_px=64"),
    ("resnetunet", 1, 8, 1, 64, ""),
    ("resnetunet", 2, 8, 1, 32, ""),
    ("resnetunet", 9, 1, 1, 32, "--set batch_size=2, or --set crop_px=64"),
    ("resnetunet", 9, 8, 8, 32, "--set accumulate=4, or --set crop_px=64"),
    ("resnetunet", 9, 8, 4, 32, ""),
    ("resnetunet", 3, 8, 4, 32, "--set accumulate=1, or --set crop_px=64"),  # three parts of one
    ("resnetunet", 4, 8, 4, 32, "--set accumulate=2, or --set crop_px=64"),
    ("unet", 9, 1, 1, 8, "--set batch_size=2, or --set crop_px=16"),
    ("unet", 1, 8, 1, 16, ""),
    ("lraspp_mobilenet_v3_large", 1, 4, 1, 16, "2 or more images to fit .*, or --set crop_px=32"),
    ("deeplabv3_resnet50", 1, 4, 1, 64, r"2 or more images to fit \(the train list\)$"),
]


@pytest.mark.parametrize("model, n_fit, batch_size, parts, crop_px, helps", CASES)
def test_a_part_of_one_value_a_channel_is_refused(model, n_fit, batch_size, parts, crop_px, helps):
    settings = {"model": model, "batch_size": batch_size, "accumulate": parts, "crop_px": crop_px}
    config = RunConfig.of(BASE_RUN | settings | {"width": 4})
    if helps:
        with pytest.raises(ConfigError, match=f"two values a channel or more, got 1 .*{helps}"):
            check_batches([config], lambda _: n_fit)
    else:
        check_batches([config], lambda _: n_fit)


class Whole:
    """A loss of nothing but the logits."""

    def terms(self, logits, masks, progress):
        return {"sum": logits.sum()}


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("n_fit", [1, 2, 3, 5, 8])
def test_it_is_what_a_step_would_meet(parts, n_fit):
    batch = {"batch_size": 24, "accumulate": parts, "crop_px": 8, "width": 2}
    config = RunConfig.of(BASE_RUN | batch)
    model = build_model("unet", n_classes=3, width=2).train()
    images = torch.zeros(min(config.batch_size, n_fit), 3, 8, 8)
    recipe = Recipe(n_epochs=1, lr=1.0, weight_decay=0.0, accumulate=parts)

    def outcome(act):
        try:
            act()
        except ValueError as error:
            assert "value" in str(error)
            return "refused"
        return "learns"

    step = outcome(lambda: gradients(model, Whole(), images, images[:, 0].long(), recipe))
    assert step == outcome(lambda: check_batches([config], lambda _: n_fit))
    assert (smallest_part(config, n_fit) == 1) == (step == "refused")


def test_a_network_of_the_users_is_asked_too(tmp_path, monkeypatch):
    (tmp_path / "narrow_nets.py").write_text(
        "from torch import nn\n"
        "def make(n_classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4),\n"
        "                         nn.ConvTranspose2d(4, n_classes, 8, 8))\n"
        "make.multiple = 8\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = RunConfig.of(BASE_RUN | {"model": "narrow_nets:make", "batch_size": 1, "crop_px": 8})
    with pytest.raises(ConfigError, match="batch_size=2, or --set crop_px=16"):
        check_batches([config], lambda _: 5)
    sys.modules.pop("narrow_nets")


@pytest.mark.parametrize("verb", ["plan", "grid"])
def test_one_image_is_refused_before_anything_is_written(tmp_path, capfd, verb):
    data = write_folder(tmp_path / "data", {"train": 2, "test": 2})
    words = [f"--{verb}", "--data", data, "--out", tmp_path / "out", "--only", "model=resnetunet"]
    words += ["--only", "init=scratch", "--only", "loss=bce", "--seeds", "1"]
    words += ["--set", "epochs=1", "--set", "crop_px=32"]
    said = refused(words, capfd)
    assert "1 fit image)" in said and "--set crop_px=64" in said
    assert not list((tmp_path / "out").glob("*/runs"))


@pytest.mark.slow
def test_one_image_of_64_px_trains(tmp_path):
    data = write_folder(tmp_path / "data", {"train": 2, "test": 2})
    only = ("--only", "model=resnetunet", "--only", "init=scratch", "--only", "loss=bce")
    words = ("--grid", *only, "--seeds", "1", "--set", "crop_px=64", "--set", "epochs=1")
    assert run_command(*words, "--data", data, out=tmp_path / "out") == 0
