"""Effects of the axes that arms cross: two, three, and what is said where a cell is missing."""

import numpy as np
import pytest

from analysis.answer import Crossing
from analysis.records import read_study
from analysis.report.sentences import effects_sentence
from analysis.report.write import write_report
from analysis.tables import arms
from tests.analysis.made import make, said
from tests.analysis.studies import cell, write_study

FACTORS = {"augmentation": {"weak": {"scale_max": 1.1}, "strong": {"scale_max": 2.0}}}


def crossed_cells():
    """2 networks x 2 losses x 2 levels of a factor."""
    return [
        cell(network, loss, factors={"augmentation": level}, **FACTORS["augmentation"][level])
        for network in ("unet-scratch", "resnetunet-scratch")
        for loss in ("bce", "dice_bce")
        for level in ("weak", "strong")
    ]


def three_axes(path, left_out: int | None = None):
    """A study of those cells: strong helps by 0.1, and by 0.2 more with dice_bce."""
    declared = []
    for number, one in enumerate(crossed_cells()):
        strong = one.factors["augmentation"] == "strong"
        level = 0.4 + strong * (0.1 + 0.2 * (one.loss == "dice_bce"))
        if number != left_out:
            declared.append((one, range(3), (0.9, level, level), 0.002))
    return make(path, declared, factors=FACTORS)


@pytest.mark.slow
def test_a_third_axis_has_effects(tmp_path):
    root = three_axes(tmp_path / "s")
    study, found, _ = said(root)
    table = found.effects.set_index("effect")
    assert table["kind"].tolist() == ["network", "loss", "augmentation", *["interaction"] * 3]
    main = table.loc["augmentation=strong minus augmentation=weak"]
    assert main["verdict"] == "better"
    assert main["estimate"] == pytest.approx(0.2 * 2 / 3, abs=0.01)  # two of three classes
    inter = table.loc["dice_bce minus bce: under augmentation=strong minus under augmentation=weak"]
    assert inter["verdict"] == "better"
    assert inter["estimate"] == pytest.approx(0.2 * 2 / 3, abs=0.01)
    means = arms.summary(study).set_index("augmentation")["test/miou mean"]
    assert main["estimate"] == pytest.approx(means["strong"].mean() - means["weak"].mean())
    text = write_report(study, tmp_path / "report").with_name("report.md").read_text()
    assert "## Effects of network, loss and augmentation" in text
    assert "means over the other axes" in text
    assert "| augmentation | augmentation=strong minus augmentation=weak | +13." in text


@pytest.mark.slow
def test_a_grid_with_a_hole_names_it(tmp_path):
    root = three_axes(tmp_path / "s", left_out=5)
    study, found, _ = said(root)
    assert not len(found.effects)
    text = write_report(study, tmp_path / "report").with_name("report.md").read_text()
    assert (
        "Main effects of network, loss and augmentation need an arm for every combination; of 8, 1 "
        "has none: resnetunet-scratch with bce with augmentation=strong." in text
    )


def test_arms_without_a_run_and_single_axes_are_named(tmp_path):
    cells = [cell("unet-scratch", "bce"), cell("unet-scratch", "dice_bce")]
    _, found, _ = said(write_study(tmp_path / "one", cells))
    assert effects_sentence(found.grid).endswith("the arms shown have loss alone.")
    cells += [cell("resnetunet-scratch", one.loss) for one in cells]
    declared = [(one, range(1), (0.9, 0.5, 0.5), 0.0) for one in cells[:3]]
    _, found, _ = said(make(tmp_path / "s", [*declared, (cells[3], [], (0, 0, 0), 0)]))
    assert effects_sentence(found.grid) == (
        "Main effects of network and loss need a finished run of every arm; still without one: "
        "resnetunet-scratch-dice_bce."
    )
    many = Crossing({"a": list("xy"), "b": list("uv")}, tuple(zip("abcdefgh", strict=True)), ())
    assert effects_sentence(many).endswith("have none: a, b, c, d, e, f and 2 more.")


def test_a_factor_is_one_column_and_its_fields_are_none(tmp_path):
    study = read_study(write_study(tmp_path / "s", crossed_cells(), factors=FACTORS))
    table = arms.summary(study)
    assert table["augmentation"].tolist() == ["weak", "strong"] * 4
    assert "scale_max" not in table
    assert arms.settings(study)["settings"][0] == "scale_max = 1.1, augmentation = weak"
    labelled = [one.having(label=f"l{i}") for i, one in enumerate(crossed_cells())]
    study = read_study(write_study(tmp_path / "l", labelled, factors=FACTORS))
    assert study.extra_axes == ["label"]


def test_a_field_set_by_the_network_or_by_every_arm_anew_leaves_two_axes(tmp_path):
    declared = [
        (cell(network, loss, width=width, lr=lr), range(2), (0.9, 0.5, 0.5), 0.01)
        for network, width in (("unet-scratch", 16), ("resnetunet-scratch", 32))
        for loss, lr in (("bce", width / 1000), ("dice_bce", width / 500))
    ]
    study, found, _ = said(make(tmp_path / "s", declared))
    assert study.extra_axes == ["width", "lr"]
    assert found.effects["kind"].tolist() == ["network", "loss", "interaction"]
    assert np.isfinite(found.effects["estimate"]).all()
