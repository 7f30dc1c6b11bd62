"""MLflow as a projection: nothing lost, nothing twice, whatever fails; the same from any store."""

import contextlib
import os
import shlex
import sqlite3
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import runs
from analysis.records import read_study
from benchmarks.reading import server
from study.commands.console import make_console
from study.config import FIELDS, RECIPE
from study.matrix import Matrix
from study.record.rundir import RunDir, write_json, write_npz
from study.study import declare
from study.tracking import projection as tracking
from study.tracking import sender as tracker_file
from study.tracking.fetch import fetch
from study.tracking.projection import all_runs, connect, metric_labels
from study.tracking.sender import Mirror, Tracker, Tracking, sync

CLASSES = ("background", "square", "<b>a/b</b>", "a?b", "a!b", ".", "x" * 300)
BASE = {"model": "unet", "init": "scratch", "loss": "bce"}
ODD = {**BASE, "loss": "dice_bce", "label": "<script>alert(1)</script> \U0001f600 \0" + "y" * 300}
ENDS = ({"event": "finished"}, {"event": "failed", "error": "z" * 9000 + "\0"}, None)


def make_study(out, name):
    """Two arms, of each a finished run, a failed one and one cut off, by hand: there is no data."""
    share = dict.fromkeys(("fit", "dev", "test"), [1 / len(CLASSES)] * len(CLASSES))
    data = {
        "name": "d" * 600,
        "path": "/nowhere",
        "fingerprint": "f" * 64,
        "background": True,
        "classes": list(CLASSES),
        "max_side": None,
        "n_images": {"fit": 1, "dev": 1, "test": 2},
        "pixel_share": share,
        "image_share": share,
        "notes": [],
        "void_share": dict.fromkeys(share, 0.1),
        "constant_floor": {"class": "square", "test_miou": 0.1},
    }
    recipe = {name: FIELDS[name].default for name in RECIPE}
    study = declare(
        out / name,
        matrix_name="m",
        data=data,
        recipe=recipe,
        loss_params={},
        matrix=Matrix(cells=({**BASE, "label": "plain"}, ODD), baseline=ODD),
        pretrained="p",
        given={},
    )
    study.save()
    write_npz(study.path / "panel.npz", {"names": np.array([])})
    for cell in study.cells:
        for seed, end in enumerate(ENDS):
            config = study.config(cell, seed)
            write_run(study.run_dir(config), config.record(cell["arm"]), end)
    return study


def write_run(run_dir, record, end, score=0.5):
    run_dir.create(record)
    run_dir.append("start", environment={"commit": "c0ffee", "note": "n" * 9000}, n_parameters=7)
    dev = {"dev/miou": score, **{f"dev/iou/{name}": score for name in CLASSES}}
    for epoch in (1, 2, 3):
        run_dir.append("epoch", epoch=epoch, metrics={"train/loss": 1 / epoch} | dev)
    test = {name.replace("dev", "test"): value for name, value in dev.items()}
    test |= {"test/pixel_accuracy": 0.5}
    if end and end["event"] == "finished":
        end = end | {"best_epoch": 3, "duration_s": 1, "peak_memory_mb": 1, "metrics": dev | test}
        for name in ("confusion.npz", "panel.npz"):
            write_npz(run_dir.path / name, {"test": np.zeros((2, 7, 7))})
    if end:
        run_dir.append(**end)


