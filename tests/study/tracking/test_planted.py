"""What someone else planted in a study's folder, or in MLflow: not sent, not written anywhere."""

import os

import pytest

from study.record import RecordError, files, write_json
from study.tracking.fetch import fetch, publish
from study.tracking.pages import pages
from study.tracking.projection import Projection
from study.tracking.store import TrackingError, connect
from study.tracking.sync import sync
from tests.study.tracking.studies import aggregate, make_study, runs_in_mlflow

SECRET = "PRIVATE KEY"
NAMES = [files.CONFIG, files.JOURNAL, files.HISTORY, files.CONFUSION, files.PANEL, files.BEST]


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "id_rsa"
    path.write_text(SECRET)
    return path


def leaked(out):
    return [p for p in (out / "mlartifacts").rglob("*") if p.is_file() and SECRET in text(p)]


def text(path):
    return path.read_bytes().decode(errors="replace")


def test_no_link_and_no_pipe_is_sent(out, uri, secret, tmp_path):
    study = make_study(out, "planted")
    projection = Projection(study, out)
    run = projection.experiment.parent("a", {})
    for plant in (lambda path: path.symlink_to(secret), os.mkfifo, os.mkdir):
        for number, name in enumerate(NAMES):
            folder = tmp_path / f"{plant}-{number}"
            folder.mkdir()
            plant(folder / name)
            with pytest.raises(RecordError, match=f"{name} must be a plain file, got a "):
                projection.experiment.put(run, [folder / name])
            with pytest.raises(RecordError, match="must be a plain file, got a "):
                projection.experiment.put_with_study({name: folder / name})
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(RecordError, match="link must be a folder, got a link"):
        projection.experiment.put(run, [tmp_path / "link" / "id_rsa"])
    assert not leaked(out)


@pytest.mark.slow
def test_sync_names_what_is_planted_and_sends_the_rest(out, uri, secret, tmp_path):
    study = make_study(out, "planted-too")
    finished = [p for p in (study.path / "runs").iterdir() if (p / files.CONFUSION).exists()]
    (finished[0] / files.HISTORY).symlink_to(secret)
    (study.path / "report").symlink_to(tmp_path)
    done = sync(study, out, aggregate(study))
    assert done.n_sent == 5 and len(done.problems) == 2
    assert f"{files.HISTORY} must be a plain file, got a link" in done.problems[0]
    assert "report must be a folder, got a link" in done.problems[1]
    assert not leaked(out)


def test_of_a_report_only_its_own_files_are_sent(out, uri, secret, tmp_path):
    study = make_study(out, "reported")
    report = study.path / "report"
    (report / "tables").mkdir(parents=True)
    for name in ("index.html", "tables/a.csv"):
        (report / name).write_text("ours")
    (report / "notes.txt").write_text(SECRET)
    (report / "tables" / "mine.csv").write_text(SECRET)
    (report / "keys").symlink_to(secret.parent)
    (report / "key").symlink_to(secret)
    os.mkfifo(report / "tables" / "pipe")
    write_json(report / files.MANIFEST, {"files": ["index.html", "tables/a.csv", "gone.svg"]})
    assert publish(uri, "reported", study.declaration.uuid, report) == ""
    sent = (out / "mlartifacts" / "reported").rglob("report/**/*")
    assert sorted(p.name for p in sent if not p.is_dir()) == ["a.csv", "index.html", files.MANIFEST]
    for wrong in (["key"], ["keys/id_rsa"], ["../study.json"], ["/etc/passwd"], ["tables/pipe"]):
        write_json(report / files.MANIFEST, {"files": wrong})
        with pytest.raises(RecordError, match="must be a plain file|a folder|inside of the report"):
            pages(report)
        assert "must " in publish(uri, "reported", study.declaration.uuid, report)
    (report / files.MANIFEST).unlink()
    with pytest.raises(RecordError, match="report must have a manifest.json .*; run --report aga"):
        pages(report)
    assert pages(study.path / "none") == {} and not leaked(out)


def test_a_study_s_run_without_its_study_is_named(out, uri, clean, tmp_path):
    study = make_study(out, "untagged")
    Projection(study, out).files()
    client = connect(uri)
    (run,) = runs_in_mlflow(uri, "untagged")
    client.delete_tag(run.info.run_id, "study_uuid")
    with pytest.raises(TrackingError, match=f"tag study_uuid with run {run.info.run_id}, .* none"):
        fetch(uri, "untagged", tmp_path / "fetched")


@pytest.mark.slow
def test_names_and_artifacts_of_a_server_lead_nowhere(out, uri, clean, secret, tmp_path):
    study = make_study(out, "named")
    sync(study, out, aggregate(study))
    client = connect(uri)
    child = next(r for r in runs_in_mlflow(uri, "named") if "run_id" in r.data.tags)
    run_id, number = child.data.tags["run_id"], child.info.run_id
    for name in ("../../x", "/tmp/x", "", "a\nb", "x" * 300, "..", "ABCD", "0123456789abcdeg"):
        client.set_tag(number, "run_id", name)
        with pytest.raises(RecordError, match=f"MLflow's run {number} must have a run id"):
            fetch(uri, "named", tmp_path / "fetched")
    client.set_tag(number, "run_id", run_id)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["id_rsa"]
    fetch(uri, "named", tmp_path / "fetched")
    artifact = next((out / "mlartifacts" / "named").glob(f"{number}/artifacts/config.json"))
    artifact.unlink()
    for plant in (lambda path: path.symlink_to(secret), os.mkfifo):
        plant(artifact)
        with pytest.raises(ValueError, match="config.json must be a plain file, got a"):
            fetch(uri, "named", tmp_path / "again")
        artifact.unlink()
