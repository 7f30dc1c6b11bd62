"""--grid and --plan with tiny numbers, through the real command line."""

import re
import time

import numpy as np
import pytest
import torch
from PIL import Image

import runs
from seglib.models import build_model
from study import presets
from study.matrix import Matrix
from study.record import RunDir, read_declaration
from tests.helpers import flags, mlflow_runs, write_folder
from tests.helpers import run_command as main

pytestmark = pytest.mark.slow


def test_grid_leaves_everything(grid, out):
    states = {RunDir(p).state() for p in (grid / "runs").iterdir()}
    assert states == {"finished"} and len(list((grid / "runs").iterdir())) == 6
    client, all_runs = mlflow_runs(out, "s")
    children = [r for r in all_runs if "mlflow.parentRunId" in r.data.tags]
    parents = {r.info.run_id: r for r in all_runs if r not in children}
    parents = {k: r for k, r in parents.items() if r.data.tags["kind"] == "parent"}
    assert len(children) == 6 and len(parents) == 3
    for run in children:
        assert run.info.status == "FINISHED" and run.data.tags["state"] == "finished"
        assert run.data.tags["arm"].startswith("unet-w4-scratch-")
        assert parents[run.data.tags["mlflow.parentRunId"]].data.tags["arm"] == run.data.tags["arm"]
        assert run.data.params["width"] == "4" and run.data.params["model"] == "unet"
        assert 0 <= run.data.metrics["test/miou"] <= 1 and "test/iou/stripe" in run.data.metrics
        history = client.get_metric_history(run.info.run_id, "dev/miou")
        assert [m.step for m in history] == [1, 2]
        assert "system/cpu_utilization_percentage" in run.data.metrics
        assert run.inputs.dataset_inputs[0].dataset.name == "tiny"
        names = {a.path for a in client.list_artifacts(run.info.run_id)}
        assert {"best.pt", "history.json", "confusion.npz", "panel.png", "config.json"} <= names
    focal = next(r for r in children if r.data.params["loss"] == "focal_tversky")
    assert focal.data.params["loss.fn_weight"] == "0.7"
    assert focal.data.tags["mlflow.parentRunId"] in parents
    intervals = [
        [parent.data.metrics[f"test/miou/{end}"] for end in ("low", "mean", "high")]
        for parent in parents.values()
        if parent.data.metrics["n"] == 2
    ]
    assert len(intervals) == 3 and all(sorted(one) == one for one in intervals)
    assert any(low < mean < high for low, mean, high in intervals)


def test_again_trains_nothing(grid, out, data, capsys):
    before = {p: p.stat().st_mtime_ns for p in grid.glob("runs/*/journal.jsonl")}
    began = time.monotonic()
    assert (
        main("--grid", "--matrix", "losses", "--study", "s", "--seeds", 2, out=out, data=data) == 0
    )
    assert time.monotonic() - began < 20
    assert {p: p.stat().st_mtime_ns for p in grid.glob("runs/*/journal.jsonl")} == before
    assert "0 of 6 chosen runs to do" in capsys.readouterr().out
    client, all_runs = mlflow_runs(out, "s")
    assert len(all_runs) == 10  # 6 runs, 3 arms, the study
    assert len(client.get_metric_history(all_runs[0].info.run_id, "train/loss")) in (0, 2)


def test_more_seeds_are_no_other_recipe(grid, out, data, capsys):
    assert (
        main("--plan", "--matrix", "losses", "--study", "s", "--seeds", 3, out=out, data=data) == 0
    )
    text = capsys.readouterr().out
    assert "finished x2, new x1" in text and "forecast: 3 runs" in text


