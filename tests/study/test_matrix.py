"""Matrices: cells, exclusions, planned contrasts, ladders, factors."""

import dataclasses
import itertools
import re

import pytest

import runs
from study.commands.choice import choose
from study.config import ConfigError
from study.matrix import Contrast, Exclusion, Matrix, Saving
from study.study import StudyError, load
from tests.helpers import BASE_RUN as BASE
from tests.helpers import new_study


def test_default_matrix_has_nine_arms_and_its_contrasts():
    matrix = runs.MATRICES["default"]
    cells = matrix.expand()
    assert len(cells) == 9
    assert matrix.excluded() == [
        Exclusion(
            {"model": "unet", "init": "pretrained"}, "a plain U-Net has no pretrained encoder"
        )
    ]
    pairs = matrix.pairs([cell.levels for cell in cells])
    families = [family for family, _, _ in pairs]
    assert {f: families.count(f) for f in families} == {
        "architecture": 3,
        "pretraining": 3,
        "loss": 6,
    }
    for family, i, j in pairs:
        same_loss = cells[i].values["loss"] == cells[j].values["loss"]
        assert same_loss == (family != "loss") and i != j


def test_a_ladder_changes_one_factor_a_rung(tmp_path):
    matrix = runs.MATRICES["focal-tversky"]
    cells = matrix.expand()
    assert len(cells) == 10
    assert matrix.pairs([c.levels for c in cells]) == [("rung", i + 1, i) for i in range(9)]
    study = new_study(tmp_path / "s", matrix=matrix)
    assert study.declaration.baseline == "unet-scratch-1-as-first-tried"
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
    assert [c.values["model"] for c in matrix.expand()] == ["unet"]
    assert matrix.excluded() == [Exclusion({"model": "x"}, "not here")]
    assert matrix.pairs([cell.levels for cell in matrix.expand()]) == []


def test_savings_of_the_default_matrix_go_from_width_to_losses(tmp_path):
    """After each: how many cells, the UNet's width, the baseline, the families of contrasts."""
    matrix = runs.MATRICES["default"]
    seen = []
    for n in range(1, len(matrix.spend) + 1):
        study = new_study(tmp_path / "s", matrix=matrix.saved(matrix.spend[:n], "1h"))
        unets = [cell for cell in study.cells if cell.values["model"] == "unet"]
        widths = {cell.values["width"] for cell in unets}
        families = {one.family for one in study.declaration.contrasts}
        baseline = study.declaration.cell(study.declaration.baseline).values
        seen.append((len(study.cells), widths, baseline["model"], baseline["init"], len(families)))
    assert seen == [
        (9, {32}, "unet", "scratch", 3),
        (9, {16}, "unet", "scratch", 3),
        (6, set(), "resnetunet", "scratch", 2),
        (3, set(), "resnetunet", "pretrained", 1),
        (2, set(), "resnetunet", "pretrained", 1),
    ]
    assert [cell.loss for cell in study.cells] == ["bce", "dice_bce"]
    reasons = [one.reason for one in study.declaration.excluded]
    assert reasons[0] == "left out by --budget 1h: architecture"


def test_only_numbers_that_are_larger_are_saved_on():
    spend = (Saving("32", {}, {"width": 32}), Saving("16", {}, {"width": 16}), Saving("x", {}))
    matrix = Matrix(axes=PLAIN, spend=spend)

    def left(width, *given):
        return [one.reason for one in matrix.shrinking({"width": width}, given).spend]

    assert left(64) == ["32", "16", "x"] and left(32) == ["16", "x"] and left(16) == ["x"]
    assert left(64, "width") == left(None) == ["x"]


AUGMENTED = Matrix(
    axes={
        "model": ("unet",),
        "init": ("scratch",),
        "loss": ("bce", "dice_bce"),
        "augmentation": {
            "weak": {"scale_min": 0.9, "scale_max": 1.1, "flip": False},
            "strong": {"scale_min": 0.5, "scale_max": 2, "loss.smooth": 1.0},
        },
    },
    baseline={"loss": "bce", "augmentation": "weak"},
    contrasts=(
        Contrast(
            "augmentation", {"augmentation": "strong"}, {"augmentation": "weak"}, within=("loss",)
        ),
    ),
)


def test_a_factor_is_an_axis_of_bundles(tmp_path):
    axes = {
        **AUGMENTED.axes,
        "augmentation": {
            "weak": {"scale_min": 0.9, "scale_max": 1.1, "flip": False},
            "strong": {"scale_min": 0.5, "scale_max": 2},
        },
    }
    matrix = dataclasses.replace(AUGMENTED, axes=axes)
    study = new_study(tmp_path / "s", matrix=matrix)
    assert [cell.arm for cell in study.cells] == [
        "unet-scratch-bce-augmentation=weak",
        "unet-scratch-bce-augmentation=strong",
        "unet-scratch-dice_bce-augmentation=weak",
        "unet-scratch-dice_bce-augmentation=strong",
    ]
    weak, strong = (study.config(cell, 0) for cell in study.cells[:2])
    assert (weak.scale_min, weak.scale_max, weak.flip) == (0.9, 1.1, False)
    assert (strong.scale_min, strong.scale_max, strong.flip) == (0.5, 2.0, True)
    assert study.declaration.baseline == "unet-scratch-bce-augmentation=weak"
    assert [(c.family, c.a) for c in study.declaration.contrasts] == [
        ("augmentation", "unet-scratch-bce-augmentation=strong"),
        ("augmentation", "unet-scratch-dice_bce-augmentation=strong"),
    ]
    chosen = choose(study.cells, ["augmentation=strong", "loss=bce"])
    assert [cell.arm for cell in chosen] == ["unet-scratch-bce-augmentation=strong"]
    with pytest.raises(ConfigError, match="--only augmentation must be among strong, weak, got so"):
        choose(study.cells, ["augmentation=so"])
    study.save()
    assert load(study.path).declaration == study.declaration


