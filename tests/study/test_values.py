"""RunConfig: one canonical form of a value, networks of the user's own, what applies to which."""

import importlib
import json
import sys
from importlib import metadata

import numpy as np
import pytest
import torch

from study.commands.choice import choose
from study.config import RECIPE, ConfigError, RunConfig, parse_value
from study.execution.parts import build_network, n_parameters
from study.execution.preflight import check_crops
from study.matrix import Exclusion, Matrix
from tests.helpers import BASE_RUN as BASE
from tests.helpers import new_study

LOSS = {"loss": "focal_tversky"}


@pytest.mark.parametrize(
    "one, other",
    [
        ({"rotation_deg": 30}, {"rotation_deg": 30.0}),
        ({"rotation_deg": np.float64(30)}, {"rotation_deg": 30.0}),
        ({"rotation_deg": np.int64(30)}, {"rotation_deg": 30.0}),
        ({"rotation_deg": -0.0}, {"rotation_deg": 0}),
        ({"epochs": 9.0}, {"epochs": 9}),
        ({"epochs": np.int32(9)}, {"epochs": 9}),
        ({"max_side": 64.0}, {"max_side": 64}),
        ({"flip": np.bool_(False)}, {"flip": False}),
        ({"schedule": np.str_("cosine")}, {"schedule": "cosine"}),
        (LOSS | {"loss_params": {"exponent": 1}}, LOSS | {"loss_params": {"exponent": 1.0}}),
        (
            LOSS | {"loss_params": {"exponent": np.float64(1)}},
            LOSS | {"loss_params": {"exponent": 1}},
        ),
    ],
)
def test_a_value_has_one_form(one, other):
    one, other = RunConfig(**BASE | one), RunConfig(**BASE | other)
    assert one.run_id == other.run_id != RunConfig(**BASE).run_id
    assert one.record("a").model_dump_json() == other.record("a").model_dump_json()


def test_cells_and_settings_have_that_form_too():
    cells = Matrix(
        axes={"loss": ("focal_tversky",), "rotation_deg": (30, np.float64(0)), "epochs": (9.0,)},
        cells=({"loss": "focal_tversky", "loss.exponent": 2, "loss.fp_weight": None},),
    ).expand()
    assert json.dumps([list(cell.values.values())[2:] for cell in cells]) == (
        "[[30.0, 9], [0.0, 9], [2.0, null]]"
    )
    assert type(parse_value("rotation_deg", "30")) is float
    with pytest.raises(ConfigError, match="epochs must be int, got '9.0'"):
        parse_value("epochs", "9.0")
    for value in (9.5, True, "9", float("inf"), np.float64("nan"), np.arange(2)):
        with pytest.raises(ConfigError, match="epochs must be int, got "):
            RunConfig(**BASE, epochs=value)
    with pytest.raises(ConfigError, match=r"lr must be in \[0.0, inf\], got inf"):
        RunConfig(**BASE, lr=10**400)


@pytest.mark.parametrize(
    "model, network, width, encoder",
    [
        ("unet", "unet-w16-scratch", 16, None),
        ("resnetunet", "resnetunet-resnet34-scratch", None, "resnet34"),
        ("lraspp_mobilenet_v3_large", "lraspp_mobilenet_v3_large-scratch", None, None),
        ("deeplabv3_resnet50", "deeplabv3_resnet50-scratch", None, None),
    ],
)
def test_only_the_options_of_a_network_tell_its_runs_apart(model, network, width, encoder):
    config = RunConfig(**BASE | {"model": model}, width=16, encoder="resnet34")
    assert (config.network, config.width, config.encoder) == (network, width, encoder)
    usual = RunConfig(**BASE | {"model": model})
    assert (usual.run_id == config.run_id) == (width is None and encoder is None)


def test_a_network_that_needs_two_crops():
    deeplab = BASE | {"model": "deeplabv3_resnet50"}
    RunConfig(**deeplab, batch_size=4, accumulate=2)
    with pytest.raises(ConfigError, match="batch_size / accumulate must be at least 2 for deeplab"):
        RunConfig(**deeplab, batch_size=4, accumulate=4)


def test_each_pretrained_network_names_its_classifier():
    pretrained = BASE | {"init": "pretrained", "weights": "a" * 64, "encoder": "resnet34"}
    for model, classifier in (
        ("resnetunet", "resnet34"),
        ("deeplabv3_resnet50", "resnet50"),
        ("fcn_resnet50", "resnet50"),
        ("lraspp_mobilenet_v3_large", "mobilenet_v3_large"),
    ):
        assert RunConfig(**pretrained | {"model": model}).classifier == classifier
    with pytest.raises(
        ConfigError, match="unet has no pretrained encoder; use init=scratch or one"
    ):
        RunConfig(**pretrained)


