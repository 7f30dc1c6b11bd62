"""The real command line with tiny numbers: grid, again, failure, Ctrl-C, tuning, refusals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

import runs
from seglib.models import build_model
from study import presets
from study.matrix import Matrix
from study.record import RunDir, read_declaration
from tests.helpers import write_folder

ROOT = Path(__file__).parents[3]
TINY = {
    "epochs": 2,
    "width": 4,
    "crop_px": 32,
    "batch_size": 4,
    "n_evaluations": 2,
    "precision": "fp32",
}


def flags(**changes):
    """TINY as --set flags, with changes; None leaves a field out."""
    settings = {k: v for k, v in (TINY | changes).items() if v is not None}
    return [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    return write_folder(root / "tiny", {"train": 8, "val": 4, "test": 4})


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


def main(*words, out, data=None):
    more = [] if data is None else ["--data", str(data), *flags()]
    return runs.main([*map(str, words), "--out", str(out), *more])


def mlflow_runs(out, study):
    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    return client, client.search_runs([experiment.experiment_id], max_results=1000)


@pytest.fixture(scope="module")
def grid(out, data):
    """The losses matrix, 2 seeds, through the real main, once."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    assert (
        main("--grid", "--matrix", "losses", "--study", "s", "--seeds", 2, out=out, data=data) == 0
    )
    return out / "s"


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
    parent = parents[focal.data.tags["mlflow.parentRunId"]]
    assert parent.data.metrics["n"] == 2
    assert (
        parent.data.metrics["test/miou/low"]
        < parent.data.metrics["test/miou/mean"]
        < parent.data.metrics["test/miou/high"]
    )


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


def test_report(grid, out, capsys):
    assert main("--report", "--study", "s", out=out) == 0
    page = (grid / "report/index.html").read_text()
    assert "unet-w4-scratch-focal_tversky" in page and "http://" not in page
    assert "--set epochs=2 --set width=4" in page  # the commands to reproduce are exact
    assert "unet-w4-scratch-focal_tversky" in (grid / "report/report.md").read_text()


def test_report_from_mlflow_alone_says_the_same(grid, out, tmp_path, capsys, monkeypatch):
    """Another machine: no run directories, the same tracking store."""
    assert main("--report", "--study", "s", out=out) == 0
    here = (grid / "report/report.md").read_text()
    client, all_runs = mlflow_runs(out, "s")
    study_run = next(r for r in all_runs if r.data.tags.get("kind") == "study")
    names = {a.path for a in client.list_artifacts(study_run.info.run_id)}
    assert {"study.json", "panel.npz", "report"} <= names
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{out}/mlflow.db")
    capsys.readouterr()
    assert main("--report", "--study", "s", out=tmp_path) == 0
    assert "note: read from MLflow at" in capsys.readouterr().out
    there = (tmp_path / "s/report/report.md").read_text()

    def numbers(text):  # all but the note, and where the study lies
        lines = [x for x in text.splitlines() if not x.startswith(("- Note:", "python "))]
        return [line for line in lines if "code had uncommitted" not in line]

    assert numbers(there) == numbers(here)
    assert f"python runs.py --report --study s --out {tmp_path}" in there
    assert main("--report", "--study", "none", out=tmp_path) == 2
    assert "study none is not in" in capsys.readouterr().err
    child = next(r for r in all_runs if r.data.tags.get("role") == "final")
    client.delete_run(child.info.run_id)
    assert main("--report", "--study", "s", out=out) == 0
    client.restore_run(child.info.run_id)
    name = f"{child.data.tags['arm']} seed {child.data.tags['seed']}"
    assert f"deleted in MLflow, used here from disk: {name}" in capsys.readouterr().out
    assert f"used here from disk: {name}" in (grid / "report/report.md").read_text()


