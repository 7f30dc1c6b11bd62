"""The store: its database appears whole; a server or PostgreSQL serves what a file does."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import mlflow
import pytest

from analysis.records import read_study
from benchmarks.server import server
from study.record import RunDir
from study.tracking.fetch import fetch
from study.tracking.store import make_database
from study.tracking.sync import sync
from tests.study.tracking.studies import aggregate, in_mlflow, make_study, runs_in_mlflow


def test_mlflows_database_appears_whole(tmp_path, monkeypatch):
    """Its schema takes seconds: stopped half-way, the next command must be able to make it."""

    class Client:
        halfway = True

        def __init__(self, uri):
            self.path = Path(uri.removeprefix("sqlite:///"))

        def search_experiments(self, max_results):
            self.path.write_text("half")
            assert not (tmp_path / "mlflow.db").exists()
            if self.halfway:
                raise KeyboardInterrupt
            self.path.write_text("whole")

    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(KeyboardInterrupt):
        make_database(uri)
    assert [p.name for p in tmp_path.iterdir()] == [".mlflow.db.lock"]
    Client.halfway = False
    make_database(uri)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        ".mlflow.db.lock": "",
        "mlflow.db": "whole",
    }


@contextlib.contextmanager
def postgres(folder):
    if "TEST_POSTGRES_URL" not in os.environ:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL database")
    yield os.environ["TEST_POSTGRES_URL"]


@pytest.mark.slow
@pytest.mark.parametrize("store", [server, postgres])
def test_another_store_serves_the_same(tmp_path, out, clean, store, monkeypatch):
    """Sent through a server, or to PostgreSQL, and read back elsewhere: the same records."""
    study = make_study(tmp_path, f"s{time.time_ns()}")
    finished = [p for p in study.path.glob("runs/*") if RunDir(p).state() == "finished"]
    (tmp_path / "server").mkdir()
    with (
        contextlib.closing(sqlite3.connect(out / "mlflow.db")) as made,
        contextlib.closing(sqlite3.connect(tmp_path / "server/server.db")) as copy,
    ):
        made.backup(copy)  # an empty database takes the server 5 s
    with store(tmp_path / "server") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert sync(study, tmp_path, aggregate(study)).n_sent == 6
        assert sync(study, tmp_path, aggregate(study)).n_sent == 0
        assert fetch(address, study.name, tmp_path / "fetched") == []
        points, states = in_mlflow(address, study.name)
        kept = next(
            r
            for r in runs_in_mlflow(address, study.name)
            if r.data.tags.get("run_id") == finished[0].name
        )
    assert set(points.values()) == {1} and len(states) == 9
    here, there = read_study(study.path), read_study(tmp_path / "fetched")
    assert [(r.run_id, r.state, r.result, r.error) for r in here.runs] == [
        (r.run_id, r.state, r.result, r.error) for r in there.runs
    ]
    for name in ("confusion.npz", "journal.jsonl"):
        copy = tmp_path / "fetched/runs" / finished[0].name / name
        assert copy.read_bytes() == (finished[0] / name).read_bytes()
    assert kept.data.tags["commit"] == "c0ffee"
