"""RunConfig: identity, what is refused, how texts are read."""

import dataclasses

import pytest

from seglib.models import DECODERS
from study.config import FIELDS, ConfigError, RunConfig
from tests.helpers import BASE_RUN as BASE

PRETRAINED = {
    "model": "resnetunet",
    "init": "pretrained",
    "weights": "a" * 64,
    "weights_source": "pretext (drawn scenes)",
}


GOLDEN = {
    "c38f7a9fcf9ff1dc": {},
    "e9d4496f2fa58022": {"loss": "focal_tversky"},
    "c8f8471d96581d5b": {
        "loss": "dice_bce",
        "loss_params": {"share": 0.75},
        "seed": 3,
        "epochs": 5,
    },
    "33c6e73fbce768b7": PRETRAINED | {"branch": 0},  # as before there was a branch
    "57a8abbd6e7eb36f": PRETRAINED,
    "f4aefb09b8b4b383": {"role": "trial", "seed": 1000, "tuning": "tuned", "lr_multiplier": 2.0},
}


@pytest.mark.parametrize("run_id, values", GOLDEN.items())
def test_golden_run_ids(run_id, values):
    assert RunConfig(**{**BASE, "output_bias": "drawn", **values}).run_id == run_id


def test_what_was_added_later_names_other_runs_than_before():
    before = RunConfig(**BASE, output_bias="drawn")
    now = RunConfig(**BASE)
    assert now.output_bias == "frequencies" and now.run_id != before.run_id
    network = BASE | {"model": "resnetunet"}
    ids = {RunConfig(**network, branch=b, decoder=d).run_id for b in (0, 32) for d in DECODERS}
    assert len(ids) == 4
    assert RunConfig(**network, branch=0).network == "resnetunet-branch0-scratch"
    assert RunConfig(**network).network == "resnetunet-scratch"


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
        "output_bias": "drawn",
    }
    special = {
        "role",
        "init",
        "weights",
        "weights_source",
        "loss_params",
        "encoder",
        "decoder",
        "branch",
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


def test_a_changed_default_renames_nothing(monkeypatch):
    from seglib import losses

    before = RunConfig(**BASE | {"loss": "dice_bce"}).run_id
    spec = losses.LOSSES["dice_bce"]
    changed = dataclasses.replace(spec.share, default=0.7, introduced=0.5)
    monkeypatch.setitem(losses.LOSSES, "dice_bce", dataclasses.replace(spec, share=changed))
    old = RunConfig(**BASE | {"loss": "dice_bce", "loss_params": {"share": 0.5}})
    assert old.run_id == before != RunConfig(**BASE | {"loss": "dice_bce"}).run_id


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v: v.pop("seed"), "a run must have seed, got none"),
        (lambda v: v.update(epoch=3), "field of a run 'epoch' is unknown; did you mean epochs"),
    ],
)
def test_a_stored_run_of_other_fields_is_refused(change, message):
    values = dict(BASE)
    change(values)
    with pytest.raises(ConfigError, match=message):
        RunConfig.of(values)
