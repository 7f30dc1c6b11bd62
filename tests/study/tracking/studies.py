"""Studies written by hand, without data or training, and what MLflow holds of them."""

from collections import Counter
from functools import partial

import numpy as np

from analysis import aggregate_arms
from seglib.metrics import CONTRACT
from study.matrix import Matrix
from study.record import write_npz
from study.record.journal import Epoch, Failed, Finished, Note, Start
from study.tracking.store import all_runs, connect
from tests.helpers import facts, new_study

CLASSES = ("background", "square", "<b>a/b</b>", "a?b", "a!b", ".", "x" * 300)
BASE = {"model": "unet", "init": "scratch", "loss": "bce"}
ODD = {**BASE, "loss": "dice_bce", "label": "<script>alert(1)</script> \U0001f600 \0" + "y" * 300}
ENDS = ("finished", Failed(error="z" * 9000 + "\0"), None)


def make_study(out, name, **recipe):
    """Two arms, of each a finished run, a failed one and one cut off."""
    odd = facts(CLASSES, name="d" * 600, path="/nowhere", n_images={"fit": 1, "dev": 1, "test": 2})
    matrix = Matrix(cells=({**BASE, "label": "plain"}, ODD), baseline=ODD)
    study = new_study(out / name, matrix=matrix, data=odd, **recipe)
    study.save()
    write_npz(study.path / "panel.npz", {"names": np.array([])})
    for cell in study.cells:
        for seed, end in enumerate(ENDS):
            config = study.config(cell, seed)
            write_run(study.run_dir(config), config.record(cell.arm), end)
    return study


def write_run(run_dir, record, end, score=0.5):
    run_dir.create(record)
    environment = {"commit": "c0ffee", "note": "n" * 9000}
    run_dir.append(Start(attempt=1, after_epoch=0, n_parameters=7, environment=environment))
    dev = {"dev/miou": score, **{f"dev/iou/{name}": score for name in CLASSES}}
    for epoch in (1, 2, 3):
        run_dir.append(Epoch(epoch=epoch, metrics={"train/loss": 1 / epoch} | dev))
    test = {name.replace("dev", "test"): value for name, value in dev.items()}
    test |= {"test/pixel_accuracy": 0.5}
    if end == "finished":
        for text in ("never predicted a?b", "never predicted a?b", "no rise"):
            run_dir.append(Note(text=text))
        end = Finished(
            best_epoch=3, duration_s=1, peak_memory_mb=1, metrics=dev | test, contract=CONTRACT
        )
        for name in ("confusion.npz", "panel.npz"):
            write_npz(run_dir.path / name, {"test": np.zeros((2, 7, 7))})
    if end:
        run_dir.append(end)


def aggregate(study):
    """What gives the arms' own values."""
    return partial(aggregate_arms, study.path)


def runs_in_mlflow(uri, name):
    client = connect(uri)
    return list(all_runs(client, client.get_experiment_by_name(name).experiment_id))


def in_mlflow(uri, name):
    """(run, metric, step) -> how often; status and state of each run (by id, parents by name)."""
    client = connect(uri)
    found = [
        (run.data.tags.get("run_id", run.data.tags.get("arm", "study")), run)
        for run in runs_in_mlflow(uri, name)
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
