"""`--only`: which cells and seeds."""

import pytest

from study.commands.choice import choose, may_match, only_values, without_tuning
from study.config import ConfigError
from study.matrix import Matrix
from tests.helpers import new_study


@pytest.mark.parametrize(
    "only, expected",
    [
        (["loss=bce,dice_bce"], {"loss": {"bce", "dice_bce"}}),
        (
            ["loss=bce", "loss=dice_bce", "model=unet"],
            {"loss": {"bce", "dice_bce"}, "model": {"unet"}},
        ),
        (["model=unet,loss=bce,dice_bce"], {"loss": {"bce", "dice_bce"}, "model": {"unet"}}),
    ],
)
def test_only_is_read_as_it_is_written(tmp_path, only, expected):
    assert only_values(only) == expected
    chosen = choose(new_study(tmp_path / "s").cells, only)
    assert len(chosen) == {1: 6, 2: 2}[len(expected)]


@pytest.mark.parametrize("text", ["unet", "model=", "=unet", "loss=bce,,dice_bce"])
def test_only_that_cannot_be_read(text):
    with pytest.raises(ConfigError, match="--only must look like axis=value,..., got"):
        only_values([text])


def test_a_number_is_named_and_chosen_as_it_is_written(tmp_path):
    base = {"model": "unet", "init": "scratch", "loss": "bce"}
    cells = tuple({**base, "rotation_deg": r, "lr": lr} for r, lr in ((30, 1e-3), (2.5, 1e-5)))
    study = new_study(tmp_path / "s", matrix=Matrix(cells=cells, baseline=base))
    assert [cell.arm for cell in study.cells] == [
        "unet-scratch-bce-rotation_deg=30-lr=0.001",
        "unet-scratch-bce-rotation_deg=2.5-lr=1e-05",
    ]
    for only in ("rotation_deg=30", "rotation_deg=30.0", "lr=0.001", "lr=1e-3"):
        assert choose(study.cells, [only]) == [study.cells[0]]
    with pytest.raises(ConfigError, match="--only rotation_deg must be among 2.5, 30, got 31"):
        choose(study.cells, ["rotation_deg=31"])


def test_a_loss_parameter_is_chosen_as_it_is_written(tmp_path):
    base = {"model": "unet", "init": "scratch", "loss": "focal_tversky"}
    cells = tuple({**base, "loss.exponent": exponent} for exponent in (1.0, 0.75))
    study = new_study(tmp_path / "s", matrix=Matrix(cells=cells, baseline=base))
    assert study.cells[0].arm == "unet-scratch-focal_tversky-loss.exponent=1"
    for only in ("loss.exponent=1", "loss.exponent=1.0"):
        assert choose(study.cells, [only]) == [study.cells[0]]


@pytest.mark.parametrize("only", [["tuning=tuned,loss=bce"], ["loss=bce,tuning=tuned"]])
def test_what_is_said_beside_tuning_is_kept(only):
    assert without_tuning([*only, "lr=1,2", "arm=a-lr=1"]) == ["loss=bce", "lr=1,2", "arm=a-lr=1"]


@pytest.mark.parametrize(
    "only, told",
    [
        ([], True),
        (["loss=bce"], True),
        (["model=unet"], True),
        (["model=resnetunet"], False),
        (["init=scratch"], False),
        (["model=unet,resnetunet", "init=pretrained"], True),
    ],
)
def test_an_exclusion_is_told_where_only_leaves_room_for_it(only, told):
    assert may_match({"model": "unet", "init": "pretrained"}, only) == told
