"""--report, from the run directories and from MLflow alone."""

import json
import shutil

import pytest

from tests.helpers import mlflow_runs, refused
from tests.helpers import run_command as main

pytestmark = pytest.mark.slow


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


def test_no_study_to_report(out, capsys):
    assert main("--report", "--study", "none", out=out) == 2
    assert "study none is not in" in (error := capsys.readouterr().err)
    assert "got the studies " in error and error.count("\n") == 1


def test_a_declaration_that_was_edited_is_not_reported(grid, out, tmp_path, capsys):
    shutil.copytree(grid, tmp_path / "s")
    file = tmp_path / "s/study.json"
    stored = json.loads(file.read_text())
    stored["recipe"]["epochs"] = 60
    file.write_text(json.dumps(stored))
    assert main("--report", "--study", "s", out=tmp_path) == 2
    error = capsys.readouterr().err
    assert "study.json must be as it was written, got a cell" in error and error.count("\n") == 1


def test_a_declaration_that_is_a_link_to_nowhere_is_named(tmp_path, capfd):
    """Not as if there were no study here: MLflow is read then."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s/study.json").symlink_to("study.json")
    (tmp_path / "mlflow.db").touch()
    said = refused(["--report", "--study", "s", "--out", tmp_path], capfd)
    assert "study.json must be a plain file, got a link" in said
