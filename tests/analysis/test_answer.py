"""What a report claims, and what it does not: golden sentences on studies written by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.answer import answer
from analysis.records import read_study
from analysis.report.report import write_report
from analysis.report.sentences import between, sentences
from analysis.tables import comparisons
from analysis.tables.metric_tables import frequency_groups, more_metrics
from tests.studies import BCE, DICE, cell, confusions, ious_of, write_run, write_study

FOCAL = cell("unet-scratch", "focal_tversky")
PRETRAINED, SCRATCH = cell("resnetunet-pretrained", "bce"), cell("resnetunet-scratch", "bce")
CLAIMS = ("better", "worse", "best", "wins", "higher", "lower", "equivalent")


def contrast(a, b, family="loss"):
    return {"family": family, "a": a["arm"], "b": b["arm"]}


def make(path, arms, *, contrasts=None, **changes):
    """A study; `arms` maps a cell's index to (cell, seeds, recalls of 3 classes, noise of a seed).

    Runs differ by seed through a shift of all recalls, and by image a little.
    """
    cells = [arm[0] for arm in arms]
    pairs = contrasts if contrasts is not None else [contrast(cells[1], cells[0])]
    root = write_study(path, cells, contrasts=pairs, baseline=cells[0]["arm"], **changes)
    for number, (one, seeds, recalls, noise) in enumerate(arms):
        for seed in seeds:
            rng = np.random.default_rng([number, seed])
            shifted = np.clip(np.array(recalls) + noise * rng.standard_normal(), 0, 1)
            test = confusions(shifted, rng)
            write_run(root, one, seed, ious_of(test), test=test)
    return root


def said(root, **options):
    study = read_study(root)
    return study, answer(study, n_boot=400), sentences(study, answer(study, n_boot=400))


def about(lines, start):
    return next(line for line in lines if line.startswith(start))


def test_a_clear_win_names_estimate_interval_seeds_images_and_weights(tmp_path):
    root = make(
        tmp_path / "s",
        [(SCRATCH, range(3), (0.9, 0.5, 0.4), 0.01), (PRETRAINED, range(3), (0.9, 0.8, 0.7), 0.01)],
    )
    for file in (root / "runs").glob("*/config.json"):
        stored = json.loads(file.read_text())
        if stored["arm"] == PRETRAINED["arm"]:
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
    table = comparisons.contrasts(found)
    assert table["verdict"].tolist() == ["seed noise unknown"] and table["low"].isna().all()
    assert set(comparisons.classes(study, found)["verdict"]) == {"seed noise unknown"}
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


def test_noise_between_images_counts_with_groups_too(tmp_path):
    arms = [(BCE, range(3), (0.8, 0.6, 0.5), 0.01), (DICE, range(3), (0.8, 0.6, 0.5), 0.01)]
    root = make(tmp_path / "s", arms)
    plain = said(root)[1].noise.iloc[0]
    declared = json.loads((root / "study.json").read_text())
    declared["data"]["test_groups"] = {name: name for name in "abcdefghij"}  # each its own
    (root / "study.json").write_text(json.dumps(declared))
    _, found, lines = said(root)
    assert found.noise.iloc[0]["detectable"] == pytest.approx(plain["detectable"])
    assert found.noise.iloc[0]["image sd"] > 0
    declared["data"]["test_groups"] |= {"a": "b"}
    (root / "study.json").write_text(json.dumps(declared))
    assert "10 test images in 9 groups" in about(said(root)[2], "unet-scratch-dice_bce")


def test_a_pair_in_two_families_is_adjusted_in_each(tmp_path):
    arms = [(BCE, range(3), (0.9, 0.5, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.7), 0.01)]
    root = make(
        tmp_path / "s",
        arms,
        contrasts=[contrast(DICE, BCE), contrast(DICE, BCE, "again"), contrast(BCE, DICE, "again")],
    )
    study, found, _ = said(root)
    one, again, _ = found.contrasts
    assert again.miou.low < one.miou.low and len(comparisons.terciles(found)) in (0, 6)
    assert write_report(study, tmp_path / "report").exists()


def test_equivalence_needs_the_whole_interval(tmp_path):
    arms = [(BCE, range(5), (0.8, 0.6, 0.5), 0.0), (DICE, range(5), (0.8, 0.6, 0.5), 0.0)]
    _, found, lines = said(make(tmp_path / "s", arms, smallest_difference=0.05))
    assert found.contrasts[0].verdict == "equivalent"
    assert about(lines, "unet-scratch-dice_bce and unet-scratch-bce are equivalent within 5 points")
    _, found, _ = said(make(tmp_path / "t", arms, smallest_difference=0.0001))
    assert found.contrasts[0].verdict != "equivalent"


def test_common_bought_with_rare_is_one_sentence(tmp_path):
    classes = ("background", "disc", "bar")
    shares = {"fit": [0.6, 0.39, 0.01], "dev": [0.6, 0.39, 0.01], "test": [0.6, 0.3, 0.1]}
    study_data = json.loads((write_study(tmp_path / "x", [BCE]) / "study.json").read_text())["data"]
    data = study_data | {
        "classes": [*classes, "none"],
        "pixel_share": {split: [*values, 0.0] for split, values in shares.items()},
    }
    arms = [(BCE, range(4), (0.9, 0.5, 0.8), 0.01), (DICE, range(4), (0.9, 0.9, 0.3), 0.01)]
    root = make(tmp_path / "s", arms, data=data)
    study, found, lines = said(root)
    assert {k: len(v) for k, v in frequency_groups(study).items()} == {
        "rare": 1,
        "medium": 0,
        "frequent": 1,
    }
    assert found.contrasts[0].terciles is None  # too few classes for three groups
    assert write_report(study, tmp_path / "report").exists()
    data["background"] = False
    root = make(tmp_path / "b", arms, data=data)
    _, found, lines = said(root)
    assert found.terciles == {"rare": ("bar",), "medium": ("disc",), "frequent": ("background",)}
    swapped = [(BCE, range(4), (0.5, 0.8, 0.8), 0.01), (DICE, range(4), (0.95, 0.8, 0.3), 0.01)]
    _, found, lines = said(make(tmp_path / "c", swapped, data=data))
    line = about(lines, "unet-scratch-dice_bce against unet-scratch-bce buys frequent")
    rare, frequent = (100 * found.contrasts[0].terciles.estimate[i] for i in (0, 2))
    assert f"frequent classes +{frequent:.1f} points (" in line
    assert f"rare classes {rare:.1f} points (" in line and rare < -20 < 20 < frequent


def test_the_choice_is_made_on_dev_and_claims_nothing(tmp_path):
    root = make(
        tmp_path / "s",
        [(BCE, range(2), (0.9, 0.9, 0.9), 0.0), (DICE, range(2), (0.5, 0.5, 0.5), 0.0)],
    )
    for file in (root / "runs").glob("*/journal.jsonl"):  # dev says the opposite of test
        dice = DICE["arm"] in (file.parent / "config.json").read_text()
        value = 0.9 if dice else 0.2
        file.write_text(
            file.read_text().replace('"dev/miou": 0.3, "test', f'"dev/miou": {value}, "test')
        )
    _, found, lines = said(root)
    assert found.chosen == DICE["arm"]
    assert about(lines, "Chosen on dev alone (highest mean dev mIoU, 0.900): unet-scratch-dice_bce")


def test_groups_too_few_for_other_images_say_so(tmp_path):
    arms = [(BCE, range(3), (0.9, 0.3, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.9), 0.01)]
    root = make(tmp_path / "s", arms)
    declared = json.loads((root / "study.json").read_text())
    declared["data"]["test_groups"] = {name: name > "e" and "one" or "two" for name in "abcdefghij"}
    (root / "study.json").write_text(json.dumps(declared))
    _, found, lines = said(root)
    assert found.images_fixed and found.contrasts[0].verdict == "better"
    assert "on these 10 images" in about(lines, "unet-scratch-dice_bce scores higher")


def test_other_metrics_read_the_same_confusions(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    for one, seed, ious in ((BCE, 0, (1, 1, 1)), (BCE, 1, (1, 1, 1)), (DICE, 0, (1, 1, 0))):
        write_run(root, one, seed, ious)
    study = read_study(root)
    table = more_metrics(study).set_index("arm")
    right, missed = table.loc[BCE["arm"]], table.loc[DICE["arm"]]
    assert right["n"] == 2 and (right.drop(["n", "medium"]) == 1).all()
    assert np.isnan(right["medium"])  # two classes make no third group
    assert missed["mean class accuracy"] == pytest.approx(2 / 3)
    assert missed["miou foreground"] == pytest.approx(1 / 2)
    assert missed["rare"] == 0 and missed["frequent"] == 1  # bar, disc


def test_score_at_equal_time_waits_for_the_fastest_arm_and_leaves_resumed_runs_out(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE, FOCAL])
    for one, seed, epoch_s in ((BCE, 0, 60), (BCE, 1, 90), (DICE, 0, 120), (FOCAL, 0, 600)):
        write_run(root, one, seed, epoch_s=epoch_s)  # 0.1 after epoch 1, 0.3 after epoch 3
    resumed = write_run(root, FOCAL, 1) / "journal.jsonl"
    lines = resumed.read_text().splitlines()
    resumed.write_text("\n".join([*lines[:2], lines[0], *lines[2:]]))
    table = comparisons.at_cost(read_study(root))
    assert table["n"].tolist() == [2, 1, 1]  # of focal_tversky the resumed one is left out
    assert set(table["first_min"]) == {4.5} and set(table["second_min"]) == {6.0}
    assert table["end_min"].tolist() == [4.5, 6, 30]
    np.testing.assert_allclose(
        table[["first", "second", "end"]],
        [[0.3, 0.3, 0.3], [0.225, 0.3, 0.3], [np.nan, np.nan, 0.3]],
    )
    text = write_report(read_study(root), tmp_path / "r").with_name("report.md").read_text()
    assert "| unet-scratch-dice_bce | 1 | 0.225 | 0.300 | 0.300 | 6.00 |" in text
    assert len(comparisons.at_cost(read_study(write_study(tmp_path / "t", [BCE])))) == 0


def test_intervals_that_say_nothing_are_words():
    assert between(-2.1, 2.4) == "beyond ±100, too few seeds to say anything"
    assert between(-0.2, 1.4) == "-20.0 to +140.0"
    assert between(0.0, 0.0) == "the same in every run"


def test_effects_and_noise_of_a_full_product(tmp_path):
    base = {"unet-scratch": 0.4, "resnetunet-scratch": 0.6}
    arms = []
    for network, level in base.items():
        for loss, gain in (("bce", 0.0), ("dice_bce", 0.2)):
            more = gain if network == "unet-scratch" else 0.0  # the loss helps one network only
            arms.append((cell(network, loss), range(4), (0.9, level + more, level + more), 0.005))
    study, found, lines = said(make(tmp_path / "s", arms))
    effects = found.effects.set_index("effect")
    assert effects["kind"].tolist() == ["network", "loss", "interaction"]
    inter = effects.loc["resnetunet-scratch minus unet-scratch: under dice_bce minus under bce"]
    assert inter["verdict"] == "worse" and inter["estimate"] < -0.08
    main = effects.loc["dice_bce minus bce"]
    single = found.contrasts[0].difference.miou.estimate
    assert main["estimate"] == pytest.approx(single + inter["estimate"] / 2, abs=1e-9)
    assert found.noise["network"].tolist() == list(base) and (found.noise["detectable"] > 0).all()
    assert about(lines, "unet-scratch, 4 seeds per arm: a true difference of ")


def test_other_images_or_shapes_are_refused(tmp_path):
    arms = [(BCE, [0], (0.8, 0.6, 0.5), 0), (DICE, [0], (0.8, 0.6, 0.5), 0)]
    root = make(tmp_path / "s", arms)
    file = next(p for p in (root / "runs").glob("*/confusion.npz"))
    with np.load(file) as arrays:
        kept = dict(arrays)
    np.savez(file, **kept | {"test_names": kept["test_names"][::-1]})
    with pytest.raises(ValueError, match="must be scored on the same test images in"):
        answer(read_study(root))
    np.savez(file, **kept | {"test": kept["test"][:, :3, :3]})
    with pytest.raises(ValueError, match="10 images and 4 classes, got 10 and 3"):
        answer(read_study(root))
    moved = kept["test"].copy()
    moved[:, 1, 1], moved[:, 1, 3] = moved[:, 1, 3], moved[:, 1, 1].copy()
    np.savez(file, **kept | {"test": moved})
    with pytest.raises(ValueError, match="must have confusions that give its test mIoU"):
        answer(read_study(root))
    file.write_bytes(file.read_bytes()[:99])
    with pytest.raises(ValueError, match="must be a whole .npz file, got"):
        answer(read_study(root))


def test_runs_of_other_data_or_another_metric_contract_are_refused_by_name(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    write_run(root, BCE, 0)  # no contract recorded, as before there was one: taken as it is
    write_run(root, BCE, 1, contract={"void": "never scored"})
    write_run(root, DICE, 1, end="failed", config={"data": "beef"})  # in no number
    assert len(read_study(root).finished()) == 2
    for seed in (2, 3):
        write_run(root, BCE, seed, contract={"void": "a class", "scale": "half"})
    write_run(root, DICE, 0, config={"data": "beefbeefbeefbeef"})
    with pytest.raises(ValueError) as error:
        read_study(root)
    assert str(error.value).endswith(
        "got unet-scratch-bce seed 2 (0003), unet-scratch-bce seed 3 (0004) with scale: 'half' "
        "(study: None); void: 'a class' (study: 'never scored'); unet-scratch-dice_bce seed 0 "
        "(0005) with data beefbeefbeef (study: f00d); move their folders away and run them again"
    )


def test_report_holds_the_answer_and_its_tables(tmp_path):
    root = make(
        tmp_path / "s",
        [(BCE, range(3), (0.9, 0.5, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.7), 0.01)],
    )
    page = write_report(read_study(root), tmp_path / "report")
    for text in (page.read_text(), (page.parent / "report.md").read_text()):
        assert "unet-scratch-dice_bce scores higher than unet-scratch-bce" in text
        assert "Planned contrasts" in text and "adjusted within each family" in text
    names = {p.stem for p in (page.parent / "tables").glob("*.csv")}
    assert {
        "contrasts",
        "class_differences",
        "frequency_groups",
        "frequency_slopes",
        "effects",
        "noise",
        "cost",
        "disagreement",
    } <= names
    figures = {p.stem for p in (page.parent / "figures").glob("*.png")}
    assert {"contrasts", "class_differences", "against_frequency", "confusions"} <= figures


def test_worse_or_only_untuned_is_two_verdicts_side_by_side(tmp_path):
    cells = [
        BCE,
        DICE,
        *(
            {**cell("unet-scratch", loss, "tuned"), "default": f"unet-scratch-{loss}"}
            for loss in ("bce", "dice_bce")
        ),
    ]
    recalls = [(0.9, 0.7, 0.7), (0.9, 0.4, 0.4), (0.9, 0.7, 0.7), (0.9, 0.7, 0.7)]
    noise = [0.01, 0.01, 0.05, 0.05]
    pairs = [contrast(DICE, BCE), contrast(cells[3], cells[2], "loss, tuned")]
    chosen = {"budget_epochs": 108}
    root = make(
        tmp_path / "s",
        [(one, range(3), *more) for one, *more in zip(cells, recalls, noise, strict=True)],
        contrasts=pairs,
        tunings={cells[2]["arm"]: chosen, cells[3]["arm"]: chosen},
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
