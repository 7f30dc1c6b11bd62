"""study.json: read back as it was written, or refused in one line."""

import json

import pytest

from study.record import Budget, Declaration, RecordError, read_declaration
from tests.helpers import facts, new_study


@pytest.fixture
def stored(tmp_path):
    study = new_study(tmp_path / "s")
    study.save()
    return study


def test_a_declaration_is_read_back_as_it_was_written(stored):
    assert read_declaration(stored.path) == stored.declaration
    text = (stored.path / "study.json").read_text()
    assert Declaration.model_validate_json(text, strict=True) == stored.declaration


def test_a_study_of_before_there_were_budgets_is_read(stored):
    path = stored.path / "study.json"
    found = json.loads(path.read_text())
    assert found.pop("budget") is None
    path.write_text(json.dumps(found))
    assert read_declaration(stored.path) == stored.declaration


def test_what_a_budget_chose_is_a_line():
    chosen = {"given": "1h", "epochs": 88, "steps": 704, "forecast_s": 3300.0}
    budget = Budget(
        **chosen,
        n_seeds=2,
        most_seeds=3,
        most_steps=1200,
        savings=("unet narrowed to width 32", "pretraining"),
        narrowed={"width": 32},
        left_out={"pretraining": ("a-bce", "a-dice")},
    )
    assert budget.words == (
        "budget 1h: 2 seeds of 3, 704 steps of 1,200; unet narrowed to width 32; left out: "
        "pretraining (a-bce, a-dice); forecast 55.0 min"
    )
    whole = Budget(**chosen | {"steps": 1200}, n_seeds=1, most_seeds=1, most_steps=1200)
    assert whole.words == "budget 1h: 1 seed, 1,200 steps; forecast 55.0 min"


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("name",), 3, "name: .*, got 3"),
        (
            ("name",),
            "../../x",
            "a study's name must be letters, digits, - _ and ., .*got '../../x'",
        ),
        (("name",), "/etc", "a study's name must be letters"),
        (("name",), "a" * 256, "a study's name must be .* at most 255 bytes"),
        (("name",), "a\0b", "a study's name must be letters"),
        (("name",), "", "a study's name must be letters"),
        (("uuid",), "../x", "uuid: string should match pattern"),
        (("cells", 0, "cell_id"), "../../x", "cells.0.cell_id: string should match .*'../../x'"),
        (("cells", 0, "cell_id"), "*", "cells.0.cell_id: string should match"),
        (("cells", 0, "arm"), "", "cells.0.arm: string should have at least 1"),
        (("cells", 0, "arm"), "a" * 3000, "cells.0.arm: string should have at most 2000"),
        (("format",), 1, "format must be 2, got 1; read it with the version"),
        (("data", "classes"), "abc", "data.classes: .*, got 'abc'"),
        (("data", "pixel_share", "fit"), [0.5], "data.pixel_share must hold one share per class"),
        (("data", "pixel_share", "fit"), [0.5, 1.5], "less than or equal to 1, got 1.5"),
        (("cells", 0, "arm"), None, "cells.0.arm: .*, got None"),
        (("cells", 0, "arm"), "resnetunet-scratch-bce", "arm must be unique among the cells"),
        (("cells",), [], "cells: .* at least 1 item"),
        (("contrasts", 0, "a"), 1.5, "contrasts.0.a: .*, got 1.5"),
        (("weights",), {"source": "pretext", "sha256": "f"}, "weights.source"),  # of before
        (("recipe", "lr"), [1], "recipe.lr: should be true or false or .* or text, got"),
        (("data", "n_images"), {"fit": 1}, "data.n_images must hold .*, got no dev, test"),
        (("data", "n_images", "dev"), -1, "data.n_images.dev: .* equal to 0, got -1"),
        (("data", "void_share"), {}, "data.void_share must hold fit, dev, test, got no fit"),
        (("cells", 0, "values"), {"model": "unet"}, "a cell must have init, loss, tuning, got"),
        (("contrasts", 0, "a"), "x", r"contrasts must name arms of the study \(.*, got 'x'"),
        (("baseline",), "x", "baseline must name arms of the study"),
        (("smallest_difference",), -1, "smallest_difference: .* equal to 0, got -1"),
        (("surprise",), 1, "must have no surprise, which this version does not know"),
    ],
)
def test_what_does_not_fit_is_named(stored, place, value, message):
    path = stored.path / "study.json"
    found = json.loads(path.read_text())
    spot = found
    for key in place[:-1]:
        spot = spot[key]
    spot[place[-1]] = value
    path.write_text(json.dumps(found))
    with pytest.raises(RecordError, match=message) as error:
        read_declaration(stored.path)
    assert "study.json" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"format": NaN}', "[" * 100_000])
def test_what_is_no_declaration_is_refused(stored, text):
    (stored.path / "study.json").write_text(text)
    with pytest.raises(RecordError, match="study.json"):
        read_declaration(stored.path)


def test_a_missing_study_names_those_that_are_there(stored):
    with pytest.raises(
        RecordError, match="study.json, got none; studies beside it: s; run `python"
    ):
        read_declaration(stored.path.parent / "other")


def test_facts_hold_a_share_per_class():
    with pytest.raises(ValueError, match="data.image_share must hold one share per class"):
        facts(image_share={"fit": (0.5,), "dev": (0.5,), "test": (0.5,)})
