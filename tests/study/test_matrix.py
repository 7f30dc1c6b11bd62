"""Matrices: cells, exclusions, planned contrasts, ladders, factors."""

import dataclasses
import itertools

import pytest

import runs
from study.matrix import Contrast, Exclusion, Matrix
from tests.helpers import BASE_RUN as BASE
from tests.helpers import new_study


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
