"""A copied or moved output folder keeps its artifacts itself; the original is left as it is."""

import contextlib
import os
import shutil
import sqlite3

import pytest

import runs
from study.study import load
from study.tracking.moved import check, settle
from study.tracking.place import local_folder
from study.tracking.projection import Projection
from study.tracking.store import TrackingError, connect, tracking_uri
from study.tracking.sync import sync
from tests.study.tracking.studies import aggregate, in_mlflow, make_study, runs_in_mlflow


@pytest.fixture(scope="module")
def made(tmp_path_factory, out, clean):
    """An output folder with one study that has been sent, in a place with odd letters."""
    folder = tmp_path_factory.mktemp("made") / "an out? 100%41 #1"
    folder.mkdir()
    with (
        contextlib.closing(sqlite3.connect(out / "mlflow.db")) as one,
        contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as other,
    ):
        one.backup(other)  # an empty database takes 5 s
    study = make_study(folder, "s")
    assert sync(study, folder, aggregate(study)).n_sent == 6
    return folder


def listing(folder):
    return sorted(
        (str(path.relative_to(folder)), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    )


def artifacts(out, name="s"):
    """Run -> its files, as MLflow's own client finds them."""
    client = connect(tracking_uri(out))
    found = {}
    for run in runs_in_mlflow(tracking_uri(out), name):
        folder = local_folder(run.info.artifact_uri)
        assert folder.is_relative_to(out.resolve() / "mlartifacts"), folder
        label = run.data.tags.get("run_id", run.info.run_name)
        found[label] = [item.path for item in client.list_artifacts(run.info.run_id)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["the original stays", "the original is gone", "no artifacts"])
def test_a_copy_sends_to_itself(made, tmp_path, kind, capsys):
    original = shutil.copytree(made, tmp_path / "original")
    assert settle(original) and settle(original) == []  # itself a copy
    wanted = artifacts(original)
    assert len(wanted) == 9
    copy = shutil.copytree(original, tmp_path / "a copy")
    if kind == "no artifacts":
        shutil.rmtree(copy / "mlartifacts")
    before = listing(original)
    if kind == "the original is gone":
        shutil.rmtree(original)
    study = make_study(tmp_path / "other", "s", epochs=9)  # a run that only the copy gets
    new = Projection(study, tmp_path / "other").finals()[0]
    shutil.copytree(new, copy / "s/runs" / new.name)
    assert runs.main(["--sync", "--study", "s", "--out", str(copy)]) == 0
    text = capsys.readouterr().out
    assert f"copied or moved from {original}" in text and "brought up to date" in text
    there = artifacts(copy)
    assert new.name in there
    for name, files in wanted.items():
        assert set(files) <= set(there[name]), name
    if kind != "the original is gone":
        assert listing(original) == before
    assert runs.main(["--sync", "--study", "s", "--out", str(copy)]) == 0
    text = capsys.readouterr().out
    assert "copied or moved" not in text and "nothing to send" in text
    assert in_mlflow(tracking_uri(copy), "s")[0]


def test_a_shared_database_is_refused_before_anything_is_sent(made, tmp_path, monkeypatch, capsys):
    """Its artifacts belong to the folder that made the experiment; no row of it is changed."""
    copy = shutil.copytree(made, tmp_path / "copy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(made))
    before = listing(made / "mlartifacts")
    assert settle(copy) == []
    with pytest.raises(TrackingError, match="artifacts of study s must go to .*copy"):
        check(copy, "s")
    assert runs.main(["--sync", "--study", "s", "--out", str(copy)]) == 2
    assert "must go to" in capsys.readouterr().err
    assert listing(made / "mlartifacts") == before
    check(made, "s")
    check(copy, "a study that is not there")


@pytest.mark.slow
def test_an_address_of_someone_elses_is_not_written_to(made, tmp_path):
    """In the experiment, or in one run of it: nothing is written outside the output folder."""
    copy, foreign = shutil.copytree(made, tmp_path / "copy"), tmp_path / "foreign"
    settle(copy)
    foreign.mkdir()
    (foreign / "config.json").write_text("mine")
    with contextlib.closing(sqlite3.connect(copy / "mlflow.db")) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (foreign.as_uri(),))
        connection.commit()
    study = load(copy / "s", to_run=False)
    projection = Projection(study, copy)
    with pytest.raises(TrackingError, match="must go to .* delete that run"):
        projection.files()
    with contextlib.closing(sqlite3.connect(copy / "mlflow.db")) as connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (foreign.as_uri(),))
        connection.commit()
    with pytest.raises(TrackingError, match="artifacts of study s must go to"):
        Projection(study, copy).files()
    assert [(p.name, p.read_text()) for p in foreign.iterdir()] == [("config.json", "mine")]


def test_one_folder_at_two_places_is_left(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    settle(copy)
    os.symlink(copy, tmp_path / "link")
    assert settle(tmp_path / "link") == []


@pytest.mark.parametrize("where", ["mlartifacts", "mlartifacts/s"])
@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.write_text("a")])
def test_what_stands_where_artifacts_go_is_named_before_the_start(made, tmp_path, where, plant):
    copy = shutil.copytree(made, tmp_path / "copy")
    settle(copy)
    shutil.rmtree(copy / where)
    plant(copy / where)
    with pytest.raises(TrackingError, match=f"{where} must be a folder for artifacts, .* move it"):
        check(copy, "s")


def test_artifacts_may_lie_on_another_disk_through_a_link(made, tmp_path):
    copy, disk = shutil.copytree(made, tmp_path / "copy"), tmp_path / "disk"
    settle(copy)
    shutil.rmtree(copy / "mlartifacts")
    disk.mkdir()
    (copy / "mlartifacts").symlink_to(disk)
    check(copy, "s")
