"""A stored study is continued, or refused with both values."""

import json
import sys

import pytest

from seglib.models import SourceError, model_source
from study.continuing import check_runs, open_or_create
from study.matrix import Matrix
from study.record import Budget, RecordError, read_declaration
from study.study import Study, StudyError, load
from tests.helpers import new_study


def test_a_recipe_field_newer_than_the_study_does_not_lock_it(tmp_path):
    study = new_study(tmp_path / "s")
    recipe = {k: v for k, v in study.declaration.recipe.items() if k != "hue_deg"}
    study.declaration = study.declaration.having(recipe=recipe)
    study.save()
    assert not open_or_create(new_study(tmp_path / "s"))[1]
    with pytest.raises(StudyError, match=r"hue_deg=10 \(now 3\)"):
        open_or_create(new_study(tmp_path / "s", hue_deg=3.0))


def test_a_study_of_before_there_was_a_branch_keeps_its_runs(tmp_path):
    study = new_study(tmp_path / "s", branch=0, output_bias="drawn")
    lacking = ("branch", "decoder", "output_bias")
    recipe = {k: v for k, v in study.declaration.recipe.items() if k not in lacking}
    study.declaration = study.declaration.having(recipe=recipe)
    study.save()
    assert [cell.cell_id for cell in load(study.path).cells] == [
        cell.cell_id for cell in study.cells
    ]
    with pytest.raises(
        StudyError, match=r"branch=0 \(now 32\).*output_bias=drawn \(now freq.*--set branch=0 "
    ):
        open_or_create(new_study(tmp_path / "s"))
    again = new_study(tmp_path / "s", branch=0, output_bias="drawn")
    assert not open_or_create(again)[1]


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


def test_another_budget_is_another_recipe(tmp_path):
    study = new_study(tmp_path / "s")
    study.save()
    with pytest.raises(StudyError, match=r"budget none \(now 1h\); leave --budget out to continue"):
        open_or_create(new_study(tmp_path / "s"), budget="1h")
    budget = Budget(
        given="1h", n_seeds=2, most_seeds=3, epochs=60, steps=180, most_steps=180, forecast_s=9.0
    )
    study.declaration = study.declaration.having(budget=budget)
    study.save()
    assert open_or_create(new_study(tmp_path / "s"), budget="1h")[0].declaration.budget == budget
    for other, shown in ((None, "none"), ("2h", "2h")):
        with pytest.raises(
            StudyError,
            match=rf"epochs=60 \(now 5\), budget 1h \(now {shown}\); give --set epochs=60 "
            "--budget 1h to continue it, or --study NEWNAME",
        ):
            open_or_create(new_study(tmp_path / "s", epochs=5), budget=other)


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


@pytest.mark.parametrize("changed", [True, False])
def test_to_open_a_study_runs_nothing_that_it_names(tmp_path, monkeypatch, changed):
    source = "def make(*, n_classes): ...\n"
    file, ran = tmp_path / "opened_nets.py", tmp_path / "ran"
    file.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    base = {"model": "opened_nets:make", "init": "scratch", "loss": "bce"}
    study = new_study(tmp_path / "s", matrix=Matrix(cells=(base,), baseline=base))
    monkeypatch.delitem(sys.modules, "opened_nets")
    file.write_text(f"open({str(ran)!r}, 'w')\n")
    if not changed:  # the hash is right, as whoever made the study can make it
        sources = {"opened_nets:make": model_source("opened_nets:make")}
        study = Study(study.path, study.declaration.having(sources=sources))
        study._set_cells(study.cells)
    study.save()
    assert load(study.path, to_run=False).declaration == study.declaration
    if changed:
        with pytest.raises(SourceError, match="it changed"):
            load(study.path)
    else:
        load(study.path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "change",
    [{"seed": 3}, {"epochs": 61}, {"lr": 0.5}, {"loss": "dice_bce"}, {"loss": "?"}, {"width": "a"}]
    + [{"loss_params": {"a": 1}}, {"loss_params": 3}, {"role": "trial"}, {"data": "e" * 64}],
    ids=str,
)
def test_a_run_whose_fields_were_edited_is_never_counted(tmp_path, change):
    study = new_study(tmp_path / "s")
    study.save()
    config = study.config(study.cells[0], 0)
    run = study.run_dir(config)
    run.create(config.record("an arm of before"))
    check_runs(study)
    stored = json.loads(run.config.read_text())
    stored["config"] |= change
    run.config.write_text(json.dumps(stored))
    with pytest.raises(RecordError) as error:
        open_or_create(new_study(tmp_path / "s"))
    if change != {"loss_params": 3}:
        assert "config.json must be as it was written, got run" in str(error.value)
    assert "\n" not in str(error.value) and "move the run's folder away" in str(error.value)


def test_runs_that_were_made_before_a_field_was_known_and_those_superseded_stay(tmp_path):
    study = new_study(tmp_path / "s", epochs=7)
    study.save()
    for cell in study.cells:
        for seed in (0, 1):
            if study.resolvable(cell):
                config = study.config(cell, seed)
                study.run_dir(config).create(config.record(cell.arm))
    run = study.run_dir(study.config(study.cells[0], 1))
    stored = json.loads(run.config.read_text())
    del stored["config"]["hue_deg"], stored["config"]["checkpoint_s"]
    run.config.write_text(json.dumps(stored))
    other = study.config(study.cells[0], 0, epochs=8)
    superseded = study.run_dir(other)
    superseded.create(other.record("a"))
    text = superseded.config.read_text()
    superseded.config.write_text(text.replace('"epochs": 8', '"epochs": 9'))  # in no number
    assert not open_or_create(new_study(tmp_path / "s", epochs=7))[1]


def test_a_study_whose_file_is_a_link_is_neither_new_nor_read(tmp_path):
    study = new_study(tmp_path / "s")
    study.save()
    (tmp_path / "s" / "study.json").rename(tmp_path / "theirs")
    for target in (tmp_path / "theirs", tmp_path / "nowhere"):
        (tmp_path / "s" / "study.json").symlink_to(target)
        with pytest.raises(RecordError, match="study.json must be a plain file, got a link to"):
            open_or_create(new_study(tmp_path / "s"))
        (tmp_path / "s" / "study.json").unlink()
