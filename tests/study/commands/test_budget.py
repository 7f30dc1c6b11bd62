"""--budget through the real command line, with steps that cost what the test says."""

import re
from dataclasses import replace
from functools import partial

import pytest

import runs
from study import presets
from study.commands import session
from study.commands.console import make_console
from study.commands.opening import open_session
from study.commands.parser import parse
from study.execution.forecast import Forecaster
from study.execution.timing import Timing
from study.record import read_declaration
from tests.helpers import flags, refused, run_command

pytestmark = pytest.mark.slow
# 8 fit images, so 2 steps an epoch of batch 4: 400 to 1,200 steps are 200 to 600 epochs.
FOLDER = ["--set", "batch_size=4", "--set", "crop_px=32", "--workers", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def step_s(monkeypatch):
    """A second a step for UNet-64, less for a narrower one; half a second for ResNetUNet."""

    def measure(config, n_workers, steps_only=False):
        seconds = config.width / 64 if config.model == "unet" else 0.5
        return Timing(0.0, seconds, 0.0, 0.0)

    monkeypatch.setattr(session, "Forecaster", partial(Forecaster, measure=measure))
    usual = replace(presets.FOLDER, steps={"cpu": 1200, "cuda": 6000}, min_steps=400)
    monkeypatch.setattr(presets, "FOLDER", usual)


def plan(data, out, *words):
    """What --plan prints of a new study, in one line; it writes no study."""
    given = ["--plan", "--data", str(data), "--out", str(out), "--pretrained", "pretext"]
    assert runs.main([*given, *FOLDER, *words]) == 0
    assert not list(out.glob("*/study.json"))


@pytest.mark.parametrize(
    "budget, seeds, epochs, told",
    [
        ("1d", 3, 600, ("budget 1d: 3 seeds, 1,200 steps; forecast",)),
        # 2 seeds of 3 losses: 4.03 s an epoch for three networks, 6,825 s left
        ("2h", 2, 282, ("2 seeds of 3, 56", "steps of 1,200; forecast")),
        # UNet-32: 3.03 s an epoch, 3,975 s left
        ("70m", 2, 218, ("; unet narrowed to width 32; forecast", "unet-w32-scratch-bce ")),
        # ResNetUNet, pretrained alone: 1.01 s an epoch, 1,695 s left
        ("30m", 2, 279, ("left out: architecture (unet-scratch-bce, unet-s", "pretraining (resn")),
    ],
)
def test_the_plan_fits(data, tmp_path, capsys, budget, seeds, epochs, told):
    plan(data, tmp_path, "--budget", budget)
    text = " ".join(capsys.readouterr().out.split())
    found = re.search(r"budget: \d+ steps of 4 crops a run \((\d+) epochs\), (\d) seeds", text)
    assert int(found[2]) == seeds and epochs - 9 <= int(found[1]) <= epochs  # time goes by
    assert all(words in text for words in told), text


def test_what_only_names_is_not_saved_on(data, tmp_path, capsys):
    plan(data, tmp_path, "--budget", "10m", "--only", "model=unet")
    text = capsys.readouterr().out
    assert "unet-w16-scratch-dice_bce" in text and "focal_tversky │" not in text
    assert "left out by --budget 10m: loss focal_tversky" in text
    assert "architecture" not in text and "pretraining" not in text


def test_the_smallest_budget_is_one(data, tmp_path, capfd):
    words = ["--plan", "--data", data, "--out", tmp_path, "--pretrained", "pretext", *FOLDER]
    error = refused([*words, "--budget", "10m"], capfd)
    smallest = re.search(r"--budget must be at least (1[678]m) for 2 seeds of .*, got 10m", error)
    plan(data, tmp_path, "--budget", smallest[1])
    assert "loss focal_tversky (" in capfd.readouterr().out


def test_steps_that_are_given_stay(data, tmp_path, capsys):
    plan(data, tmp_path, "--budget", "1d", "--set", "steps=7", "--matrix", "losses")
    assert "budget: 8 steps of 4 crops a run (4 epochs), 3 seeds" in capsys.readouterr().out


def test_the_same_command_continues_and_another_budget_is_refused(data, tmp_path, capfd):
    words = ["--grid", "--matrix", "losses", "--workers", "2"]
    again = [*words, "--budget", "40s"]  # 2 epochs of the tiny recipe, by TINY
    assert run_command(*again, out=tmp_path, data=data) == 0
    study = read_declaration(tmp_path / "losses-tiny")
    assert (study.budget.n_seeds, study.budget.epochs, study.budget.given) == (3, 2, "40s")
    capfd.readouterr()
    assert run_command(*again, out=tmp_path, data=data) == 0
    assert "0 of 9 chosen runs to do" in capfd.readouterr().out
    for other, shown in ([], "none"), (["--budget", "1h"], "1h"):
        assert run_command(*words, *other, out=tmp_path, data=data) == 2
        error = capfd.readouterr().err
        assert f"budget 40s (now {shown}); give --budget 40s to continue it" in error
    tune = ["--tune", "--matrix", "losses", "--data", data, "--out", tmp_path, *flags()]
    request = parse([str(word) for word in tune], runs.MATRICES)
    tuned = open_session(request, runs.MATRICES["losses"], make_console()).study
    assert tuned.declaration == study  # a tuning follows the study's budget
    assert runs.main(["--report", "--study", "losses-tiny", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "losses-tiny/report/report.md").read_text()
    assert "Budget 40s: 3 seeds, 4 steps; forecast" in page and "--budget 40s" in page
    assert re.search(r"\| steps +\| 4 +\|", page)


def test_a_budget_knows_nothing_of_tuned_cells(data, tmp_path, capfd):
    words = ["--plan", "--data", data, "--out", tmp_path, *FOLDER, "--matrix", "tuned"]
    assert "--budget chooses before anything is tuned" in refused([*words, "--budget", "1h"], capfd)
