"""--sync: what is missing is sent, what cannot be read is named."""

import pytest

import runs
from study.record import RunDir, TuningResult, tunings_of, write_json
from study.record.journal import Failed, Pruned
from study.study import load
from study.tracking import experiment, known
from study.tracking.projection import Projection
from study.tracking.store import connect
from study.tracking.sync import sync
from tests.helpers import how_tuned
from tests.study.tracking.studies import aggregate, in_mlflow, make_study, runs_in_mlflow, write_run


@pytest.mark.slow
def test_runs_of_a_killed_driver_and_a_lost_store(out, uri, monkeypatch, capsys):
    """A run left RUNNING gets its true state; runs that nobody sent are sent; nothing twice."""
    study = make_study(out, "left")
    projection = Projection(study, out)
    path = next(p for p in projection.finals() if RunDir(p).state() == "dead")
    monkeypatch.setattr(RunDir, "locked", lambda run_dir: True)
    assert projection.run(path)
    name, status, state = next(row for row in in_mlflow(uri, "left")[1] if row[2])
    assert (status, state) == ("RUNNING", "running")
    monkeypatch.undo()
    words = ["--sync", "--study", "left", "--out", str(out)]
    assert runs.main(words) == 0
    assert "sync: 6 of 6 runs brought up to date in MLflow at sqlite" in capsys.readouterr().out
    assert (name, "KILLED", "dead") in in_mlflow(uri, "left")[1]
    before = in_mlflow(uri, "left")
    assert runs.main(words) == 0
    assert "had all 6 runs as they are; nothing to send" in capsys.readouterr().out
    assert in_mlflow(uri, "left") == before
    RunDir(path).append(Failed(error="at last"))
    assert runs.main(words) == 0
    assert "sync: 1 of 6 runs" in capsys.readouterr().out
    assert (name, "FAILED", "failed") in in_mlflow(uri, "left")[1]
    (projection.finals()[0] / "config.json").write_text("{")  # named; the others are sent
    RunDir(path).append(Failed(error="again"))
    assert runs.main(words) == 1
    text = capsys.readouterr().out
    assert "sync: 1 of 6 runs" in text and "not sent: run " in text


@pytest.mark.slow
def test_sync_sends_tunings_and_the_report(out, uri):
    study = make_study(out, "tuned", epochs=3)  # tunings of its arms are of no other study
    cell = study.cells[0]
    (out / "tuning" / cell.cell_id).mkdir(parents=True)
    (place,) = tunings_of(out, cell)
    for role, seed in (("trial", 1000), ("rerank", 100_000)):
        config = study.config(cell, seed, role=role)
        write_run(
            RunDir(place.runs / config.run_id),
            config.record(f"{place.title} trial 0"),
            Pruned(epoch=3),
        )
    result = how_tuned(
        TuningResult,
        key=place.key,
        arm=cell.arm,
        params={"lr_multiplier": 2.0},
        trial=0,
        candidates={"0": 0.25},
        dev_selected=0.5,
        dev_rerank=0.25,
        importances={"lr_multiplier": 1.0},
    )
    write_json(place.result, result)
    (study.path / "report").mkdir()
    (study.path / "report/index.html").write_text("<p>")
    write_json(study.path / "report/manifest.json", {"files": ["index.html"]})
    assert sync(study, out, aggregate(study)).n_sent == 8
    client, found = connect(uri), runs_in_mlflow(uri, "tuned")
    parent = next(r for r in found if r.info.run_name == f"tune {cell.arm}")
    below = [
        r.data.tags for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert {(t["role"], t["state"], t["arm"]) for t in below} == {
        ("trial", "pruned", cell.arm),
        ("rerank", "pruned", cell.arm),
    }
    assert parent.data.metrics == {
        "best/dev_miou": 0.5,
        "best/dev_miou_again": 0.25,
        "importance/lr_multiplier": 1.0,
    }
    own = next(r for r in found if r.data.tags.get("kind") == "study")
    assert [a.path for a in client.list_artifacts(own.info.run_id, "report")] == [
        "report/index.html",
        "report/manifest.json",
    ]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--study", "none"], "study none must be a folder of"),
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


def test_nothing_new_asks_a_file_alone(out, clean, monkeypatch):
    """MLflow reads all of every run, 5 ms each: where nothing is missing it is not asked."""
    study = load(out / "clean", to_run=False)
    monkeypatch.setattr(experiment, "connect", None)  # whoever connects fails
    done = sync(study, out, aggregate(study))
    assert (done.n_runs, done.n_sent, done.problems) == (6, 0, [])


def test_a_runs_record_read_from_the_file_is_what_mlflow_says(out, uri, clean):
    found = known.read(out / "mlflow.db", "clean")
    mlflows = {r.data.tags["run_key"]: known.Known.of(r) for r in runs_in_mlflow(uri, "clean")}
    assert found is not None and set(found[1]) == set(mlflows) and len(mlflows) == 9
    for key, there in mlflows.items():
        one = found[1][key]
        assert one.whole == ("kind" in there.tags)
        for name in ("run_id", "name", "status", "end_time", "artifact_uri"):
            assert getattr(one, name) == getattr(there, name)
        assert one.tags.items() <= there.tags.items()
        if one.whole:
            assert one.tags == there.tags and one.params == there.params
            assert {k: str(v) for k, v in one.metrics.items()} == {
                k: str(v) for k, v in there.metrics.items()
            }


@pytest.mark.slow
def test_a_link_is_not_sent(out, uri, tmp_path):
    secret = tmp_path / "private key"
    secret.write_text("secret")
    study = make_study(out, "links")
    run = next(p for p in Projection(study, out).finals() if RunDir(p).state() == "finished")
    (run / "history.json").symlink_to(secret)
    (study.path / "report").mkdir()
    (study.path / "report/index.html").symlink_to(secret)
    write_json(study.path / "report/manifest.json", {"files": ["index.html"]})
    done = sync(study, out, aggregate(study))
    assert len(done.problems) == 2 and all("got a link" in line for line in done.problems)
    sent = [p for p in (out / "mlartifacts/links").rglob("*") if p.is_symlink() or p.is_file()]
    assert sent and not [p for p in sent if p.is_symlink() or p.read_bytes() == b"secret"]
    assert secret.stat().st_nlink == 1