def test_the_source_of_a_network_of_one_s_own_is_identity(tmp_path, monkeypatch):
    source = (
        "from torch import nn\ndef make(*, n_classes):\n    return nn.Conv2d(3, n_classes, 1)\n"
    )
    path = tmp_path / "config_nets.py"
    path.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    own = BASE | {"model": "config_nets:make"}
    before = RunConfig(**own)
    assert before.network == "config_nets:make-scratch" and len(before.model_source) == 64
    assert RunConfig(**own, model_source=before.model_source) == before
    assert not {"model_source", "model"} & set(RECIPE)
    path.write_text(source + "# other\n")
    assert RunConfig(**own).run_id != before.run_id
    with pytest.raises(ValueError, match="it changed; use --study NEWNAME"):
        RunConfig(**own, model_source=before.model_source)
    with pytest.raises(ConfigError, match="model_source must be empty for unet"):
        RunConfig(**BASE, model_source="a" * 64)
    with pytest.raises(ConfigError, match="config_nets:make has no pretrained encoder"):
        RunConfig(**own | {"init": "pretrained", "weights": "a" * 64})


def test_the_matrix_excludes_what_has_no_pretrained_encoder(tmp_path, monkeypatch):
    (tmp_path / "matrix_nets.py").write_text("def make(*, n_classes): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    models = ("matrix_nets:make", "lraspp_mobilenet_v3_large", "unet")
    matrix = Matrix(axes={"model": models, "init": ("scratch", "pretrained"), "loss": ("bce",)})
    cells = [point.values for point in matrix.expand()]
    assert [cell["model"] for cell in cells if cell["init"] == "pretrained"] == [
        "lraspp_mobilenet_v3_large"
    ]
    own, unet = matrix.excluded()
    assert own.where == {"model": "matrix_nets:make", "init": "pretrained"}
    assert unet == Exclusion(
        {"model": "unet", "init": "pretrained"}, "a plain U-Net has no pretrained encoder"
    )


def test_a_network_of_one_s_own_is_tried_before_anything_starts(tmp_path, monkeypatch):
    source = "from torch import nn\ndef make(*, n_classes):\n    return nn.Conv2d(3, {}, 1)\n"
    path = tmp_path / "tried_nets.py"
    path.write_text(source.format("n_classes") + "make.multiple = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = RunConfig(**BASE | {"model": "tried_nets:make"}, crop_px=24)
    check_crops([config], 3)
    assert build_network(config, 3)(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    with pytest.raises(ConfigError, match="crop_px must be a multiple of 8 for tried_nets:make"):
        check_crops([RunConfig(**BASE | {"model": "tried_nets:make"}, crop_px=20)], 3)
    path.write_text(source.format(99))
    monkeypatch.delitem(sys.modules, "tried_nets")
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match="it changed; use --study NEWNAME"):
        build_network(config, 3)
    with pytest.raises(ValueError, match=r"must give logits .*, got \(1, 99, 32, 64\)"):
        check_crops([RunConfig(**BASE | {"model": "tried_nets:make"})], 3)


def test_a_network_of_one_s_own_may_read_values_while_it_is_built(tmp_path, monkeypatch):
    """As many do, for rates a layer: torch's meta device could not."""
    source = "import torch\ndef make(*, n_classes):\n rate = torch.ones(2)[0].item()\n"
    (tmp_path / "reading_nets.py").write_text(f"{source} return torch.nn.Conv2d(3, n_classes, 1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = RunConfig(**BASE | {"model": "reading_nets:make"})
    check_crops([config], 5)
    assert n_parameters(config, 5) == 3 * 5 + 5


def test_the_version_of_segmentation_models_pytorch_is_identity(monkeypatch):
    values = BASE | {"model": "smp:Unet/mobilenet_v2"}
    monkeypatch.setattr(metadata, "version", lambda _: "1")
    before = RunConfig(**values)
    assert before.network == "smp:Unet/mobilenet_v2-scratch"
    assert before.model_source == "segmentation-models-pytorch 1"
    pretrained = RunConfig(**values | {"init": "pretrained", "weights": "a" * 64})
    assert pretrained.classifier == "mobilenet_v2"
    monkeypatch.setattr(metadata, "version", lambda _: "2")
    assert RunConfig(**values).run_id != before.run_id
    with pytest.raises(ValueError, match="must be built by .* 1, got .* 2; install what it was"):
        RunConfig(**values, model_source=before.model_source)


def test_only_chooses_a_network_with_signs_in_its_name(tmp_path, monkeypatch):
    (tmp_path / "only_nets.py").write_text("def make(*, n_classes): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    pytest.importorskip("segmentation_models_pytorch")
    models = ("smp:Unet/mobilenet_v2", "smp:FPN/resnet18", "only_nets:make")
    axes = {"model": models, "init": ("scratch",), "loss": ("bce",)}
    cells = new_study(tmp_path / "s", matrix=Matrix(axes=axes)).cells
    chosen = choose(cells, [f"model={models[0]},{models[2]}"])
    assert [cell.arm for cell in chosen] == [f"{one}-scratch-bce" for one in models[::2]]
