"""The store: its database appears whole; a server or PostgreSQL serves what a file does."""

import contextlib
import multiprocessing
import os
import sqlite3
import time
import urllib.parse
from pathlib import Path

import mlflow
import pytest

import runs
from analysis.records import read_study
from benchmarks.server import server
from study.record import RunDir
from study.tracking import store
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
@pytest.mark.parametrize("kind", [server, postgres])
def test_another_store_serves_the_same(tmp_path, out, clean, kind, monkeypatch):
    """Sent through a server, or to PostgreSQL, and read back elsewhere: the same records."""
    study = make_study(tmp_path, f"s{time.time_ns()}")
    finished = [p for p in study.path.glob("runs/*") if RunDir(p).state() == "finished"]
    (tmp_path / "server").mkdir()
    with (
        contextlib.closing(sqlite3.connect(out / "mlflow.db")) as made,
        contextlib.closing(sqlite3.connect(tmp_path / "server/server.db")) as copy,
    ):
        made.backup(copy)  # an empty database takes the server 5 s
    with kind(tmp_path / "server") as address:
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


def _open(barrier, out, told):
    """A driver of its own: looks at the store, then opens it, at the same moment as others."""
    connect, probe = store.connect, store.probe
    barrier.wait()
    try:
        uri = store.tracking_uri(out)
        probe(uri)
        connect(uri).create_experiment(f"of {os.getpid()}")
        told.put("")
    except BaseException as error:
        told.put(repr(error))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_make_one_schema_at_once_all_go_on(tmp_path, kind, monkeypatch):
    if kind == "postgresql":
        url = os.environ.get("TEST_POSTGRES_EMPTY_URL") or pytest.skip("no empty PostgreSQL")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_open, args=(barrier, tmp_path, told)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [told.get(timeout=200) for _ in processes] == ["", "", ""]
    for process in processes:
        process.join()


@pytest.mark.slow
@pytest.mark.parametrize("password", ["p@ss/w#rd-99", "p%40ss word-99", "密码-w0rd@99"])
def test_no_exit_shows_a_password(out, clean, password, tmp_path, monkeypatch, capfd):
    """Through the probe, --sync, --report and its files, for a server and a database."""
    for address in (
        f"http://annika:{password}@127.0.0.1:9",
        f"postgresql://annika:{password}@127.0.0.1:9/db",
        f"annika:{password}@127.0.0.1:9",
        f"http://127.0.0.1:9/?token={password}",
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        told = []
        for verb in ("sync", "report", "grid"):
            runs.main([f"--{verb}", "--study", "clean", "--out", str(out)])
            told += capfd.readouterr()
        text = "".join(told)
        for path in (out / "clean/report").rglob("*.*"):
            if path.suffix in (".html", ".md", ".json", ".tex", ".csv"):
                text += path.read_text()
        assert "MLFLOW_TRACKING_URI" in text
        for part in ("annika", "w0rd", "w#rd", "word-99", "rd-99", "p@ss", "密码", "ss/w"):
            assert part not in text and part not in urllib.parse.unquote(text), (address, part)
