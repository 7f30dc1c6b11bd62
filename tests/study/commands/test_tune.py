"""--tune end to end: trials, re-runs, the tuned arm in the grid and the report."""

import json

import pytest

from study.record import read_declaration
from tests.helpers import TINY, mlflow_runs
from tests.helpers import run_command as main

pytestmark = pytest.mark.slow


def test_tuning_end_to_end(out, data, capsys):
    words = ("--matrix", "losses", "--study", "t", "--only", "loss=dice_bce", "--seeds", 1)
    tuned = [*words, "--set", "tuning=tuned"]
    assert main("--grid", *tuned, out=out, data=data) == 2
    assert "no finished tuning for unet-w4-scratch-dice_bce" in capsys.readouterr().err
    assert main("--tune", *words, "--set", "tune.trials=3", out=out, data=data) == 0
    assert main("--tune", *words, "--set", "tune.trials=3", out=out, data=data) == 0  # no more
    client, all_runs = mlflow_runs(out, "t")
    trials = [r for r in all_runs if r.data.tags.get("role") == "trial"]
    assert len(trials) == 3 and {r.data.tags["state"] for r in trials} <= {"finished", "pruned"}
    again = [r for r in all_runs if r.data.tags.get("role") == "rerank"]
    n_done = sum(r.data.tags["state"] == "finished" for r in trials)
    assert len(again) == 2 * n_done and len({r.data.params["seed"] for r in again}) == 2
    assert all("test/miou" not in r.data.metrics for r in trials + again)
    result = json.loads(next((out / "tuning").glob("*.json")).read_text())
    assert sum(result["trials"].values()) == 3 and result["default_dev"] is not None
    assert result["epochs"] <= result["budget_epochs"] == 3 * TINY["epochs"]
    assert result["dev_rerank"] == max(result["candidates"].values())
    parent = next(
        r
        for r in all_runs
        if r.data.tags.get("kind") == "parent" and "best/dev_miou_again" in r.data.metrics
    )
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} >= {
        "history.png",
        "slice.png",
    }
    assert parent.data.metrics["best/dev_miou_again"] == pytest.approx(result["dev_rerank"])
    assert main("--grid", *tuned, out=out, data=data) == 0
    cell = read_declaration(out / "t").cell("unet-w4-scratch-dice_bce-tuned")
    assert cell.values["loss.share"] == result["params"]["loss.share"]
    _, all_runs = mlflow_runs(out, "t")
    final = [
        r
        for r in all_runs
        if r.data.tags.get("arm") == cell.arm and r.data.tags.get("role") == "final"
    ]
    assert len(final) == 1
    assert float(final[0].data.params["loss.share"]) == result["params"]["loss.share"]
    assert main("--report", "--study", "t", out=out) == 0
    page = (out / "t/report/report.md").read_text()
    assert "unet-w4-scratch-dice_bce-tuned against unet-w4-scratch-dice_bce: " in page
    assert f"| {result['dev_selected']:.3f} | {result['dev_rerank']:.3f} | " in page