def in_mlflow(uri, name):
    """(run, metric, step) -> how often; status and state of each run (by id, parents by name)."""
    client = connect(uri)
    found = [
        (run.data.tags.get("run_id", run.data.tags.get("arm", "study")), run)
        for run in all_runs(client, client.get_experiment_by_name(name).experiment_id)
    ]
    points = Counter(
        (label, key, point.step)
        for label, run in found
        for key in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, key)
    )
    return points, sorted(
        (label, run.info.status, run.data.tags.get("state", "")) for label, run in found
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One output folder, so one database, for all tests; a study of its own for each."""
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="module")
def uri(out):
    return f"sqlite:///{out / 'mlflow.db'}"


@pytest.fixture(scope="module")
def clean(out, uri):
    """What MLflow holds of a study when nothing goes wrong."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    study = make_study(out, "clean")
    done = sync(study, out, runs.aggregator(study))
    assert (done.n_runs, done.n_sent, done.problems) == (6, 6, [])
    return in_mlflow(uri, "clean")


def test_odd_names_and_long_values_arrive(clean):
    points, states = clean
    assert set(points.values()) == {1}
    assert Counter(state for *_, state in states) == {
        "finished": 2,
        "failed": 2,
        "dead": 2,
        "": 3,
    }  # and two arms, the study
    assert Counter(status for _, status, _ in states) == {"FINISHED": 5, "FAILED": 2, "KILLED": 2}
    metrics = {metric for _, metric, step in points if step == 3}
    assert {"test/iou/_b_a_b__b_", "test/iou/a_b", "test/iou/a_b_4", "test/iou/_5"} <= metrics


@pytest.mark.parametrize(
    "classes, expected",
    [
        (("a", "b c"), ["a", "b c"]),
        (("a?", "a!", "a_"), ["a_", "a__1", "a__2"]),
        (("a__2", "a?", "a!"), ["a__2", "a_", "a__2_2"]),
        ((".", "..", " "), ["_0", "_1", "_2"]),
        (("z" * 300, "z" * 301), ["z" * 200, "z" * 200 + "_1"]),
        (("Fu\u00dfweg", "\u6c34"), ["Fu\u00dfweg", "\u6c34"]),
    ],
)
def test_metric_labels(classes, expected):
    assert list(metric_labels(classes).values()) == expected


class Flaky:
    """A client whose every n-th write fails: before it is done, or after (its answer is lost)."""

    def __init__(self, client, n, when, count):
        self._client, self._n, self._when, self._count = client, n, when, count

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if not name.startswith(("create_", "log_", "set_", "update_", "delete_")):
            return method

        def call(*args, **kwargs):
            self._count[0] += 1
            fails = self._count[0] % self._n == 0
            if fails and self._when == "before":
                raise ConnectionError("refused")
            result = method(*args, **kwargs)
            if fails:
                raise ConnectionError("answer lost")
            return result

        return call


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_lost_and_nothing_twice_when_writes_fail(out, uri, clean, when, monkeypatch):
    study, count = make_study(out, f"flaky-{when}"), [0]
    monkeypatch.setattr(tracking, "connect", lambda uri: Flaky(connect(uri), 11, when, count))
    monkeypatch.setattr(tracker_file, "RETRY_S", 0.01)
    mirror = Mirror(study, out)
    background = Tracker(mirror.projection)
    for path in mirror.finals():
        background.put(path.name, lambda path=path: mirror.run(path))
    assert background.close() == ""
    monkeypatch.undo()
    assert count[0] > 50
    sync(study, out, runs.aggregator(study))  # the arms and the study's own run
    assert in_mlflow(uri, study.name) == clean


def test_runs_of_a_killed_driver_and_a_lost_store(out, uri, monkeypatch, capsys):
    """A run left RUNNING gets its true state; runs that nobody sent are sent; nothing twice."""
    study = make_study(out, "left")
    mirror = Mirror(study, out)
    path = next(p for p in mirror.finals() if RunDir(p).state() == "dead")
    monkeypatch.setattr(RunDir, "locked", lambda run_dir: True)
    assert mirror.run(path)
    name, status, state = next(row for row in in_mlflow(uri, "left")[1] if row[2])
    assert (status, state) == ("RUNNING", "running")
    monkeypatch.undo()
    words = ["--sync", "--study", "left", "--out", str(out)]
    assert runs.main(words) == 0
    assert "sync: 6 of 6 runs brought up to date in MLflow at sqlite" in capsys.readouterr().out
    assert (name, "KILLED", "dead") in in_mlflow(uri, "left")[1]
    before = in_mlflow(uri, "left")
    assert runs.main(words) == 0
    assert "sync: 0 of 6 runs" in capsys.readouterr().out
    assert in_mlflow(uri, "left") == before
    RunDir(path).append("failed", error="at last")
    assert runs.main(words) == 0
    assert "sync: 1 of 6 runs" in capsys.readouterr().out
    assert (name, "FAILED", "failed") in in_mlflow(uri, "left")[1]
    (mirror.finals()[0] / "config.json").write_text("{")  # damaged: named, the others are sent
    RunDir(path).append("failed", error="again")
    assert runs.main(words) == 1
    text = capsys.readouterr().out
    assert "sync: 1 of 6 runs" in text and "not sent: run " in text


def test_a_server_lost_after_the_start_is_said_with_the_command_that_helps(
    out, uri, clean, monkeypatch, capsys
):
    study = make_study(out, "lost")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    session = Tracking(SimpleNamespace(study=study, out=out))
    session.catch_up()
    session.close(make_console())
    text = capsys.readouterr().out
    assert text.startswith("MLflow is behind (no answer); ") and text.count("\n") == 1
    line = f"python runs.py --sync --study lost --out {out}"
    assert text.endswith(f"; send what is missing with: {line}\n")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert runs.main(shlex.split(line)[2:]) == 0
    assert in_mlflow(uri, "lost") == clean


def test_sync_sends_tunings_and_the_report(out, uri):
    study = make_study(out, "tuned")
    cell = study.cells[0]
    folder = out / "tuning" / cell["cell_id"]
    for role, seed in (("trial", 1000), ("rerank", 100_000)):
        config = study.config(cell, seed, role=role)
        write_run(
            RunDir(folder / config.run_id),
            config.record(f"tune {cell['arm']} trial 0"),
            {"event": "pruned", "epoch": 3},
        )
    write_json(
        folder.with_suffix(".json"),
        {
            "arm": cell["arm"],
            "params": {"lr_multiplier": 2.0},
            "dev_selected": 0.5,
            "dev_rerank": 0.25,
            "epochs": 3,
            "budget_epochs": 3,
            "objective": "miou",
            "sampler": "tpe",
            "pruner": "none",
            "importances": {"lr_multiplier": 1.0},
        },
    )
    (study.path / "report").mkdir()
    (study.path / "report/index.html").write_text("<p>")
    assert sync(study, out, runs.aggregator(study)).n_sent == 8
    client = connect(uri)
    found = list(all_runs(client, client.get_experiment_by_name("tuned").experiment_id))
    parent = next(r for r in found if r.info.run_name == f"tune {cell['arm']}")
    below = [
        r.data.tags for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert {(t["role"], t["state"], t["arm"]) for t in below} == {
        ("trial", "pruned", cell["arm"]),
        ("rerank", "pruned", cell["arm"]),
    }
    assert parent.data.metrics == {
        "best/dev_miou": 0.5,
        "best/dev_miou_again": 0.25,
        "importance/lr_multiplier": 1.0,
    }
    own = next(r for r in found if r.data.tags.get("kind") == "study")
    assert [a.path for a in client.list_artifacts(own.info.run_id, "report")] == [
        "report/index.html"
    ]


def test_an_arm_with_fewer_runs_than_before_does_not_show_the_old_mean(out, uri):
    study = make_study(out, "fewer")
    mirror, cell = Mirror(study, out), study.cells[0]
    for values in (
        {"n": 3, "test/miou/mean": 0.3, "test/miou/sd": 0.1},
        {"n": 1, "test/miou/mean": 0.1},
    ):
        assert mirror.arm(cell, values)
        assert not mirror.arm(cell, values)
    client = connect(uri)
    (run,) = all_runs(client, client.get_experiment_by_name("fewer").experiment_id)
    assert run.data.metrics["test/miou/mean"] == 0.1 and run.data.metrics["n"] == 1
    assert np.isnan(run.data.metrics["test/miou/sd"])


class Store:
    """Stands for a projection; `lost` is what its `reconnect` raises."""

    uri, lost = "http://user:secret@host", None

    def reconnect(self):
        if self.lost:
            raise self.lost


def test_close_claims_nothing_that_has_not_arrived(monkeypatch):
    release = threading.Event()
    slow = Tracker(Store())
    slow.put("a", release.wait)
    began = time.monotonic()
    assert slow.close(timeout_s=0.2) == "http://***@host is slow or does not answer"
    assert time.monotonic() - began < 5
    release.set()

    def fail():
        raise ConnectionError("no answer")

    store, calls = Store(), []
    store.lost = ConnectionError("no answer")
    lost = Tracker(store)
    for key in "abc":
        lost.put(key, fail)
        lost.put(key, lambda key=key: (calls.append(key), fail()))
    assert lost.close() == "ConnectionError: no answer"
    assert set(calls) <= {"a"}  # the store is lost: not every call waits for it


def test_an_outage_ends_while_the_study_goes_on(monkeypatch):
    monkeypatch.setattr(tracker_file, "RETRY_S", 0.01)
    store, up, arrived = Store(), threading.Event(), []
    tracker = Tracker(store)

    def send(value):
        if not up.is_set():
            store.lost = ConnectionError("down")
            raise store.lost
        arrived.append(value)

    for value in (1, 2):
        tracker.put("a", lambda value=value: send(value))
    tracker.put("b", lambda: send(3))
    time.sleep(0.3)
    up.set()  # nothing new is put: what is behind is sent by itself
    deadline = time.monotonic() + 10
    while len(arrived) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert arrived == [2, 3]
    assert tracker.close() == ""


@pytest.mark.parametrize(
    "words, message",
    [
        (["--study", "none"], "study none does not exist in"),
        (["--study", "clean", "--only", "loss=bce"], "--sync takes no --only or --set"),
    ],
)
def test_sync_refuses_in_one_line(out, clean, words, message, capsys):
    assert runs.main(["--sync", *words, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_sync_when_the_server_does_not_answer(out, clean, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert runs.main(["--sync", "--study", "clean", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "tracking server http://127.0.0.1:9 must answer" in error and error.count("\n") == 1


@contextlib.contextmanager
def postgres(folder):
    if "TEST_POSTGRES_URL" not in os.environ:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL database")
    yield os.environ["TEST_POSTGRES_URL"]


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
        assert sync(study, tmp_path, runs.aggregator(study)).n_sent == 6
        assert sync(study, tmp_path, runs.aggregator(study)).n_sent == 0
        assert fetch(address, study.name, tmp_path / "fetched") == []
        points, states = in_mlflow(address, study.name)
        client = connect(address)
        kept = next(
            r
            for r in all_runs(client, client.get_experiment_by_name(study.name).experiment_id)
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
