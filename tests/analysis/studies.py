"""Small studies for the tests of the analysis, written by the code that reads them."""

import hashlib
import math
from pathlib import Path

import numpy as np

from seglib.metrics import class_counts, iou
from study.record import (
    Cell,
    ConstantFloor,
    Contrast,
    DataFacts,
    Declaration,
    Excluded,
    Given,
    RunDir,
    RunRecord,
    WeightsFile,
    files,
    read_declaration,
    write_json,
    write_npz,
)
from study.record.files import Scalar
from study.record.journal import Epoch, Failed, Finished, Start
from tests.helpers import facts

CLASSES = ("background", "disc", "bar", "ring")  # ring: in fit, not in test
ENVIRONMENT = {"device": "cpu", "threads": 1, "commit": "abc123"}
CONTRACT = {"void": "never scored"}
BEGAN = 9e8  # seconds since 1970


def cell(
    network: str,
    loss: str,
    tuning: str = "default",
    cell_id: str | None = "",
    *,
    factors: dict[str, str] | None = None,
    **values: Scalar,
) -> Cell:
    """A declared cell; its id is made of its arm unless given."""
    extra = "".join(f"-{k}={v}" for k, v in (factors or {}).items())
    arm = f"{network}-{loss}{extra}" + ("" if tuning == "default" else f"-{tuning}")
    model, init = network.split("-", 1)
    return Cell(
        values={"model": model, "init": init, "loss": loss, "tuning": tuning, **values},
        factors=factors or {},
        arm=arm,
        network=network,
        cell_id=None if cell_id is None else hashlib.sha256((cell_id or arm).encode()).hexdigest(),
    )


def contrast(a: Cell, b: Cell, family: str = "loss") -> Contrast:
    return Contrast(name=f"{a.arm} minus {b.arm}", family=family, a=a.arm, b=b.arm)


def data_facts(classes=CLASSES, **changes) -> DataFacts:
    """What is known of the images; the shares are those of four classes."""
    pixels = {"fit": (0.8, 0.15, 0.002, 0.048), "test": (0.8, 0.15, 0.05, 0.0)}
    images = {"fit": (1.0, 0.5, 0.1, 0.2), "test": (1.0, 0.5, 0.1, 0.0)}
    known = {
        "name": "shapes",
        "path": "data/shapes",
        "fingerprint": "f00d",
        "pixel_share": pixels | {"dev": pixels["fit"]},
        "image_share": images | {"dev": images["fit"]},
        "void_share": {"fit": 0.03, "dev": 0.02, "test": 0.03},
        "constant_floor": ConstantFloor(name=classes[0], test_miou=0.267),
        "notes": ("dev is small",),
    }
    return facts(classes, **known | changes)


def write_study(root: Path, cells: list[Cell], classes=CLASSES, **changes) -> Path:
    """A study directory with a declaration, a panel of two images and no run."""
    declared = {
        "name": root.name,
        "uuid": "0123",
        "created": "2026-11-22T13:00:00+00:00",
        "matrix": "default",
        "data": data_facts(classes),
        "recipe": {"epochs": 3, "batch_size": 8, "lr": 0.003},
        "loss_params": {},
        "pretrained": "pretext",
        "weights": {"resnet18": WeightsFile(source="pretext", sha256="beef")},
        "given": Given(data="shapes"),
        "cells": tuple(cells),
        "excluded": (Excluded(where={"model": "unet", "init": "pretrained"}, reason="no encoder"),),
        "baseline": cells[0].arm,
        "smallest_difference": 0.005,
        "contract": CONTRACT,
    }
    (root / files.RUNS).mkdir(parents=True)
    write_json(root / files.STUDY, Declaration(**{**declared, **changes}))
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 12, 16), dtype=np.uint8)
    masks[:, :2] = 255
    images = {f"image_{i}": rng.integers(0, 255, (12, 16, 3), dtype=np.uint8) for i in (0, 1)}
    arrays = {**images, **{f"mask_{i}": masks[i] for i in (0, 1)}}
    write_npz(root / files.PANEL, {"names": np.array(["a", "b"]), **arrays})
    return root


