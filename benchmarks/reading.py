"""Seconds to send a study of many finished runs to MLflow and to read it back for a report.

    python benchmarks/reading.py [N_RUNS]      default 1000; SQLite with local artifacts
    python benchmarks/reading.py N_RUNS http   a server on loopback that hands out the artifacts

The run directories are made up, of the size of VOC2007's: 21 classes, 40 epochs, 210 test images.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from analysis.records import read_study
from runs import MATRICES, aggregator
from seglib.data.lists import VOC_CLASSES
from study.config import FIELDS, RECIPE
from study.record.rundir import write_json, write_npz
from study.study import Study, declare
from study.tracking.fetch import fetch
from study.tracking.projection import TrackingError, probe, tracking_uri
from study.tracking.sender import sync

N_EPOCHS, N_TEST, N_DEV = 40, 210, 209
PANEL = [(375, 500)] * 8


def make_study(path: Path, n_runs: int) -> Study:
    """A study of ten arms with finished runs; numbers are drawn, the same at each seed."""
    share = [1 / len(VOC_CLASSES)] * len(VOC_CLASSES)
    data = {
        "name": "voc2007",
        "path": str(path.resolve()),
        "fingerprint": "f" * 64,
        "classes": list(VOC_CLASSES),
        "background": True,
        "max_side": None,
        "notes": [],
        "n_images": {"fit": 209, "dev": N_DEV, "test": N_TEST},
        "pixel_share": dict.fromkeys(("fit", "dev", "test"), share),
        "image_share": dict.fromkeys(("fit", "dev", "test"), share),
        "void_share": dict.fromkeys(("fit", "dev", "test"), 0.05),
        "constant_floor": {"class": "background", "test_miou": 0.03},
    }
    recipe = {name: FIELDS[name].default for name in RECIPE} | {"epochs": N_EPOCHS}
    study = declare(
        path,
        matrix_name="focal-tversky",
        matrix=MATRICES["focal-tversky"],
        data=data,
        recipe=recipe,
        loss_params={},
        pretrained="imagenet",
        given={},
    )
    study.save()
    rng = np.random.default_rng(0)
    maps = [
        rng.integers(0, 21, (h // 16, w // 16), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        for h, w in PANEL
    ]
    write_npz(
        path / "panel.npz",
        {
            "names": np.array([f"test_{i}" for i in range(len(PANEL))]),
            **{f"image_{i}": np.stack([m] * 3, -1) for i, m in enumerate(maps)},
            **{f"mask_{i}": m for i, m in enumerate(maps)},
        },
    )
    for number in range(n_runs):
        seed, index = divmod(number, len(study.cells))
        cell = study.cells[index]
        config = study.config(cell, seed)
        if seed == 0:
            write_run(study, cell, maps, rng)
        else:
            path = study.run_dir(config).path
            shutil.copytree(study.run_dir(study.config(cell, 0)).path, path)
            write_json(path / "config.json", config.record(cell["arm"]))
    return study


def write_run(study: Study, cell: dict, maps: list[np.ndarray], rng) -> None:
    """One finished run's directory, seed 0."""
    config = study.config(cell, 0)
    run_dir = study.run_dir(config)
    run_dir.create(config.record(cell["arm"]))
    values = iter(rng.random((N_EPOCHS + 2, len(VOC_CLASSES))).round(6).tolist())

    def scores(split: str) -> dict[str, float]:
        ious = dict(zip(VOC_CLASSES, next(values), strict=True))
        return {
            f"{split}/miou": sum(ious.values()) / len(ious),
            f"{split}/pixel_accuracy": 0.9,
            f"{split}/miou_foreground": 0.5,
            **{f"{split}/iou/{k}": v for k, v in ious.items()},
        }

    environment = {"device": "cpu", "threads": 1, "commit": "0" * 12, "torch": "2.0"}
    run_dir.append("start", attempt=1, environment=environment, n_parameters=14_000_000)
    for epoch in range(1, N_EPOCHS + 1):
        metrics = {
            "train/loss": 1 / epoch,
            "train/lr": 1e-3,
            "train/images_per_s": 50.0,
            "system/cpu_utilization_percentage": 99.0,
            "system/system_memory_usage_percentage": 20.0,
            "system/process_memory_megabytes": 900.0,
        }
        run_dir.append(
            "epoch", epoch=epoch, metrics=metrics | (scores("dev") if epoch % 4 == 0 else {})
        )
    counts = {"test": N_TEST, "dev": N_DEV}
    arrays = {
        name: (rng.random((n, 21, 21)) > 0.9) * rng.integers(0, 9999, (n, 21, 21), np.int32)
        for name, n in counts.items()
    }
    names = {
        f"{name}_names": np.array([f"{i:06d}" for i in range(n)]) for name, n in counts.items()
    }
    write_npz(run_dir.path / "confusion.npz", arrays | names)
    write_npz(run_dir.path / "panel.npz", {f"prediction_{i}": m for i, m in enumerate(maps)})
    write_json(run_dir.path / "history.json", run_dir.epochs())
    (run_dir.path / "panel.png").write_bytes(rng.bytes(200_000))
    run_dir.best.write_bytes(rng.bytes(100_000))
    run_dir.append(
        "finished",
        best_epoch=N_EPOCHS,
        duration_s=600.0,
        peak_memory_mb=900.0,
        metrics=scores("dev") | scores("test"),
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def server(folder: Path, port: int = 0) -> Iterator[str]:
    """An MLflow server on loopback with SQLite and served artifacts; its address."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlflow",
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "1",
                "--backend-store-uri",
                f"sqlite:///{folder}/server.db",
                "--artifacts-destination",
                str(folder / "artifacts"),
            ],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                probe(address)
                break
            except TrackingError:
                time.sleep(0.5)
        else:
            raise TimeoutError(f"MLflow server did not start, see {folder / 'server.log'}")
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@contextmanager
def timed(text: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{text}: {time.perf_counter() - began:.1f} s", flush=True)


def main(n_runs: int, over_http: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        with timed(f"{n_runs} run directories made"):
            study = make_study(out / "s", n_runs)
        n_bytes = sum(p.stat().st_size for p in (study.path / "runs").rglob("*") if p.is_file())
        print(f"{n_bytes / n_runs / 1e3:.0f} kB a run")
        if over_http:
            with server(out / "server") as address:
                os.environ["MLFLOW_TRACKING_URI"] = address
                measure(study, out)
        else:
            measure(study, out)


def measure(study: Study, out: Path) -> None:
    with timed("sent (--sync)"):
        done = sync(study, out, aggregator(study))
    assert done.n_sent == done.n_runs and not done.problems, done
    with timed("sent again, nothing missing"):
        assert sync(study, out, aggregator(study)).n_sent == 0
    with timed("fetched"):
        notes = fetch(tracking_uri(out), "s", out / "fetched")
    assert not notes, notes
    with timed("fetched files read into records"):
        fetched = read_study(out / "fetched")
    there = {run.run_id: run.result for run in read_study(study.path).runs}
    assert {run.run_id: run.result for run in fetched.runs} == there and len(there) == done.n_runs


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, "http" in sys.argv)