def test_tuning_end_to_end(grid, out, data, capsys):
    words = ("--matrix", "losses", "--study", "s", "--only", "loss=dice_bce", "--seeds", 1)
    tuned = [*words, "--set", "tuning=tuned"]
    assert main("--grid", *tuned, out=out, data=data) == 2
    assert "no finished tuning for unet-w4-scratch-dice_bce" in capsys.readouterr().err
    assert main("--tune", *words, "--set", "tune.trials=3", out=out, data=data) == 0
    assert main("--tune", *words, "--set", "tune.trials=3", out=out, data=data) == 0  # no more
    client, all_runs = mlflow_runs(out, "s")
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
    cell = read_declaration(grid).cell("unet-w4-scratch-dice_bce-tuned")
    assert cell.values["loss.share"] == result["params"]["loss.share"]
    _, all_runs = mlflow_runs(out, "s")
    final = [
        r
        for r in all_runs
        if r.data.tags.get("arm") == cell.arm and r.data.tags.get("role") == "final"
    ]
    assert len(final) == 1
    assert float(final[0].data.params["loss.share"]) == result["params"]["loss.share"]
    assert main("--report", "--study", "s", out=out) == 0
    page = (grid / "report/report.md").read_text()
    assert "unet-w4-scratch-dice_bce-tuned against unet-w4-scratch-dice_bce: " in page
    assert f"| {result['dev_selected']:.3f} | {result['dev_rerank']:.3f} | " in page


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stop_and_continue(out, data, number, capfd):
    """Ctrl-C, or kill -9 of the driver: workers end too, and --grid continues the run."""
    name, n_epochs = f"c{int(number)}", 250
    settings = flags(epochs=n_epochs, checkpoint_s=0, threads=1)
    words = [
        "--grid",
        "--matrix",
        "losses",
        "--study",
        name,
        "--seeds",
        "1",
        "--only",
        "loss=bce",
        "--data",
        str(data),
        "--out",
        str(out),
        *settings,
    ]
    process = subprocess.Popen(
        [sys.executable, "runs.py", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    journal = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal and b'"epoch"' in journal.read_bytes()):
        journal = next((out / name).glob("runs/*/journal.jsonl"), None)
        time.sleep(0.05)
    run = RunDir(journal.parent)
    assert run.state() == "running"
    assert runs.main(words) == 2  # a second driver
    assert f"is being run by process {process.pid}" in capfd.readouterr().err
    process.send_signal(number)
    text, _ = process.communicate(timeout=20)
    if number == signal.SIGINT:
        assert process.returncode == 130 and "continue with: python runs.py --grid" in text
    deadline = time.monotonic() + 10
    while run.locked() and time.monotonic() < deadline:
        time.sleep(0.1)
    done = len(run.journal().epochs)
    assert run.state() == "dead" and 1 <= done < n_epochs
    assert runs.main(words) == 0
    written = run.journal()
    assert run.state() == "finished" and [e.attempt for e in written.starts] == [1, 2]
    assert [event.epoch for event in written.epochs] == list(range(1, n_epochs + 1))
    client, all_runs = mlflow_runs(out, name)
    child = next(r for r in all_runs if "role" in r.data.tags)
    steps = [m.step for m in client.get_metric_history(child.info.run_id, "train/loss")]
    assert child.info.status == "FINISHED" and sorted(steps) == list(range(1, n_epochs + 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_during_the_imports(number):
    words = [sys.executable, "-X", "importtime", "runs.py", "--plan", "--study", "a b"]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "torch" in line:
            break
    process.send_signal(number)
    text, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in errors
    assert text == "interrupted; continue with: python runs.py --plan --study 'a b'\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--data", "nowhere"], "or an existing folder"),
        (["--matrix", "defualt"], "'defualt' is unknown; did you mean default?"),
        (["--set", "epoch=3"], "'epoch' is unknown; did you mean epochs?"),
        (["--set", "epochs"], "--set must look like name=value, got 'epochs'"),
        (["--set", "loss.share=2"], r"share must be in [0, 1], got 2"),
        (["--set", "loss.activation=sigmoid", "--matrix", "m"], "'m' is unknown"),
        (
            ["--set", "crop_px=60", "--study", "new"],
            "crop_px must be a multiple of 8 for unet, got 60",
        ),
        (["--only", "modle=unet"], "'modle' is unknown; did you mean model?"),
        (
            ["--only", "loss=dice"],
            "--only loss must be among bce, dice_bce, focal_tversky, got dice",
        ),
        (["--seeds", "0"], "--seeds must be at least 1 and at most 1000, got 0"),
        (["--device", "tpu"], "device must be auto, cpu or cuda, got 'tpu'"),
        (["--study", "../x"], "--study must be letters"),
        (["--set", "epochs=auto", "--study", "new"], "epochs must be int, got 'auto'"),
        (["--set", "width=none", "--study", "new"], "width must be int, got 'none'"),
        (["--set", "tune.trials=3"], "--set tune.trials belongs to --tune"),
        (
            ["--tune", "--set", "tune.trials=0"],
            "tune.trials must be a whole number above 0, got '0'",
        ),
        (
            ["--tune", "--set", "tune.epochs=-9"],
            "tune.epochs must be a whole number above 0, got '-9'",
        ),
        (["--tune", "--set", "tune.epochs=9", "--set", "tune.trials=1"], "not both"),
        (
            ["--tune", "--set", "tune.sampler=grid"],
            "tune.sampler must be one of tpe, gp, random, got",
        ),
        (
            ["--tune", "--set", "tune.pruner=asha"],
            "tune.pruner must be one of median, hyperband, none",
        ),
        (
            ["--tune", "--set", "tune.objective=dice"],
            "tune.objective must be one of miou, rare, got",
        ),
        (
            ["--tune", "--set", "tune.name=../x"],
            "tune.name must be letters, digits and _, got '../x'",
        ),
        (["--tune", "--set", "tune.budget=9"], "--set field 'tune.budget' is unknown; "),
        (["--tune", "--set", "tune.epochs=1"], "tune.epochs must be at least the 2 epochs of one"),
        (["--set", "tuning=tune"], "tuning must be one of default, tuned, got 'tune'"),
        (["--only", "seed=0,7", "--study", "new"], "--only seed must be below --seeds 3, got 7"),
        (["--seeds", "1001", "--study", "new"], "--seeds must be at least 1 and at most 1000"),
        (["--set", "tuning=tuned", "--study", "new"], "no finished tuning for unet-w4-scratch-bce"),
        (["--set", "width=8"], "was declared with width=4 (now 8)"),
        (["--set", "retries=x"], "retries must be a whole number, 0 or more, got 'x'"),
        (
            ["--set", "accumulate=3", "--study", "new"],
            "accumulate must divide batch_size, got 3 and 4",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(grid, out, data, words, message, capsys):
    verb = [] if "--tune" in words else ["--grid"]
    given = [*verb, "--data", str(data), "--matrix", "losses", "--study", "s", "--out", str(out)]
    changed = words[1].split("=")[0]
    settings = flags(**{changed: None}) if changed in TINY else flags()
    assert runs.main([*given, *settings, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (out / "new/study.json").exists()  # bad input starts no study


def test_the_nine_arms_on_the_embedded_data(tmp_path, monkeypatch, capsys):
    """The default matrix end to end, pretrained arms from a weights file, one epoch each."""
    monkeypatch.setattr(presets, "SHAPES_IMAGES", {"n_train": 8, "n_val": 4, "n_test": 6})
    torch.manual_seed(0)
    weights = tmp_path / "encoder.pt"
    torch.save(build_model("resnetunet", n_classes=2).encoder.state_dict(), weights)
    words = [
        "--grid",
        "--seeds",
        "1",
        "--out",
        str(tmp_path / "out"),
        "--pretrained",
        str(weights),
        *flags(epochs=1),
    ]
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
    assert "must show at least 2 classes, got only a; 255 is void" in error


def test_no_study_to_report(out, capsys):
    assert main("--report", "--study", "none", out=out) == 2
    assert "study none is not in" in (error := capsys.readouterr().err)
    assert "got the studies " in error and error.count("\n") == 1


def test_silent_tracking_server_is_refused_quickly(tmp_path, data, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    assert main("--grid", "--matrix", "losses", out=tmp_path, data=data) == 2
    error = capsys.readouterr().err
    assert time.monotonic() - began < 20 and error.count("\n") == 1
    assert "tracking server http://127.0.0.1:9 must answer" in error
    assert not list(tmp_path.iterdir())
