"""Identity, the matrix, the declaration, settings, the run directory."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

import runs
from seglib.losses import LOSSES
from study.commands.session import choose, only_values
from study.config import ENVIRONMENT, FIELDS, RECIPE, ConfigError, RunConfig, parse_value
from study.matrix import Contrast, Exclusion, Matrix
from study.record.rundir import JournalError, RunDir
from study.study import StudyError, declare, load, open_or_create, split_settings

BASE = {"data": "d" * 64, "model": "unet", "init": "scratch", "loss": "bce", "seed": 0}
PRETRAINED = {
    "model": "resnetunet",
    "init": "pretrained",
    "weights": "a" * 64,
    "weights_source": "pretext (drawn scenes)",
}

# Regenerate only when a run really becomes another run; these names are on users' disks.
GOLDEN = {
    "c38f7a9fcf9ff1dc": {},
    "e9d4496f2fa58022": {"loss": "focal_tversky"},
    "c8f8471d96581d5b": {
        "loss": "dice_bce",
        "loss_params": {"share": 0.75},
        "seed": 3,
        "epochs": 5,
    },
    "33c6e73fbce768b7": PRETRAINED,
    "f4aefb09b8b4b383": {"role": "trial", "seed": 1000, "tuning": "tuned", "lr_multiplier": 2.0},
}


@pytest.mark.parametrize("run_id, values", GOLDEN.items())
def test_golden_run_ids(run_id, values):
    assert RunConfig(**{**BASE, **values}).run_id == run_id


def test_every_identity_field_changes_the_id_and_no_environment_field_does():
    base = RunConfig(**BASE)
    other = {
        "data": "e" * 64,
        "model": "resnetunet",
        "loss": "dice_bce",
        "seed": 1,
        "tuning": "tuned",
        "max_side": 99,
        "schedule": "cosine",
        "optimizer": "sgd",
        "precision": "bf16",
        "flip": False,
        "width": 8,
        "crop_px": 96,
        "scale_min": 0.7,
        "scale_max": 3.0,
        "checkpoint_s": 5.0,
        "train_void": "class",
    }
    special = {
        "role",
        "init",
        "weights",
        "weights_source",
        "loss_params",
        "encoder",
        "model_source",
    }
    for name, spec in FIELDS.items():
        if name in special:
            continue
        value = getattr(base, name)
        by_type = {int: 2, float: 0.25, str: "elsewhere"}
        new = other[name] if name in other else by_type[type(value)]
        changed = dataclasses.replace(base, **{name: new})
        assert getattr(changed, name) != value, name
        assert (changed.run_id != base.run_id) == spec.metadata["identity"], name
    assert dataclasses.replace(base, seed=1).cell_id == base.cell_id


def test_defaults_given_or_left_out_name_the_same_run():
    given = RunConfig(**BASE | {"loss": "focal_tversky", "loss_params": {"fn_weight": 0.7}})
    assert given.run_id == RunConfig(**BASE | {"loss": "focal_tversky"}).run_id
    assert given.loss_params["fp_weight"] == pytest.approx(0.3)
    # a width set for the study does not rename resnetunet, which has none
    wide = BASE | {"model": "resnetunet"}
    assert RunConfig(**wide, width=16).run_id == RunConfig(**wide).run_id
    assert RunConfig(**BASE, width=16).network == "unet-w16-scratch"
    assert RunConfig(**wide, encoder="resnet34").network == "resnetunet-resnet34-scratch"


@pytest.mark.parametrize(
    "values, message",
    [
        ({"model": "unetplus"}, "model must be one of unet, resnetunet, .*, got 'unetplus'"),
        ({"epochs": 0}, r"epochs must be in \[1, 100000\], got 0"),
        ({"epochs": 2.5}, "epochs must be int, got 2.5"),
        ({"lr": float("nan")}, "lr must be in"),
        ({"lr": "fast"}, "lr must be float, got 'fast'"),
        ({"init": "pretrained", "weights": "a"}, "unet has no pretrained encoder"),
        ({"model": "resnetunet", "init": "pretrained"}, "weights must be set exactly for init="),
        ({"seed": 1000}, r"seed of a final run must be in \[0, 1000\)"),
        ({"role": "trial", "seed": 0}, r"seed of a trial run must be in \[1000, "),
        ({"loss": "focal_tversky", "class_weight_exponent": 0.5}, "class weights do not apply"),
        ({"loss_params": {"share": 1}}, "bce has no parameter share"),
        ({"scale_min": 3.0}, "scale_min must not exceed scale_max"),
    ],
)
def test_bad_configurations(values, message):
    with pytest.raises(ValueError, match=message):
        RunConfig(**BASE | values)


def test_settings_are_parsed_and_near_misses_listed():
    assert parse_value("epochs", "7") == 7 and parse_value("flip", "no") is False
    assert parse_value("max_side", "none") is None
    with pytest.raises(ConfigError, match="epochs must be int, got '7.5'"):
        parse_value("epochs", "7.5")
    with pytest.raises(ConfigError, match="'epoch' is unknown; did you mean epochs?"):
        split_settings({"epoch": "3"})
    with pytest.raises(ConfigError, match="'loss.fnweight' is unknown; did you mean loss.fn_weig"):
        split_settings({"loss.fnweight": "3"})
    with pytest.raises(ConfigError, match="'store' is unknown"):
        split_settings({"store": "x"})
    recipe, loss, environment = split_settings({"lr": "1", "loss.share": "0.25", "threads": "3"})
    assert (recipe, loss, environment) == ({"lr": "1"}, {"loss.share": 0.25}, {"threads": "3"})
    assert not set(RECIPE) & set(ENVIRONMENT)


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
def test_only_is_read_as_it_is_written(only, expected):
    assert only_values(only) == expected
    cells = runs.MATRICES["default"].expand()
    chosen = choose([{"values": cell} for cell in cells], only)
    assert len(chosen) == {1: 6, 2: 2}[len(expected)]


@pytest.mark.parametrize("text", ["unet", "model=", "=unet", "loss=bce,,dice_bce"])
def test_only_that_cannot_be_read(text):
    with pytest.raises(ConfigError, match="--only must look like axis=value,..., got"):
        only_values([text])


def test_default_matrix_has_nine_arms_and_its_contrasts():
    matrix = runs.MATRICES["default"]
    cells = matrix.expand()
    assert len(cells) == 9
    assert matrix.excluded() == [
        ({"model": "unet", "init": "pretrained"}, "a plain U-Net has no pretrained encoder")
    ]
    pairs = matrix.pairs(cells)
    families = [family for family, _, _ in pairs]
    assert {f: families.count(f) for f in families} == {
        "architecture": 3,
        "pretraining": 3,
        "loss": 6,
    }
    for family, i, j in pairs:
        same_loss = cells[i]["loss"] == cells[j]["loss"]
        assert same_loss == (family != "loss") and i != j


def test_a_ladder_changes_one_factor_a_rung(tmp_path):
    matrix = runs.MATRICES["focal-tversky"]
    cells = matrix.expand()
    assert len(cells) == 10 and matrix.pairs(cells) == [("rung", i + 1, i) for i in range(9)]
    study = new_study(tmp_path / "s", matrix=matrix)
    assert study.declaration["baseline"] == "unet-scratch-1-as-first-tried"
    configs = [study.config(cell, 0) for cell in study.cells]
    for before, after in itertools.pairwise(configs):
        old, new = ({**dataclasses.asdict(c), **c.loss_params} for c in (before, after))
        changed = {k for k in old.keys() & new.keys() if old[k] != new[k]} - {"loss_params"}
        assert len(changed) == 1, changed
    first, last = configs[0], configs[-1]
    assert (first.train_void, first.loss_params["classes"]) == ("class", "all")
    assert (last.loss, last.loss_params["ramp"]) == ("focal_tversky_bce", 0.2)
    assert last.loss_params["exponent"] == 4 / 3 and last.loss_params["over"] == "batch"


def test_explicit_cells_and_exclusions():
    matrix = Matrix(
        cells=({**BASE, "loss.exponent": 1.0}, {"model": "x"}),
        exclude=(Exclusion({"model": "x"}, "not here"), Exclusion({"model": "y"}, "never")),
        contrasts=(Contrast("f", {"model": "unet"}, {"model": "x"}),),
    )
    assert [c["model"] for c in matrix.expand()] == ["unet"]
    assert matrix.excluded() == [({"model": "x"}, "not here")]
    assert matrix.pairs(matrix.expand()) == []


def test_a_changed_default_renames_nothing(monkeypatch):
    from seglib import losses

    before = RunConfig(**BASE | {"loss": "dice_bce"}).run_id
    spec = losses.LOSSES["dice_bce"]
    changed = dataclasses.replace(spec.share, default=0.7, introduced=0.5)
    monkeypatch.setitem(losses.LOSSES, "dice_bce", dataclasses.replace(spec, share=changed))
    old = RunConfig(**BASE | {"loss": "dice_bce", "loss_params": {"share": 0.5}})
    assert old.run_id == before != RunConfig(**BASE | {"loss": "dice_bce"}).run_id


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


def test_a_recipe_field_newer_than_the_study_does_not_lock_it(tmp_path):
    study = new_study(tmp_path / "s")
    del study.declaration["recipe"]["hue_deg"]
    study.save()
    assert not open_or_create(new_study(tmp_path / "s"))[1]
    with pytest.raises(StudyError, match=r"hue_deg=10.0 \(now 3.0\)"):
        open_or_create(new_study(tmp_path / "s", hue_deg=3.0))


def test_tuning_starts_from_the_study_s_own_settings(tmp_path):
    from study.commands.session import TuneOptions
    from study.tuning.search import CellTuning

    study = new_study(tmp_path / "s", lr_multiplier=5.0, class_weight_exponent=0.25)
    study.declaration["loss_params"] = {"loss.share": 0.75}
    cell = next(c for c in study.cells if c["arm"] == "unet-scratch-dice_bce")
    tuning = CellTuning(tmp_path, study, cell, TuneOptions(trials=3))
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


def new_study(path, *, matrix=None, **recipe):
    defaults = {name: FIELDS[name].default for name in RECIPE}
    return declare(
        path,
        matrix_name="default",
        matrix=matrix or runs.MATRICES["default"],
        data={
            "name": "d",
            "fingerprint": "d" * 64,
            "background": True,
            "classes": ["background"],
            "n_images": {},
            "notes": [],
            "constant_floor": {"class": "a", "test_miou": 0.1},
        },
        recipe=defaults | recipe,
        loss_params={},
        pretrained="pretext",
        given={},
    )


def test_another_metric_contract_is_refused_before_it_is_run(tmp_path):
    study = new_study(tmp_path / "s")
    study.declaration["contract"] = study.declaration["contract"] | {"void": "a class"}
    study.save()
    with pytest.raises(StudyError, match="metric contract .*'a class'.*--study NEWNAME"):
        open_or_create(new_study(tmp_path / "s"))
    del study.declaration["contract"]  # from before it was stored
    study.save()
    assert not open_or_create(new_study(tmp_path / "s"))[1]


def test_declaration_is_kept_and_another_recipe_refused(tmp_path):
    study = new_study(tmp_path / "s", width=16)
    study.save()
    same, new = open_or_create(new_study(tmp_path / "s", width=16))
    assert not new and same.declaration == json.loads((tmp_path / "s/study.json").read_text())
    with pytest.raises(
        StudyError,
        match=(
            r"study s was declared with width=16 \(now 64\), epochs=60 \(now 5\); "
            r"give --set width=16 --set epochs=60 to continue it, or --study NEWNAME"
        ),
    ):
        open_or_create(new_study(tmp_path / "s", epochs=5))
    # precision left to auto follows the study; asked for, it must agree
    kept, _ = open_or_create(new_study(tmp_path / "s", width=16, precision="bf16"))
    assert kept.declaration["recipe"]["precision"] == "fp32"
    with pytest.raises(StudyError, match=r"precision=fp32 \(now bf16\)"):
        open_or_create(
            new_study(tmp_path / "s", width=16, precision="bf16"), given=frozenset({"precision"})
        )


def test_weights_are_part_of_the_study(tmp_path):
    study = new_study(tmp_path / "s")
    arms = {cell["arm"]: cell for cell in study.cells}
    assert arms["resnetunet-pretrained-bce"]["cell_id"] is None
    assert arms["resnetunet-scratch-bce"]["cell_id"]
    study.set_weights("resnet18", "pretext", "a" * 64)
    study.save()
    assert all(cell["cell_id"] for cell in load(tmp_path / "s").cells)
    with pytest.raises(StudyError, match="was run with weights pretext aaaaaaaaaaaa, got"):
        study.set_weights("resnet18", "pretext", "b" * 64)
    study.save()
    stored = json.loads((study.path / "study.json").read_text())
    stored["weights"] = stored["weights"]["resnet18"]  # as it was once written
    (study.path / "study.json").write_text(json.dumps(stored))
    assert load(study.path).declaration["weights"] == study.declaration["weights"]


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
    assert [c["arm"] for c in study.cells] == [
        "resnetunet-pretrained-bce-encoder=resnet18",
        "resnetunet-resnet34-pretrained-bce-encoder=resnet34",
        "resnetunet-resnet50-pretrained-bce-encoder=resnet50",
    ]
    assert [study.config(c, 0).weights for c in study.cells] == ["0" * 64, "1" * 64, "2" * 64]


def test_tuned_values_reach_the_run(tmp_path):
    """Standing test: every tunable of every loss arrives where the loss is built."""
    from study.execution.run import training_parts
    from study.tuning.search import search_space

    study = new_study(tmp_path / "s")
    for loss in LOSSES:
        space = search_space(loss, has_background=True)
        assert len(space) <= 5 and "background_multiplier" not in search_space(loss, False)
        cell = {"values": {**study.cells[0]["values"], "loss": loss}}
        values = {name: (d.low + d.high) / 2 for name, d in space.items()}
        config = study.config({"values": {**cell["values"], **values}}, 0)
        built, _, recipe = training_parts(config, FakeSplit())
        for name, value in values.items():
            if name.startswith("loss."):
                assert built.params[name.removeprefix("loss.")] == pytest.approx(value)
        assert recipe.lr == pytest.approx(config.lr * values["lr_multiplier"])
        if "class_weight_exponent" in values:
            weights = built._weights
            expected = (0.8 / 0.2) ** -0.5 * values.get("background_multiplier", 1.0)
            assert float(weights[0] / weights[1]) == pytest.approx(expected)


class FakeSplit:
    class_pixels = np.array([[80, 20]])

    def __len__(self):
        return 1


def test_journal_survives_a_cut_line(tmp_path):
    run = RunDir(tmp_path)
    assert run.state() == "new"
    run.append("start", attempt=1)
    run.append("epoch", epoch=1, metrics={"train/loss": 1.0})
    assert run.state() == "dead"
    with run.journal.open("ab") as file:
        file.write(b'{"event": "epo')
    assert run.state() == "dead" and len(run.rows()) == 2
    run.append("start", attempt=2)
    run.append("epoch", epoch=1, metrics={"train/loss": 9.0})
    run.append("epoch", epoch=2, metrics={"train/loss": 0.5})
    assert [row["metrics"]["train/loss"] for row in run.epochs()] == [1.0, 0.5]
    with run.lock():
        assert run.state() == "running"
    run.append("failed", error="x")
    assert run.state() == "failed"


def test_damaged_journal_is_refused(tmp_path):
    run = RunDir(tmp_path)
    run.append("start", attempt=1)
    with run.journal.open("ab") as file:
        file.write(b"rubbish\n")
    run.append("epoch", epoch=1, metrics={})
    with pytest.raises(JournalError, match="line 2 must be an event in JSON"):
        run.rows()
