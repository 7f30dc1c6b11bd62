"""What of a study stands in MLflow: nothing lost, nothing twice, names and values that fit."""

from collections import Counter

import numpy as np
import pytest

from study.record import Journal, RunDir
from study.record.journal import Epoch, Start
from study.tracking.projection import Projection
from tests.study.tracking.studies import in_mlflow, make_study, runs_in_mlflow


@pytest.mark.slow
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


@pytest.mark.slow
def test_tags_and_params_of_a_run(uri, clean):
    """By these names the users search: they are never changed."""
    run = min(
        (run for run in runs_in_mlflow(uri, "clean") if run.data.tags.get("state") == "finished"),
        key=lambda run: run.data.tags["loss"],
    )
    tags = run.data.tags
    assert {k: tags[k] for k in ("study", "arm", "network", "loss", "role", "seed")} == {
        "study": "clean",
        "arm": "unet-scratch-plain",
        "network": "unet-scratch",
        "loss": "bce",
        "role": "final",
        "seed": "0",
    }
    assert {k: tags[k] for k in ("weights", "weights_sha256", "commit", "env.commit")} == {
        "weights": "none",
        "weights_sha256": "",
        "commit": "c0ffee",
        "env.commit": "c0ffee",
    }
    assert tags["notes"] == "never predicted a?b; no rise"
    assert run.info.run_name == "unet-scratch-plain seed 0"
    assert run.data.params["epochs"] == "60" and run.data.params["n_parameters"] == "7"
    assert "loss_params" not in run.data.params
    assert {k: run.data.metrics[k] for k in ("best/epoch", "best/dev_miou", "duration_s")} == {
        "best/epoch": 3.0,
        "best/dev_miou": 0.5,
        "duration_s": 1.0,
    }


def test_an_arm_with_fewer_runs_than_before_does_not_show_the_old_mean(out, uri):
    study = make_study(out, "fewer")
    projection, cell = Projection(study, out), study.cells[0]
    for values in (
        {"n": 3, "test/miou/mean": 0.3, "test/miou/sd": 0.1},
        {"n": 1, "test/miou/mean": 0.1},
    ):
        assert projection.arm(cell, values)
        assert not projection.arm(cell, values)
    (run,) = runs_in_mlflow(uri, "fewer")
    assert run.data.metrics["test/miou/mean"] == 0.1 and run.data.metrics["n"] == 1
    assert np.isnan(run.data.metrics["test/miou/sd"])


def test_a_line_of_a_journal_is_read_once(out, uri, monkeypatch):
    """Of a run under way, whatever the number of its epochs; after its end nothing is kept."""
    study, taken, take = make_study(out, "once"), [], Journal._take
    projection, config = Projection(study, out), study.config(study.cells[0], 7)
    run_dir = study.run_dir(config)
    run_dir.create(config.record(study.cells[0].arm))
    run_dir.append(Start(attempt=1, after_epoch=0, n_parameters=7, environment={}))

    def count(journal, line):
        if journal.path.parent == run_dir.path:
            taken.append(line)
        take(journal, line)

    monkeypatch.setattr(RunDir, "locked", lambda run_dir: True)
    for epoch in range(1, 6):
        run_dir.append(Epoch(epoch=epoch, metrics={"train/loss": 1.0}))
        monkeypatch.setattr(Journal, "_take", count)
        assert projection.run(run_dir.path)
        monkeypatch.setattr(Journal, "_take", take)
        assert len(taken) == epoch + 1
    points, _ = in_mlflow(uri, "once")
    assert points == {(config.run_id, "train/loss", epoch): 1 for epoch in range(1, 6)}
