"""What a report claims, and what it does not: golden sentences."""

import json

import numpy as np
import pytest

from analysis.report.wording import between
from analysis.report.write import write_report
from analysis.tables import contrasts
from tests.analysis.made import CLAIMS, FOCAL, PRETRAINED, SCRATCH, about, make, said
from tests.analysis.studies import BCE, DICE, contrast, redeclare, write_run


def test_a_clear_win_names_estimate_interval_seeds_images_and_weights(tmp_path):
    root = make(
        tmp_path / "s",
        [(SCRATCH, range(3), (0.9, 0.5, 0.4), 0.01), (PRETRAINED, range(3), (0.9, 0.8, 0.7), 0.01)],
    )
    for file in (root / "runs").glob("*/config.json"):
        stored = json.loads(file.read_text())
        if stored["arm"] == PRETRAINED.arm:
            stored["config"]["weights_source"] = "imagenet (IMAGENET1K_V1)"
            file.write_text(json.dumps(stored))
    _, found, lines = said(root)
    one = found.contrasts[0]
    assert one.verdict == "better" and 0.15 < one.difference.miou.estimate < 0.25
    low, high = 100 * one.miou.low, 100 * one.miou.high
    line = about(lines, "resnetunet-pretrained-bce scores higher")
    assert line.startswith(
        "resnetunet-pretrained-bce scores higher than resnetunet-scratch-bce: "
        f"+{100 * one.difference.miou.estimate:.1f} points of test mIoU (95 % interval: "
        f"+{low:.1f} to +{high:.1f}; 3 seeds each, 10 test images, weights: imagenet "
        "(IMAGENET1K_V1))."
    )
    assert (
        "Per class (95 %, adjusted over the classes), resnetunet-pretrained-bce is higher on disc +"
        in line
        and "bar +" in line
        and "lower on" not in line
    )
    reverse = make(
        tmp_path / "r",
        [(PRETRAINED, range(3), (0.9, 0.8, 0.7), 0.01), (SCRATCH, range(3), (0.9, 0.5, 0.4), 0.01)],
    )
    assert about(said(reverse)[2], "resnetunet-scratch-bce scores lower than resnetunet-pretrained")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_two_arms_alike_are_never_told_apart(tmp_path, number):
    """The noise of the seeds is large; the same recipe twice under two names."""
    arms = [(BCE, range(3), (0.8, 0.6, 0.5), 0.05), (DICE, range(3), (0.8, 0.6, 0.5), 0.05)]
    if number % 2:
        arms.reverse()
    root = make(
        tmp_path / f"s{number}", arms, contrasts=[contrast(DICE, BCE), contrast(BCE, DICE, "other")]
    )
    _, found, lines = said(root)
    assert {one.verdict for one in found.contrasts} == {"cannot be told"}
    assert about(lines, "Of 2 planned") == (
        "Of 2 planned contrasts with an interval, 0 can be told apart, 0 are equivalent, 2 cannot "
        "be told."
    )
    text = " ".join(line for line in lines if " against " in line)
    assert "the difference cannot be told" in text
    assert not any(word in text for word in CLAIMS)


@pytest.mark.slow
def test_one_seed_makes_no_claim(tmp_path):
    root = make(tmp_path / "s", [(BCE, [0], (0.9, 0.3, 0.2), 0), (DICE, [0], (0.9, 0.8, 0.9), 0)])
    study, found, lines = said(root)
    line = about(lines, "unet-scratch-dice_bce against")
    assert line.endswith(
        "points of test mIoU (1 seed each); with one seed on a side seed noise is "
        "unknown, so nothing is claimed."
    )
    assert not any(word in line for word in CLAIMS) and np.isnan(found.contrasts[0].miou.low)
    assert about(lines, "unet-scratch: no two of its arms have two seeds, so the noise between")
    table = contrasts.contrasts(found)
    assert table["verdict"].tolist() == ["seed noise unknown"] and table["low"].isna().all()
    assert set(contrasts.classes(study, found)["verdict"]) == {"seed noise unknown"}
    assert write_report(study, tmp_path / "report").exists()