def test_a_failed_run_shows_and_the_grid_goes_on(out, data, monkeypatch, capsys):
    base = {"model": "unet", "init": "scratch", "loss": "bce"}
    broken = Matrix(cells=({**base, "label": "broken", "weight_decay": 1e38}, base), baseline=base)
    monkeypatch.setitem(runs.MATRICES, "broken", broken)
    assert (
        main("--grid", "--matrix", "broken", "--study", "f", "--seeds", 1, out=out, data=data) == 1
    )
    text = capsys.readouterr().out
    assert "failed: unet-w4-scratch-broken seed 0: run " in text and "loss is not finite" in text
    assert "; tried again after the others" in text and "(tried 2 times)" in text
    assert re.search(r"\[[12] of 2 runs", text) and "[3 of 2" not in text  # a run counts once
    _, all_runs = mlflow_runs(out, "f")
    status = {r.data.tags["arm"]: r.info.status for r in all_runs if "role" in r.data.tags}
    assert status == {"unet-w4-scratch-broken": "FAILED", "unet-w4-scratch-bce": "FINISHED"}
    failed = next(r for r in all_runs if r.info.status == "FAILED")
    assert "loss is not finite" in failed.data.tags["error"]
    assert main("--report", "--matrix", "broken", "--study", "f", out=out) == 0
    assert "loss is not finite" in (out / "f/report/report.md").read_text()


def test_the_nine_arms_on_the_embedded_data(tmp_path, monkeypatch, capsys):
    """The default matrix end to end, pretrained arms from a weights file, one epoch each."""
    monkeypatch.setattr(presets, "SHAPES_IMAGES", {"n_train": 8, "n_val": 4, "n_test": 6})
    torch.manual_seed(0)
    weights = tmp_path / "encoder.pt"
    torch.save(build_model("resnetunet", n_classes=2).encoder.state_dict(), weights)
    words = ["--grid", "--seeds", "1", "--out", str(tmp_path / "out"), *flags(epochs=1)]
    words += ["--pretrained", str(weights)]
    assert runs.main(["--plan", *words[1:]]) == 0
    text = capsys.readouterr().out
    assert text.count("new x1") == 9 and "forecast: 9 runs" in text
    assert runs.main(words) == 0
    assert runs.main(["--plan", *words[1:]]) == 0
    text = capsys.readouterr().out
    assert text.count("finished x1") == 9
    assert "9 of 9 chosen runs to do" in text and "floor: predicting background" in text
    declared = read_declaration(tmp_path / "out/default-shapes")
    assert len(declared.cells) == 9 and len(declared.contrasts) == 12
    assert declared.weights["resnet18"].source == "file encoder.pt"
    _, all_runs = mlflow_runs(tmp_path / "out", "default-shapes")
    finals = [r for r in all_runs if r.data.tags.get("role") == "final"]
    assert len({r.data.tags["arm"] for r in finals}) == 9
    pretrained = [r for r in finals if r.data.params["init"] == "pretrained"]
    assert {r.data.tags["weights_sha256"] for r in pretrained} == {
        declared.weights["resnet18"].sha256[:12]
    }
    # other weights are another recipe
    torch.save(build_model("resnetunet", n_classes=2).encoder.state_dict(), weights)
    assert runs.main(words) == 2
    assert "was run with weights file encoder.pt" in capsys.readouterr().err


def test_masks_of_0_and_255_are_refused(tmp_path, capsys):
    root = write_folder(tmp_path / "binary", {"train": 4, "val": 2, "test": 2}, classes=("a", "b"))
    for path in (root / "SegmentationClass").iterdir():
        with Image.open(path) as label:
            mask = np.array(label)
        Image.fromarray(np.where(mask == 1, 255, mask)).save(path)
    assert main("--grid", "--matrix", "losses", out=tmp_path / "out", data=root) == 2
    error = capsys.readouterr().err
    assert "must show at least 2 classes, got only a; 4 of 4 are 0/255 masks" in error


def test_silent_tracking_server_is_refused_quickly(tmp_path, data, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    assert main("--grid", "--matrix", "losses", out=tmp_path, data=data) == 2
    error = capsys.readouterr().err
    assert time.monotonic() - began < 20 and error.count("\n") == 1
    assert "tracking server http://127.0.0.1:9 must answer" in error
    assert not list(tmp_path.iterdir())
