"""Tables of arms, classes and runs: known answers on small studies."""

import math

import numpy as np
import pytest

from analysis.records import read_study
from analysis.report.write import write_report
from analysis.tables import arms, classes, curves, runs
from analysis.tables.metrics import more_metrics
from tests.analysis.made import FOCAL
from tests.analysis.studies import BCE, CELLS, DICE, FAILING, NEVER, TUNED, write_run, write_study


def test_summary_known_answers(study):
    table = arms.summary(study).set_index("arm")
    assert list(table.index) == [c.arm for c in CELLS]
    assert table["n"].tolist() == [3, 2, 1, 0, 0]
    assert table["n_failed"].tolist() == [0, 1, 0, 0, 1]
    assert table["status"].tolist() == ["finished", "incomplete", "finished", "not run", "failed"]
    bce = table.loc[BCE.arm]
    assert bce["test/miou mean"] == pytest.approx(1.9 / 3)
    # deviations -4/30, -1/30, 5/30: their squares sum to 42/900; ddof 0 would give 0.1247
    assert bce["test/miou sd"] == pytest.approx(math.sqrt(42 / 900 / 2))
    assert (bce["test/miou min"], bce["test/miou max"]) == pytest.approx((0.5, 0.8))
    assert (bce["minutes per run mean"], bce["parameters, M"]) == (2.0, 1.5)
    assert np.isnan(table.loc[TUNED.arm, "test/miou sd"])
    assert table.loc[[NEVER.arm, FAILING.arm], "test/miou mean"].isna().all()
    assert table["tuning"].tolist() == ["default", "default", "tuned", "default", "default"]


@pytest.mark.slow
def test_scores_with_void_scored_stand_beside_the_comparable_ones(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    write_run(root, DICE, 0)
    for seed, value in ((0, 0.7), (1, 0.9)):
        write_run(root, BCE, seed, metrics={"test/miou_void_scored": value})
    study = read_study(root)
    assert arms.void_scored(study).to_dict("records") == [
        {
            "arm": BCE.arm,
            "n": 2,
            "test/miou mean": pytest.approx(0.6),
            "test/miou_void_scored mean": pytest.approx(0.8),
        }
    ]
    text = write_report(study, tmp_path / "report").read_text()
    assert "the same runs with void scored as class 5" in text


def test_per_class_means_order_and_absent_class(study):
    table = classes.per_class(study)
    assert table["class"].tolist() == ["background", "disc", "ring", "bar"]  # by fit pixels
    assert table["in_test"].tolist() == [True, True, False, True]
    assert table[BCE.arm].tolist() == pytest.approx([0.9, 0.6, np.nan, 0.4], nan_ok=True)
    assert table[NEVER.arm].isna().all()


def test_aggregate_arm(study):
    bce, tuned = (arms.aggregate_arm(study, c.arm) for c in (BCE, TUNED))
    assert bce["n"] == 3
    assert bce["test/iou/bar/mean"] == pytest.approx(0.4)
    assert bce["test/iou/bar/sd"] == pytest.approx(math.sqrt((0.16 + 0.01 + 0.25) / 2))
    assert not any("ring" in key or key.startswith("dev") for key in bce)
    assert tuned["n"] == 1 and "test/miou/sd" not in tuned
    assert arms.aggregate_arm(study, NEVER.arm) == {"n": 0}


def test_missing_names_every_gap(study):
    table = runs.missing(study).set_index("run")
    assert table["state"].to_dict() == {
        "unet-scratch-dice_bce seed 2": "failed",
        "unet-scratch-bce-tuned seed 1": "not run",
        "unet-scratch-bce-tuned seed 2": "not run",
        "resnetunet-pretrained-bce": "not run",
        "resnetunet-pretrained-dice_bce seed 0": "failed",
        "resnetunet-pretrained-dice_bce seed 1": "not run",
        "resnetunet-pretrained-dice_bce seed 2": "not run",
    }
    assert table["reason"].iloc[0] == "loss is nan in epoch 2"


def test_superseded_runs_are_listed_and_never_pooled(study):
    table = runs.superseded(study)
    assert table["run"].tolist() == ["unet-scratch-bce seed 0", "resnetunet-scratch-bce seed 5"]
    assert table["differs"].tolist() == ["epochs = 1 (study: 3)", ""]
    assert len(runs.runs(study)) == 8
    assert runs.runs(study)["test_miou"].min() == pytest.approx(0.4)


def test_history_is_long_without_gaps(study):
    table = runs.history(study)
    one = table[(table["arm"] == BCE.arm) & (table["seed"] == 0)]
    assert one[one["metric"] == "dev/miou"]["epoch"].tolist() == [1, 3]
    assert set(table["variant"]) == {"bce", "dice_bce", "bce-tuned"}


def test_environment_mixtures_count_runs(study):
    table = runs.environment_mixtures(study)
    assert table[["key", "value", "n_runs"]].values.tolist() == [
        ["device", "cpu", 5],
        ["device", "cuda", 1],
    ]


def test_other_metrics_read_the_same_confusions(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    for one, seed, ious in ((BCE, 0, (1, 1, 1)), (BCE, 1, (1, 1, 1)), (DICE, 0, (1, 1, 0))):
        write_run(root, one, seed, ious)
    study = read_study(root)
    table = more_metrics(study).set_index("arm")
    right, missed = table.loc[BCE.arm], table.loc[DICE.arm]
    assert right["n"] == 2 and (right.drop(["n", "medium"]) == 1).all()
    assert np.isnan(right["medium"])  # two classes make no third group
    assert missed["mean class accuracy"] == pytest.approx(2 / 3)
    assert missed["miou foreground"] == pytest.approx(1 / 2)
    assert missed["rare"] == 0 and missed["frequent"] == 1  # bar, disc


@pytest.mark.slow
def test_score_at_equal_time_waits_for_the_fastest_arm_and_leaves_resumed_runs_out(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE, FOCAL])
    for one, seed, epoch_s in ((BCE, 0, 60), (BCE, 1, 90), (DICE, 0, 120), (FOCAL, 0, 600)):
        write_run(root, one, seed, epoch_s=epoch_s)  # 0.1 after epoch 1, 0.3 after epoch 3
    resumed = write_run(root, FOCAL, 1) / "journal.jsonl"
    lines = resumed.read_text().splitlines()
    resumed.write_text("\n".join([*lines[:2], lines[0], *lines[2:]]))
    table = curves.at_cost(read_study(root))
    assert table["n"].tolist() == [2, 1, 1]  # of focal_tversky the resumed one is left out
    assert set(table["first_min"]) == {4.5} and set(table["second_min"]) == {6.0}
    assert table["end_min"].tolist() == [4.5, 6, 30]
    np.testing.assert_allclose(
        table[["first", "second", "end"]],
        [[0.3, 0.3, 0.3], [0.225, 0.3, 0.3], [np.nan, np.nan, 0.3]],
    )
    text = write_report(read_study(root), tmp_path / "r").with_name("report.md").read_text()
    assert "| unet-scratch-dice_bce | 1 | 0.225 | 0.300 | 0.300 | 6.00 |" in text
    assert len(curves.at_cost(read_study(write_study(tmp_path / "t", [BCE])))) == 0
