"""Studies of made-up runs, of the size of VOC2007's: ten arms, 21 classes, 210 test images."""

import shutil
from pathlib import Path

import numpy as np

from seglib.drawing import VOC_CLASSES
from seglib.metrics import CONTRACT
from study.config import FIELDS, RECIPE
from study.declare import declare
from study.matrix import Matrix
from study.record import (
    SPLITS,
    Cell,
    ConstantFloor,
    DataFacts,
    Given,
    RunDir,
    files,
    write_json,
    write_npz,
)
from study.record.journal import Epoch, Finished, Metrics, Start
from study.study import Study

N_TEST, N_DEV = 210, 209
PANEL = [(375, 500)] * 8
BASELINE = {"model": "unet", "init": "scratch", "loss": "bce", "width": 64}
MATRIX = Matrix(
    axes={
        "model": ("unet",),
        "init": ("scratch",),
        "loss": ("bce", "dice_bce"),
        "width": (16, 32, 48, 64, 80),
    },
    baseline=BASELINE,
)


def declared(path: Path, n_epochs: int, matrix: Matrix | None = None) -> Study:
    """A study that has no runs yet."""
    share = dict.fromkeys(SPLITS, (1 / len(VOC_CLASSES),) * len(VOC_CLASSES))
    study = declare(
        path,
        matrix_name="made-up",
        matrix=matrix or MATRIX,
        data=DataFacts(
            name="voc2007",
            path=str(path.resolve()),
            fingerprint="f" * 64,
            classes=tuple(VOC_CLASSES),
            background=True,
            max_side=None,
            n_images={"fit": 209, "dev": N_DEV, "test": N_TEST},
            pixel_share=share,
            image_share=share,
            void_share=dict.fromkeys(SPLITS, 0.05),
            test_groups=None,
            constant_floor=ConstantFloor(name="background", test_miou=0.03),
            notes=(),
        ),
        recipe={name: FIELDS[name].default for name in RECIPE} | {"epochs": n_epochs},
        loss_params={},
        pretrained="imagenet",
        given=Given(data="voc2007"),
    )
    study.save()
    return study


def begin(study: Study, cell: Cell, seed: int) -> RunDir:
    """The directory of a run that has started."""
    config = study.config(cell, seed)
    run_dir = study.run_dir(config)
    run_dir.create(config.record(cell.arm))
    environment = {"device": "cpu", "threads": 1, "commit": "0" * 12, "torch": "2.0"}
    run_dir.append(
        Start(attempt=1, after_epoch=0, environment=environment, n_parameters=14_000_000)
    )
    return run_dir


def scores(split: str, rng: np.random.Generator) -> Metrics:
    """A split's metrics, drawn."""
    ious = dict(zip(VOC_CLASSES, rng.random(len(VOC_CLASSES)).round(6).tolist(), strict=True))
    return {
        f"{split}/miou": sum(ious.values()) / len(ious),
        f"{split}/pixel_accuracy": 0.9,
        f"{split}/miou_foreground": 0.5,
        **{f"{split}/iou/{name}": value for name, value in ious.items()},
    }


def epoch(number: int, rng: np.random.Generator, *, evaluated: bool) -> Epoch:
    """The event of an epoch, with dev's metrics where it was evaluated."""
    metrics: Metrics = {
        "train/loss": 1 / number,
        "train/lr": 1e-3,
        "train/images_per_s": 50.0,
        "system/cpu_utilization_percentage": 99.0,
        "system/system_memory_usage_percentage": 20.0,
        "system/process_memory_megabytes": 900.0,
    }
    return Epoch(epoch=number, metrics=metrics | (scores("dev", rng) if evaluated else {}))


def with_runs(path: Path, n_runs: int, n_epochs: int, *leave_out: str) -> Study:
    """A study with finished runs; numbers are drawn, the same at each seed.

    Args: leave_out: files that only the runs of seed 0 need, as patterns.
    """
    study, rng = declared(path, n_epochs), np.random.default_rng(0)
    maps = [
        rng.integers(0, 21, (h // 16, w // 16), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        for h, w in PANEL
    ]
    write_npz(
        path / files.PANEL,
        {
            "names": np.array([f"test_{i}" for i in range(len(PANEL))]),
            **{f"image_{i}": np.stack([m] * 3, -1) for i, m in enumerate(maps)},
            **{f"mask_{i}": m for i, m in enumerate(maps)},
        },
    )
    for number in range(n_runs):
        seed, index = divmod(number, len(study.cells))
        cell = study.cells[index]
        if seed == 0:
            _finish(begin(study, cell, 0), n_epochs, maps, rng)
        else:
            config = study.config(cell, seed)
            copy = study.run_dir(config)
            first = study.run_dir(study.config(cell, 0)).path
            shutil.copytree(first, copy.path, ignore=shutil.ignore_patterns(*leave_out))
            write_json(copy.config, config.record(cell.arm))
    return study


def _finish(
    run_dir: RunDir, n_epochs: int, maps: list[np.ndarray], rng: np.random.Generator
) -> None:
    """All epochs of a run that has started, and its results."""
    for number in range(1, n_epochs + 1):
        run_dir.append(epoch(number, rng, evaluated=number % 4 == 0))
    counts = {"test": N_TEST, "dev": N_DEV}
    arrays = {
        name: (rng.random((n, 21, 21)) > 0.9) * rng.integers(0, 9999, (n, 21, 21), np.int32)
        for name, n in counts.items()
    }
    names = {
        f"{name}_names": np.array([f"{i:06d}" for i in range(n)]) for name, n in counts.items()
    }
    write_npz(run_dir.path / files.CONFUSION, arrays | names)
    write_npz(run_dir.path / files.PANEL, {f"prediction_{i}": m for i, m in enumerate(maps)})
    epochs = [event.model_dump() for event in run_dir.journal().epochs]
    write_json(run_dir.path / files.HISTORY, epochs)
    (run_dir.path / files.PANEL_SHEET).write_bytes(rng.bytes(200_000))
    run_dir.best.write_bytes(rng.bytes(100_000))
    run_dir.append(
        Finished(
            best_epoch=n_epochs,
            duration_s=600.0,
            peak_memory_mb=900.0,
            metrics=scores("dev", rng) | scores("test", rng),
            contract=CONTRACT,
        )
    )
