"""Sentences that set contrasts side by side: trades, tuned sisters, equivalence."""

import pytest

from analysis.report.write import write_report
from tests.analysis.made import about, make, said
from tests.analysis.studies import BCE, DICE, cell, contrast, data_facts
from tests.helpers import how_tuned


def test_equivalence_needs_the_whole_interval(tmp_path):
    arms = [(BCE, range(5), (0.8, 0.6, 0.5), 0.0), (DICE, range(5), (0.8, 0.6, 0.5), 0.0)]
    _, found, lines = said(make(tmp_path / "s", arms, smallest_difference=0.05))
    assert found.contrasts[0].verdict == "equivalent"
    assert about(lines, "unet-scratch-dice_bce and unet-scratch-bce are equivalent within 5 points")
    _, found, _ = said(make(tmp_path / "t", arms, smallest_difference=0.0001))
    assert found.contrasts[0].verdict != "equivalent"


@pytest.mark.slow
def test_common_bought_with_rare_is_one_sentence(tmp_path):
    classes = ("background", "disc", "bar")
    shares = {"fit": [0.6, 0.39, 0.01], "dev": [0.6, 0.39, 0.01], "test": [0.6, 0.3, 0.1]}
    padded = {split: (*values, 0.0) for split, values in shares.items()}
    data = data_facts((*classes, "none"), pixel_share=padded)
    arms = [(BCE, range(4), (0.9, 0.5, 0.8), 0.01), (DICE, range(4), (0.9, 0.9, 0.3), 0.01)]
    root = make(tmp_path / "s", arms, data=data)
    study, found, lines = said(root)
    assert {k: len(v) for k, v in study.by_frequency.items()} == {
        "rare": 1,
        "medium": 0,
        "frequent": 1,
    }
    assert found.contrasts[0].terciles is None  # too few classes for three groups
    assert write_report(study, tmp_path / "report").exists()
    data = data.having(background=False)
    root = make(tmp_path / "b", arms, data=data)
    _, found, lines = said(root)
    assert found.terciles == {"rare": ("bar",), "medium": ("disc",), "frequent": ("background",)}
    swapped = [(BCE, range(4), (0.5, 0.8, 0.8), 0.01), (DICE, range(4), (0.95, 0.8, 0.3), 0.01)]
    _, found, lines = said(make(tmp_path / "c", swapped, data=data))
    line = about(lines, "unet-scratch-dice_bce against unet-scratch-bce buys frequent")
    rare, frequent = (100 * found.contrasts[0].terciles.estimate[i] for i in (0, 2))
    assert f"frequent classes +{frequent:.1f} points (" in line
    assert f"rare classes {rare:.1f} points (" in line and rare < -20 < 20 < frequent


def test_worse_or_only_untuned_is_two_verdicts_side_by_side(tmp_path):
    cells = [
        BCE,
        DICE,
        *(
            cell("unet-scratch", loss, "tuned").having(default=f"unet-scratch-{loss}")
            for loss in ("bce", "dice_bce")
        ),
    ]
    recalls = [(0.9, 0.7, 0.7), (0.9, 0.4, 0.4), (0.9, 0.7, 0.7), (0.9, 0.7, 0.7)]
    noise = [0.01, 0.01, 0.05, 0.05]
    pairs = [contrast(DICE, BCE), contrast(cells[3], cells[2], "loss, tuned")]
    chosen = how_tuned()
    root = make(
        tmp_path / "s",
        [(one, range(3), *more) for one, *more in zip(cells, recalls, noise, strict=True)],
        contrasts=pairs,
        tunings={cells[2].arm: chosen, cells[3].arm: chosen},
    )
    _, found, lines = said(root)
    assert [one.verdict for one in found.contrasts] == ["worse", "cannot be told"]
    line = about(lines, "Worse, or only untuned?")
    assert (
        "unet-scratch-dice_bce against unet-scratch-bce: at the default settings it scores "
        "lower (-" in line
    )
    assert "; with both tuned it cannot be told apart (" in line
    assert line.endswith("Each was given 108 epochs of trials.")