def test_failed_missing_and_unequal_are_named(tmp_path):
    root = make(
        tmp_path / "s",
        [
            (BCE, range(3), (0.8, 0.6, 0.5), 0.02),
            (DICE, range(2), (0.8, 0.6, 0.5), 0.02),
            (FOCAL, [], (0, 0, 0), 0),
            (SCRATCH, [], (0, 0, 0), 0),
        ],
        contrasts=[contrast(DICE, BCE), contrast(FOCAL, BCE), contrast(SCRATCH, BCE, "model")],
    )
    write_run(root, DICE, 2, end="failed", error="loss is nan")
    write_run(root, FOCAL, 0, end="failed", error="loss is inf")
    _, _, lines = said(root)
    assert "; 2 seeds against 3 seeds: 0, 1 against 0, 1, 2, 10 test images" in about(
        lines, "unet-scratch-dice_bce against"
    )
    assert about(lines, "unet-scratch-focal_tversky against unet-scratch-bce") == (
        "unet-scratch-focal_tversky against unet-scratch-bce: no comparison, without a finished "
        "run: unet-scratch-focal_tversky (failed)."
    )
    assert (
        "Planned contrasts not compared because an arm was not run: 1 of 3 (not run: "
        "resnetunet-scratch-bce)."
    ) in lines
    assert "unet-scratch-dice_bce failed at seed 2 (loss is nan); n left: 2." in lines
    assert "unet-scratch-focal_tversky failed at seed 0 (loss is inf); n left: 0." in lines
    assert "Unequal numbers of seeds: unet-scratch-bce 3, unet-scratch-dice_bce 2." in lines
    assert "Not in test, so without a score: ring." in lines


def test_one_seed_borrows_no_noise_from_other_arms(tmp_path):
    arms = [
        (BCE, range(3), (0.9, 0.3, 0.2), 0.01),
        (DICE, [0], (0.9, 0.8, 0.9), 0.01),
        (FOCAL, [0], (0.9, 0.8, 0.9), 0.01),
    ]
    root = make(tmp_path / "s", arms, contrasts=[contrast(DICE, BCE), contrast(FOCAL, DICE)])
    _, found, lines = said(root)
    assert not any(one.seeds_known for one in found.contrasts)
    assert not any(word in line for line in lines for word in CLAIMS if " against " in line)


def test_the_choice_is_made_on_dev_and_claims_nothing(tmp_path):
    root = make(
        tmp_path / "s",
        [(BCE, range(2), (0.9, 0.9, 0.9), 0.0), (DICE, range(2), (0.5, 0.5, 0.5), 0.0)],
    )
    for file in (root / "runs").glob("*/journal.jsonl"):  # dev says the opposite of test
        dice = DICE.arm in (file.parent / "config.json").read_text()
        value = 0.9 if dice else 0.2
        text = file.read_text().replace('"dev/miou":0.3,"test', f'"dev/miou":{value},"test')
        file.write_text(text)
    _, found, lines = said(root)
    assert found.chosen == DICE.arm
    assert about(lines, "Chosen on dev alone (highest mean dev mIoU, 0.900): unet-scratch-dice_bce")


def test_groups_too_few_for_other_images_say_so(tmp_path):
    arms = [(BCE, range(3), (0.9, 0.3, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.9), 0.01)]
    root = make(tmp_path / "s", arms)
    redeclare(root, test_groups={name: "one" if name > "e" else "two" for name in "abcdefghij"})
    _, found, lines = said(root)
    assert found.images_fixed and found.contrasts[0].verdict == "better"
    assert "on these 10 images" in about(lines, "unet-scratch-dice_bce scores higher")


def test_intervals_that_say_nothing_are_words():
    assert between(-2.1, 2.4) == "beyond ±100, too few seeds to say anything"
    assert between(-0.2, 1.4) == "-20.0 to +140.0"
    assert between(0.0, 0.0) == "the same in every run"


def test_unknown_noise_says_which_arms_have_one_seed(tmp_path):
    """Seeds 1, 5 and 3: two arms do have two seeds, but no planned contrast compares them."""
    arms = [
        (BCE, range(1), (0.9, 0.5, 0.5), 0.01),
        (DICE, range(5), (0.9, 0.5, 0.5), 0.01),
        (FOCAL, range(3), (0.9, 0.5, 0.5), 0.01),
    ]
    pairs = [contrast(DICE, BCE), contrast(FOCAL, BCE)]
    _, _, lines = said(make(tmp_path / "s", arms, contrasts=pairs))
    assert about(lines, "unet-scratch: ") == (
        "unet-scratch: no planned contrast of its arms has two seeds on both sides, so the noise "
        "between seeds is unknown (one seed: unet-scratch-bce)."
    )
    _, _, lines = said(make(tmp_path / "t", [(one, [0], *more) for one, _, *more in arms[:2]]))
    assert about(lines, "unet-scratch: ").endswith(
        "is unknown (one seed: unet-scratch-bce, unet-scratch-dice_bce)."
    )


def test_epochs_that_are_an_axis_are_said_as_they_are(tmp_path):
    """Not those of the recipe, which no arm has."""
    arms = [
        one.having(values=one.values | {"epochs": epochs}) for one, epochs in ((BCE, 5), (DICE, 20))
    ]
    root = make(tmp_path / "s", [(one, range(2), (0.9, 0.5, 0.4), 0.01) for one in arms])
    assert "test images): 5 or 20 epochs; networks" in said(root)[2][0]
    same = make(tmp_path / "t", [(one, range(2), (0.9, 0.5, 0.4), 0.01) for one in (BCE, DICE)])
    assert "test images): 3 epochs; networks" in said(same)[2][0]
