"""What is read of a study, and what is refused."""

import os

import numpy as np
import pytest

from analysis.records import read_study
from analysis.tables import arms
from study.record import Budget, RunDir, files
from study.record.journal import Died, Epoch, Failed, Pruned, Start, Stopped
from tests.analysis.studies import BCE, DICE, cell, write_run, write_study


def test_records_hold_what_the_files_say(study):
    run = study.runs[0]
    assert (run.arm, run.network, run.seed, run.state) == (BCE.arm, "unet-scratch", 0, "finished")
    assert (run.best_epoch, run.duration_s, run.n_parameters) == (3, 120.0, 1_500_000)
    assert run.environment["commit"] == "abc123"
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert np.isnan(run.history["dev/miou"][1])
    names, counts = run.confusion("test")
    assert names == tuple("abcdefghij") and counts.dense().shape == (10, 4, 4)
    assert [m.shape for m in run.panel()] == [(12, 16)] * 2
    assert study.panel().names == ("a", "b")
    assert [r.seed for r in study.finished(DICE.arm)] == [0, 1]
    with pytest.raises(ValueError, match="arm must be one of .*got 'nope'"):
        study.finished("nope")


def test_tuning_has_a_column_only_if_something_is_tuned(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    assert "tuning" not in arms.summary(read_study(root))


def test_what_a_budget_narrowed_is_no_axis(tmp_path):
    cells = [cell("unet-scratch", "bce", width=32), cell("resnetunet-scratch", "bce")]
    numbers = dict.fromkeys(("n_seeds", "most_seeds", "epochs", "steps", "most_steps"), 2)
    budget = Budget(given="1h", narrowed={"width": 32}, forecast_s=1.0, **numbers)
    whole = read_study(write_study(tmp_path / "whole", cells))
    narrowed = read_study(write_study(tmp_path / "narrowed", cells, budget=budget))
    assert whole.extra_axes == ["width"] and narrowed.extra_axes == []


def test_labels_and_varied_values_tell_arms_apart(tmp_path):
    low = cell("unet-scratch", "ft", cell_id="low", **{"loss.fn_weight": 0.3})
    high = cell("unet-scratch", "ft", cell_id="high", **{"loss.fn_weight": 0.7})
    low, high = low.having(arm="unet-scratch-ft-low"), high.having(arm="unet-scratch-ft-high")
    tuned = cell("unet-scratch", "bce", "tuned", lr_multiplier=2.0)
    study = read_study(write_study(tmp_path / "s", [low, high, tuned]))
    table = arms.summary(study)
    assert table["loss.fn_weight"].tolist() == ["0.3", "0.7", ""]
    assert "tuning" in table and "lr_multiplier" not in table
    assert [c.variant for c in study.cells] == ["ft-low", "ft-high", "bce-tuned"]
    assert arms.settings(study)["settings"].tolist()[2] == "lr_multiplier = 2.0"


def test_duplicate_arm_and_seed_is_refused(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0)
    write_run(root, BCE, 0)
    with pytest.raises(ValueError, match="0000 and 0001 both for unet-scratch-bce seed 0"):
        read_study(root)


def test_journal_cut_lines_and_repeated_epochs(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    run_dir = RunDir(write_run(root, BCE, 0, end=""))
    run_dir.append(Epoch(epoch=2, metrics={"train/loss": 99.0}))
    journal = run_dir.path / files.JOURNAL
    with journal.open("a") as file:
        file.write('{"event": "finished", "metr')
    run = read_study(root).runs[0]
    assert (run.state, run.result) == ("unfinished", {})
    assert "epoch 3 recorded" in run.error
    assert run.history["train/loss"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    run_dir.append(Start(attempt=2, after_epoch=3, environment={}, n_parameters=1))
    run = read_study(root).runs[0]
    assert (run.state, len(run.environments)) == ("unfinished", 2)
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0][:20], *lines[1:3]]))
    with pytest.raises(ValueError, match=r"journal.jsonl line 1 must be an event in JSON"):
        read_study(root)


@pytest.mark.parametrize(
    ("last", "state", "reason"),
    [
        (Stopped(), "unfinished", "stopped on request, epoch 3 recorded"),
        (Pruned(epoch=2), "pruned", "pruned at epoch 2"),
        (Died(error="killed"), "unfinished", "died: killed, epoch 3 recorded"),
        (Failed(error="a\n b"), "failed", "a b"),
    ],
)
def test_last_event_decides_the_state(tmp_path, last, state, reason):
    root = write_study(tmp_path / "s", [BCE])
    RunDir(write_run(root, BCE, 0, end="")).append(last)
    run = read_study(root).runs[0]
    assert (run.state, run.error) == (state, reason)


def test_finished_run_without_its_numbers_is_refused(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0, (0.5, float("nan"), 0.5))
    with pytest.raises(ValueError, match="none for test/miou, test/iou/disc;"):
        read_study(root)


def test_broken_studies_say_what_to_do(tmp_path):
    write_study(tmp_path / "good", [BCE])
    with pytest.raises(ValueError, match="study.json, got none; studies beside it: good; run"):
        read_study(tmp_path / "none")
    file = write_study(tmp_path / "bad", [BCE, DICE]) / files.STUDY
    whole = file.read_text()
    for text, message in (
        (whole.replace('"format": 2', '"format": 1'), "format must be 2, got 1; read it with"),
        ('{"format": 1', "must be a JSON object, got an unreadable file"),
        (whole.replace(DICE.arm, BCE.arm), "arm must be unique"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_study(file.parent)


def test_runs_of_other_data_or_another_metric_contract_are_refused_by_name(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    write_run(root, BCE, 0)
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


@pytest.mark.parametrize(
    "name",
    ["study.json", "panel.npz", "runs", "runs/0000"]
    + [f"runs/0000/{name}" for name in ("config.json", "journal.jsonl", "confusion.npz")]
    + ["runs/0000/panel.npz"],
)
def test_nothing_is_read_through_a_link(tmp_path, name):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0)
    path = root / name
    path.rename(tmp_path / "theirs")
    path.symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match="must be a .*, got a link to .*theirs"):
        study = read_study(root)
        study.panel(), study.runs[0].panel(), study.runs[0].confusion("test")


def test_a_pipe_is_no_panel_and_is_not_waited_for(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    (root / "panel.npz").unlink()
    os.mkfifo(root / "panel.npz")
    with pytest.raises(ValueError, match="panel.npz must be a plain file, got a named pipe"):
        read_study(root).panel()