def test_a_factor_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(StudyError, match="a cell with loss bce cannot set loss.smooth"):
        new_study(tmp_path / "s", matrix=AUGMENTED)
    with pytest.raises(ValueError, match="got flip, which augmentation sets too"):
        dataclasses.replace(AUGMENTED, axes={**AUGMENTED.axes, "flip": (True, False)})
    taken = {"model": ("unet",), "init": ("scratch",), "loss": {"a": {"epochs": 1}}}
    with pytest.raises(StudyError, match="a factor must have a name that no field has, got loss"):
        new_study(tmp_path / "s", matrix=Matrix(axes=taken))


PLAIN = {"model": ("unet",), "init": ("scratch",), "loss": ("bce", "dice_bce")}
FLIP = {"a": {"flip": False}, "b": {"flip": True}}
LOSS = {"loss": "dice_bce"}, {"loss": "bce"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"axes": {**PLAIN, "aug": {}}}, "a matrix must have at least one cell, got none"),
        ({"axes": {}}, "a matrix must have at least one cell, got none"),
        ({"axes": {**PLAIN, "a,b": FLIP}}, "a factor must have a name without , .*, got 'a,b'"),
        ({"axes": {**PLAIN, "loss.x": FLIP}}, "and loss. before it, got 'loss.x'"),
        ({"axes": {**PLAIN, "aug": {1: {"flip": True}}}}, "levels of factor aug .*, got 1"),
        ({"axes": {**PLAIN, "aug": {"a=b": {}}}}, "levels of factor aug .*, got 'a=b'"),
        ({"axes": {**PLAIN, "aug": {"a": 3}}}, "level a of factor aug must map .*, got 3"),
        ({"axes": {**PLAIN, "aug": {"a": {"tuning": "tuned"}}}}, "aug must not set tuning"),
        ({"axes": {**PLAIN, "aug": {"a": FLIP["b"], "b": {}}}}, "'aug': 'a'.*'aug': 'b'.*same run"),
        ({"axes": {**PLAIN, "init": "scratch"}}, "axis init must list its values, got 'scratch'"),
        ({"axes": {**PLAIN, "lr": ([1],)}}, "values.lr: should be .*, got"),
        ({"axes": {**PLAIN, "seed": (0, 1)}}, "a cell with loss bce cannot set seed"),
        ({"axes": {**PLAIN, "max_side": (64, 32)}}, "max_side must be the same for all arms"),
        ({"smallest_difference": -1}, "smallest_difference of a matrix must be in .*, got -1"),
        ({"contrasts": [Contrast("c", *LOSS, within="model")]}, "list the axes within, got 'mod"),
        ({"contrasts": [Contrast("c", *LOSS, within=("modle",))]}, "contrast c .*, got 'modle'"),
        ({"contrasts": [Contrast("c", {"aug": "x"}, {})]}, "contrast c must name .*, got 'aug'"),
        ({"contrasts": [Contrast("c", {"loss": "ce"}, LOSS[1])]}, "c must have cells to compare"),
        ({"spend": [Saving("a", {"modle": "unet"})]}, "saving 'a' must name .*, got 'modle'"),
        ({"spend": [Saving("a", {}, {"widht": 3})]}, "set fields of a run .*, got widht"),
        ({"spend": [Saving("a", {}, {"init": 3})]}, "that no cell sets, got init"),
        ({"spend": [Saving("a", {}), Saving("a", {})]}, "spend must have different reasons, got a"),
        ({"exclude": [Exclusion({"modle": "unet"}, "no")]}, "exclusion 'no' .*, got 'modle'"),
    ],
)
def test_a_matrix_that_says_nothing_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        new_study(tmp_path / "s", matrix=Matrix(**{"axes": PLAIN} | changes))
    assert "\n" not in str(error.value)


def test_a_contrast_may_be_of_cells_that_are_all_excluded(tmp_path):
    matrix = Matrix(
        axes={**PLAIN, "init": ("scratch", "pretrained")},
        contrasts=[Contrast("start", {"init": "pretrained"}, {"init": "scratch"}, within=["loss"])],
    )
    assert not new_study(tmp_path / "s", matrix=matrix).declaration.contrasts


def test_an_explicit_cell_has_a_level_that_the_factor_has():
    matrix = Matrix(axes={**PLAIN, "aug": FLIP}, cells=[{**BASE, "aug": "c"}])
    with pytest.raises(ValueError, match="aug must be one of a, b, got 'c'"):
        matrix.expand()


@pytest.mark.parametrize(
    "mine, message",
    [
        ({"axes": ["model"]}, "axes must be a mapping, got ['model']"),
        ({"baseline": ("unet",)}, "baseline must be a mapping, got ('unet',)"),
        ({"cells": BASE}, "cells must be a list, got {"),
        ({"cells": ("unet",)}, "cells must be a mapping each, got 'unet'"),
        ({"contrasts": ({"loss": "bce"},)}, "contrasts must be Contrast(...) each, got {'loss'"),
        ({"contrasts": Contrast("loss", {}, {})}, "contrasts must be a list, got Contrast("),
        ({"spend": ({"model": "unet"},)}, "spend must be Saving(...) each, got {'model'"),
        ({"exclude": ({"model": "unet"},)}, "exclude must be Exclusion(...) each, got {'model'"),
    ],
)
def test_a_matrix_of_other_kinds_of_things(mine, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Matrix(**mine)
