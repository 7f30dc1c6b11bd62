"""A stored study is continued, or refused with both values."""

import pytest

from study.continuing import open_or_create
from study.matrix import Matrix
from study.record import read_declaration
from study.study import StudyError, load
from tests.helpers import new_study


def test_a_recipe_field_newer_than_the_study_does_not_lock_it(tmp_path):
    study = new_study(tmp_path / "s")
    recipe = {k: v for k, v in study.declaration.recipe.items() if k != "hue_deg"}
    study.declaration = study.declaration.having(recipe=recipe)
    study.save()
    assert not open_or_create(new_study(tmp_path / "s"))[1]
    with pytest.raises(StudyError, match=r"hue_deg=10 \(now 3\)"):
        open_or_create(new_study(tmp_path / "s", hue_deg=3.0))


def test_another_metric_contract_is_refused_before_it_is_run(tmp_path):
    study = new_study(tmp_path / "s")
    contract = study.declaration.contract | {"void": "a class"}
    study.declaration = study.declaration.having(contract=contract)
    study.save()
    with pytest.raises(StudyError, match="metric contract .*'a class'.*--study NEWNAME"):
        open_or_create(new_study(tmp_path / "s"))


def test_declaration_is_kept_and_another_recipe_refused(tmp_path):
    study = new_study(tmp_path / "s", width=16)
    study.save()
    same, new = open_or_create(new_study(tmp_path / "s", width=16))
    assert not new and same.declaration == read_declaration(tmp_path / "s")
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
    assert kept.declaration.recipe["precision"] == "fp32"
    with pytest.raises(StudyError, match=r"precision=fp32 \(now bf16\)"):
        open_or_create(
            new_study(tmp_path / "s", width=16, precision="bf16"), given=frozenset({"precision"})
        )


def test_a_network_of_one_s_own_that_changed_is_named(tmp_path, monkeypatch):
    source = (
        "from torch import nn\ndef make(*, n_classes):\n    return nn.Conv2d(3, n_classes, 1)\n"
    )
    (tmp_path / "continued_nets.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    base = {"model": "continued_nets:make", "init": "scratch", "loss": "bce"}
    matrix = Matrix(cells=(base,), baseline=base)
    study = new_study(tmp_path / "s", matrix=matrix)
    study.save()
    assert list(study.declaration.sources) == ["continued_nets:make"]
    assert study.cells[0].arm == "continued_nets:make-scratch-bce"
    assert not open_or_create(new_study(tmp_path / "s", matrix=matrix))[1]
    (tmp_path / "continued_nets.py").write_text(source + "# other\n")
    with pytest.raises(ValueError, match="source of model continued_nets:make, must have sha256"):
        open_or_create(new_study(tmp_path / "s", matrix=matrix))
    assert load(study.path, to_run=False).declaration == study.declaration  # read all the same
