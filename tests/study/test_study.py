"""Studies: cells and their configurations, weights, tuned values."""

import numpy as np
import pytest

from seglib.losses import LOSSES
from study.matrix import Matrix
from study.study import StudyError, load
from tests.helpers import new_study


def test_cells_that_are_the_same_run_are_refused(tmp_path):
    base = {"model": "resnetunet", "init": "scratch", "loss": "bce"}
    same = Matrix(cells=({**base, "width": 16}, {**base, "width": 32}), baseline=base)
    with pytest.raises(StudyError, match="are the same run: what differs does not apply"):
        new_study(tmp_path / "s", matrix=same)
    for cell, message in (
        ({**base, "loss.share": 0.5}, "cannot set loss.share"),
        ({**base, "epoch": 5}, "cannot set epoch"),
        ({"model": "unet", "loss": "bce"}, "must have init"),
    ):
        with pytest.raises(StudyError, match=message):
            new_study(tmp_path / "s", matrix=Matrix(cells=(cell,), baseline=cell))
    with pytest.raises(StudyError, match="baseline of matrix default must be one of its cells"):
        new_study(tmp_path / "s", matrix=Matrix(cells=(base,), baseline={"model": "unet"}))


@pytest.mark.slow
def test_tuning_starts_from_the_study_s_own_settings(tmp_path):
    from study.tuning.opening import open_tuning
    from study.tuning.options import TuneOptions

    study = new_study(tmp_path / "s", lr_multiplier=5.0, class_weight_exponent=0.25)
    study.declaration = study.declaration.having(loss_params={"loss.share": 0.75})
    cell = next(c for c in study.cells if c.arm == "unet-scratch-dice_bce")
    tuning = open_tuning(tmp_path, study, cell, TuneOptions(trials=3))
    assert tuning.default == {
        "loss.share": 0.75,
        "class_weight_exponent": 0.25,
        "background_multiplier": 1.0,
        "lr_multiplier": 5.0,
    }
    assert tuning.space["lr_multiplier"].high == 5.0  # the defaults lie inside the space
    first = tuning.optuna.ask(tuning.space)
    assert first.params == tuning.default
    tuning.close()


def test_weights_are_part_of_the_study(tmp_path):
    study = new_study(tmp_path / "s")
    arms = {cell.arm: cell for cell in study.cells}
    assert arms["resnetunet-pretrained-bce"].cell_id is None
    assert arms["resnetunet-scratch-bce"].cell_id
    study.set_weights("resnet18", "pretext", "a" * 64)
    study.save()
    assert all(cell.cell_id for cell in load(tmp_path / "s").cells)
    with pytest.raises(StudyError, match="was run with weights pretext aaaaaaaaaaaa, got"):
        study.set_weights("resnet18", "pretext", "b" * 64)


def test_each_encoder_of_a_matrix_has_its_own_weights(tmp_path):
    base = {"model": "resnetunet", "init": "pretrained", "loss": "bce"}
    matrix = Matrix(
        axes={k: (v,) for k, v in base.items()} | {"encoder": ("resnet18", "resnet34", "resnet50")},
        baseline={"encoder": "resnet18"},
    )
    study = new_study(tmp_path / "s", matrix=matrix)
    for number, encoder in enumerate(("resnet18", "resnet34", "resnet50")):
        assert not study.resolvable(study.cells[number])
        study.set_weights(encoder, "imagenet (V1)", str(number) * 64)
    assert [c.arm for c in study.cells] == [
        "resnetunet-pretrained-bce-encoder=resnet18",
        "resnetunet-resnet34-pretrained-bce-encoder=resnet34",
        "resnetunet-resnet50-pretrained-bce-encoder=resnet50",
    ]
    assert [study.config(c, 0).weights for c in study.cells] == ["0" * 64, "1" * 64, "2" * 64]


def test_tuned_values_reach_the_run(tmp_path):
    """Standing test: every tunable of every loss arrives where the loss is built."""
    from study.execution.run import training_parts
    from study.tuning.space import search_space

    study = new_study(tmp_path / "s")
    for loss in LOSSES:
        space = search_space(loss, has_background=True)
        assert len(space) <= 5 and "background_multiplier" not in search_space(loss, False)
        values = {name: (d.low + d.high) / 2 for name, d in space.items()}
        own = study.cells[0].values | {"loss": loss} | values
        config = study.config(study.cells[0].having(values=own), 0)
        built, _, recipe = training_parts(config, FakeSplit())
        for name, value in values.items():
            if name.startswith("loss."):
                assert built.params[name.removeprefix("loss.")] == pytest.approx(value)
        assert recipe.lr == pytest.approx(config.lr * values["lr_multiplier"])
        if "class_weight_exponent" in values:
            weights = built.class_weights
            expected = (0.8 / 0.2) ** -0.5 * values.get("background_multiplier", 1.0)
            assert float(weights[0] / weights[1]) == pytest.approx(expected)


class FakeSplit:
    class_pixels = np.array([[80, 20]])

    def __len__(self):
        return 1
