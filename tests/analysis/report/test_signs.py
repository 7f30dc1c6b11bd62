"""Runs that predict one class, miss classes or stand still: what the report says of them."""

import numpy as np
import pandas as pd
import pytest

from analysis.records import read_study
from analysis.report.signs import TITLE, collapsed, sign_sentences
from analysis.report.write import write_report
from analysis.tables.signs import signs
from study.record import RunDir, files, write_npz
from study.record.journal import Epoch
from tests.analysis.studies import BCE, DICE, cell, ious_of, write_run, write_study

TRUTH = np.diag([80, 12, 5, 0])  # of background, disc, bar; no ring in test
NO_BAR, ALONE, NO_DISC = (np.zeros((4, 4), int) for _ in range(3))
NO_BAR[[0, 1, 2], [0, 1, 0]] = NO_DISC[[0, 1, 2], [0, 2, 2]] = ALONE[[0, 1, 2], 0] = 80, 12, 5


def add(root, arm, seed, matrix):
    """A finished run whose predictions are `matrix` in each of ten images."""
    test = np.stack([matrix] * 10)
    return write_run(root, arm, seed, ious_of(test), test=test)


@pytest.fixture
def root(tmp_path):
    return write_study(tmp_path / "s", [BCE, DICE])


def test_what_no_run_predicts_is_said_once(root):
    for arm, matrices in ((BCE, (NO_BAR, ALONE, NO_BAR)), (DICE, (NO_BAR, NO_BAR))):
        for seed, matrix in enumerate(matrices):
            add(root, arm, seed, matrix)
    assert sign_sentences(read_study(root)) == [
        "Never predicted on test by any of the 5 finished runs: bar.",
        "unet-scratch-bce, on test: predicted only background in 1 of 3 runs.",
    ]


def test_arms_are_counted_class_by_class(root):
    for arm, matrices in ((BCE, (NO_BAR, ALONE, NO_DISC, NO_BAR)), (DICE, (TRUTH, NO_BAR))):
        for seed, matrix in enumerate(matrices):
            add(root, arm, seed, matrix)
    write_run(root, DICE, 2, end="failed")
    assert sign_sentences(read_study(root)) == [
        "unet-scratch-bce, on test: predicted only background in 1 of 4 runs; never predicted bar "
        "in 2, disc in 1 of the other 3.",
        "unet-scratch-dice_bce, on test: never predicted bar in 1 of 2 runs.",
    ]
    table = signs(read_study(root))
    assert table["kind"].tolist() == ["never predicted", "one class", *["never predicted"] * 3]
    assert table["what"][1] == "collapsed: predicted only background on dev and test"


def test_nothing_to_say(root):
    assert sign_sentences(read_study(root)) == []
    add(root, BCE, 0, TRUTH)
    study = read_study(root)
    assert sign_sentences(study) == [] and signs(study).columns.tolist()[0] == "run"


def test_many_arms_are_cut_short(tmp_path):
    arms = [cell("unet-scratch", f"loss{i}") for i in range(6)]
    root = write_study(tmp_path / "s", arms)
    for arm in arms:
        add(root, arm, 0, TRUTH)
        add(root, arm, 1, NO_BAR)
    lines = sign_sentences(read_study(root))
    assert len(lines) == 5 and lines[-1] == f"2 more arms with such runs: under {TITLE}."


def test_the_page_shows_the_first_of_many(root, monkeypatch):
    for seed in (0, 1, 2):
        add(root, BCE, seed, NO_BAR)
    monkeypatch.setattr("analysis.report.signs.MOST_ROWS", 2)
    (grid,) = collapsed(read_study(root)).blocks
    assert len(grid.rows) == 2 and grid.caption.startswith("The first 2 of 3; all are in tables/")


@pytest.mark.slow
def test_the_report_of_runs_that_stand_still(root):
    path = add(root, BCE, 0, TRUTH)
    finished = RunDir(path).journal().last
    path.joinpath(files.JOURNAL).unlink()
    add(root, DICE, 0, NO_BAR)
    journal = RunDir(path)
    for epoch in range(1, 9):
        journal.append(Epoch(epoch=epoch, metrics={"train/loss": 0.7, "dev/miou": 1 / epoch}))
    journal.append(finished.having(best_epoch=1))
    write_npz(
        path / files.CONFUSION,
        {
            "test": np.stack([TRUTH] * 10),
            "dev": NO_DISC[None],  # dev and test differ
            "test_names": np.array(list("abcdefghij")),
            "dev_names": np.array(["k"]),
        },
    )
    page = write_report(read_study(root), root / "report")
    text = (page.parent / "report.md").read_text()
    lead, body = text.split(f"## {TITLE}")
    assert (
        f"- Of 2 finished runs, in 1 dev mIoU never rose above its first evaluation; in 1 the "
        f"train loss did not fall by 2 % over the second half (under {TITLE})."
    ) in lead
    assert "- unet-scratch-dice_bce, on test: never predicted bar in 1 of 1 run." in lead
    table = pd.read_csv(page.parent / "tables/signs.csv")
    assert table["what"].tolist() == [
        "never predicted disc, in the truth of dev",
        "dev mIoU never rose above the first of its 8 evaluations, epoch 1",
        "train loss did not fall by 2 % from the second to the last quarter of the epochs "
        "(0.7 to 0.7)",
        "never predicted bar, in the truth of dev and test",
    ]
    assert all(what.split(", in")[0] in body for what in table["what"])
