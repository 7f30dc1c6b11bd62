"""Study directories written by hand, for the tests of the analysis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from seglib.metrics import class_counts, iou

CLASSES = ("background", "disc", "bar", "ring")  # ring: in fit, not in test
ENVIRONMENT = {"device": "cpu", "threads": 1, "commit": "abc123"}


def cell(network: str, loss: str, tuning: str = "default", cell_id: str | None = "") -> dict:
    """A declared cell; its id is its arm unless given."""
    arm = f"{network}-{loss}" + ("" if tuning == "default" else f"-{tuning}")
    model, init = network.split("-", 1)
    values = {"model": model, "init": init, "loss": loss, "tuning": tuning}
    cell_id = f"id-{arm}" if cell_id == "" else cell_id
    return {"arm": arm, "network": network, "cell_id": cell_id, "values": values}


def write_study(root: Path, cells: list[dict], classes=CLASSES, **changes) -> Path:
    """A study directory with a declaration, a panel of two images and no run."""
    pixels = {"fit": [0.8, 0.15, 0.002, 0.048], "test": [0.8, 0.15, 0.05, 0.0]}
    images = {"fit": [1.0, 0.5, 0.1, 0.2], "test": [1.0, 0.5, 0.1, 0.0]}
    declaration = {
        "format": 1,
        "name": root.name,
        "created": "2026-11-22T13:00:00+00:00",
        "matrix": "default",
        "data": {
            "name": "shapes",
            "path": "data/shapes",
            "fingerprint": "f00d",
            "classes": list(classes),
            "background": True,
            "max_side": None,
            "n_images": {"fit": 24, "dev": 6, "test": 10},
            "pixel_share": pixels | {"dev": pixels["fit"]},
            "image_share": images | {"dev": images["fit"]},
            "void_share": {"fit": 0.03, "dev": 0.02, "test": 0.03},
            "constant_floor": {"class": classes[0], "test_miou": 0.267},
            "notes": ["dev is small"],
        },
        "recipe": {"epochs": 3, "lr": 0.003},
        "cells": cells,
        "excluded": [{"where": {"model": "unet", "init": "pretrained"}, "reason": "no encoder"}],
        "baseline": cells[0]["arm"],
        "contrasts": [],
        "smallest_difference": 0.005,
        "weights": {"source": "pretext", "sha256": "beef", "note": "drawn scenes"},
        "contract": {"void": "never scored"},
    }
    (root / "runs").mkdir(parents=True)
    (root / "study.json").write_text(json.dumps(declaration | changes))
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 12, 16), dtype=np.uint8)
    masks[:, :2] = 255
    arrays = {f"image_{i}": rng.integers(0, 255, (12, 16, 3), dtype=np.uint8) for i in (0, 1)}
    arrays |= {f"mask_{i}": masks[i] for i in (0, 1)}
    np.savez(root / "panel.npz", names=np.array(["a", "b"]), **arrays)
    return root


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


def write_run(root: Path, cell: dict, seed: int, ious=(0.9, 0.6, 0.3), end="finished", **changes):
    """One run of three epochs; `ious` of the classes in test. Returns its folder."""
    path = root / "runs" / changes.get("run_id", f"{len(list((root / 'runs').iterdir())):04d}")
    path.mkdir()
    config = {"seed": seed, "role": "final", "epochs": 3, "lr": 0.003, "loss_params": {}}
    stored = {"run_id": path.name, **{key: cell[key] for key in ("cell_id", "arm", "network")}}
    stored["config"] = config | changes.get("config", {})
    (path / "config.json").write_text(json.dumps(stored))
    classes = json.loads((root / "study.json").read_text())["data"]["classes"]
    environment = ENVIRONMENT | changes.get("environment", {})
    events = [{"event": "start", "environment": environment, "n_parameters": 1_500_000}]
    for epoch in (1, 2, 3):
        metrics = {"train/loss": 1 / epoch}
        metrics |= {"dev/miou": 0.1 * epoch} if epoch != 2 else {}
        events.append({"event": "epoch", "epoch": epoch, "metrics": metrics})
    miou = sum(ious) / len(ious)
    result = {"dev/miou": 0.3, "test/miou": miou, "test/pixel_accuracy": 0.75}
    result |= {f"test/iou/{name}": x for name, x in zip(classes, (*ious, 0.0), strict=True)}
    last = {"event": end, "best_epoch": 3, "duration_s": 120, "peak_memory_mb": 9.5}
    last |= {"metrics": result} if end == "finished" else {"error": changes.get("error", "boom")}
    last |= {"contract": changes["contract"]} if "contract" in changes else {}
    events += [last] if end else []
    epoch_s = changes.get("epoch_s", 60)
    lines = [json.dumps(event | {"time": 9e8 + i * epoch_s}) for i, event in enumerate(events)]
    (path / "journal.jsonl").write_text("\n".join(lines) + "\n")
    if end == "finished":
        rng = np.random.default_rng(seed)
        test = changes.get("test", confusions(np.nan_to_num(ious), rng, 0.0))
        arrays = {"test": test, "dev": test[:1]}
        names = {"test_names": np.array(list("abcdefghij")), "dev_names": np.array(["k"])}
        np.savez(path / "confusion.npz", **arrays, **names)
        maps = {f"prediction_{i}": np.full((12, 16), i + seed % 2, np.uint8) for i in (0, 1)}
        np.savez(path / "panel.npz", **maps)
    return path


BCE, DICE, TUNED, NEVER, FAILING = CELLS = [
    cell("unet-scratch", "bce"),
    cell("unet-scratch", "dice_bce"),
    cell("unet-scratch", "bce", "tuned"),
    cell("resnetunet-pretrained", "bce", cell_id=None),
    cell("resnetunet-pretrained", "dice_bce"),
]