def redeclare(root: Path, **changes) -> None:
    """Write a study's declaration again with other data facts."""
    declared = read_declaration(root)
    write_json(root / files.STUDY, declared.having(data=declared.data.having(**changes)))


def confusions(recalls, rng: np.random.Generator, spread: float = 0.02) -> np.ndarray:
    """(10, 4, 4) pixel counts: the truth is the same for every run, a class is found with its
    recall, give or take `spread` an image; what is missed is taken for ring, which is not in test:
    so a class's IoU is its recall."""
    truth = 20 * np.random.default_rng(99).integers(5, 20, (10, 3)) * (4, 2, 1)
    counts = np.zeros((10, 4, 4), np.int64)
    for label, recall in enumerate(recalls):
        share = np.clip(recall + spread * rng.standard_normal(10), 0, 1)
        hit = np.round(truth[:, label] * share).astype(int)
        counts[:, label, label] = hit
        counts[:, label, 3] += truth[:, label] - hit
    return counts


def ious_of(test: np.ndarray) -> tuple[float, ...]:
    """What `write_run` takes: the IoU of the three classes in test."""
    return tuple(iou(class_counts(test))[:3].tolist())


def write_run(root: Path, cell: Cell, seed: int, ious=(0.9, 0.6, 0.3), end="finished", **changes):
    """One run of three epochs; `ious` of the classes in test. Returns its folder.

    changes: run_id, config, environment, metrics (of `finished`), contract, error, epoch_s, test.
    """
    path = root / files.RUNS / changes.get("run_id", f"{len([*(root / files.RUNS).iterdir()]):04d}")
    config = {
        "seed": seed,
        "role": "final",
        "data": "f00d",
        "epochs": 3,
        "batch_size": 8,
        "lr": 0.003,
    }
    run_dir = RunDir(path)
    run_dir.create(
        RunRecord(
            run_id=path.name,
            cell_id=cell.cell_id,
            arm=cell.arm,
            network=cell.network,
            config={**config, "loss_params": {}, **changes.get("config", {})},
        )
    )
    environment = {**ENVIRONMENT, **changes.get("environment", {})}
    events = [Start(attempt=1, after_epoch=0, n_parameters=1_500_000, environment=environment)]
    for epoch in (1, 2, 3):
        dev = {"dev/miou": 0.1 * epoch} if epoch != 2 else {}
        events.append(Epoch(epoch=epoch, metrics={"train/loss": 1 / epoch, **dev}))
    if end == "failed":
        events.append(Failed(error=changes.get("error", "boom")))
    if end == "finished":
        events.append(_finished(read_declaration(root).data.classes, ious, changes))
        test = changes.get("test")
        if test is None:
            test = confusions(np.nan_to_num(ious), np.random.default_rng(seed), 0.0)
        _write_results(path, seed, test)
    for number, event in enumerate(events):
        run_dir.append(event.having(time=BEGAN + number * changes.get("epoch_s", 60)))
    return path


def _finished(classes, ious, changes: dict) -> Finished:
    result = {"dev/miou": 0.3, "test/miou": sum(ious) / len(ious), "test/pixel_accuracy": 0.75}
    result |= {f"test/iou/{name}": x for name, x in zip(classes, (*ious, 0.0), strict=True)}
    result |= changes.get("metrics", {})
    return Finished(
        best_epoch=3,
        duration_s=120,
        peak_memory_mb=9.5,
        metrics={name: None if math.isnan(x) else x for name, x in result.items()},
        contract=changes.get("contract", CONTRACT),
    )


def _write_results(path: Path, seed: int, test: np.ndarray) -> None:
    names = {"test_names": np.array(list("abcdefghij")), "dev_names": np.array(["k"])}
    write_npz(path / files.CONFUSION, {"test": test, "dev": test[:1], **names})
    maps = {f"prediction_{i}": np.full((12, 16), i + seed % 2, np.uint8) for i in (0, 1)}
    write_npz(path / files.PANEL, maps)


BCE, DICE, TUNED, NEVER, FAILING = CELLS = [
    cell("unet-scratch", "bce"),
    cell("unet-scratch", "dice_bce"),
    cell("unet-scratch", "bce", "tuned"),
    cell("resnetunet-pretrained", "bce", cell_id=None),
    cell("resnetunet-pretrained", "dice_bce"),
]
