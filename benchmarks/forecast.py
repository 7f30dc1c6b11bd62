"""The forecast of runs against their true time, on drawn images; run it on an idle machine.

    python -m benchmarks.forecast [--workers N] [--epochs N] [--seeds N] [--images N]

Both networks, three losses (one of them slow), as a grid runs them but without MLflow and reports;
those are included in `time python runs.py --plan` against `time python runs.py --grid`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.shapes import write_shapes
from study.config import RunConfig
from study.execution.executor import Job, LocalExecutor
from study.execution.forecast import Forecaster, forecast_range, schedule_s
from study.presets import SHAPES

MODELS, LOSSES = ("unet", "resnetunet"), ("bce", "focal_tversky", "lovasz")


def main(n_workers: int, n_epochs: int, n_seeds: int, n_images: int) -> None:
    load, n_cores = os.getloadavg()[0], os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_shapes(root / "data", n_train=n_images, n_val=n_images // 4, n_test=n_images // 2)
        store = build_store(open_folder(root / "data"), root / "store", max_side=None)
        shared = {
            **SHAPES.recipe,
            "epochs": n_epochs,
            "data": store.fingerprint,
            "store": str(store.path),
            "threads": max(1, n_cores // n_workers),
            "init": "scratch",
        }
        configs = [
            RunConfig(**shared, model=model, loss=loss, seed=seed)
            for seed in range(n_seeds)
            for model in MODELS
            for loss in LOSSES
        ]
        began = time.monotonic()
        forecaster = Forecaster(store, n_workers)
        costs = [forecaster.cost(config).seconds for config in configs]
        print(f"planning: {time.monotonic() - began:.1f} s, load before it {load:.2f}")
        jobs = [Job(c, f"{c.model}-{c.loss}", root / c.run_id) for c in configs]
        began, begun, took = time.monotonic(), {}, {}
        for message in LocalExecutor(n_workers).run(jobs):
            run_id = message.job.config.run_id
            if message.event.event == "start":
                begun[run_id] = message.event.time
            elif message.event.event == "finished":
                took[run_id] = message.event.duration_s
            elif message.event.event == "failed":
                raise RuntimeError(message.event.error)
        true_s = time.monotonic() - began
        for job, cost in zip(jobs, costs, strict=True):
            ratio = cost / took[job.config.run_id]
            print(
                f"{job.arm:<28} {cost:7.1f} s, true {took[job.config.run_id]:7.1f} s, {ratio:.2f}"
            )
        forecast_s = schedule_s(costs, n_workers)
        low, high = forecast_range(forecast_s, load, n_cores)
        print(
            f"all: {forecast_s:.1f} s ({low:.1f} to {high:.1f}), true {true_s:.1f} s, "
            f"ratio {forecast_s / true_s:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    for name, default in (("epochs", 9), ("seeds", 1), ("images", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    main(args.workers, args.epochs, args.seeds, args.images)
