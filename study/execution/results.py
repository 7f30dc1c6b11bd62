"""What a run measures, and the files it leaves when it is finished."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import nn

from seglib.data.store import Split
from seglib.metrics import Confusions, Sign, iou, mean_iou, pixel_accuracy, signs
from seglib.predict import evaluate, predict_split
from study.config import RunConfig
from study.execution import checkpoint
from study.execution.panel import write_predictions
from study.execution.parts import RunData, multiple_of
from study.execution.progress import Best
from study.record import RunDir, files, write_json, write_npz
from study.record.journal import Epoch, Metrics

Seen = tuple[Sign, ...]


def scores(confusions: Confusions, classes: tuple[str, ...], prefix: str) -> Metrics:
    """Dataset metrics of confusions, `<prefix>/miou` and kin; None where undefined."""
    counts = confusions.class_counts()
    values = {
        f"{prefix}/miou": mean_iou(counts),
        f"{prefix}/pixel_accuracy": pixel_accuracy(counts),
    }
    if classes[0] == "background":
        values[f"{prefix}/miou_foreground"] = mean_iou(counts[:, 1:])
    per_class = iou(counts)
    values |= {f"{prefix}/iou/{c}": float(v) for c, v in zip(classes, per_class, strict=True)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def system_metrics(device: str) -> Metrics:
    """Load and memory as they are now."""
    values: Metrics = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_percentage": psutil.virtual_memory().percent,
        "system/process_memory_megabytes": psutil.Process().memory_info().rss / 1e6,
    }
    if torch.device(device).type == "cuda":
        values["system/gpu_memory_megabytes"] = torch.cuda.memory_allocated(device) / 1e6
    return values


def peak_memory_mb(device: str) -> float:
    """The most memory this process has used, on the device where it works."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def confusions_of(
    config: RunConfig,
    model: nn.Module,
    split: Split,
    should_stop: Callable[[], bool],
    score_void: bool = False,
) -> Confusions:
    """Pixel counts of a split under a run's network; see `seglib.predict.evaluate`."""
    return evaluate(
        model,
        split,
        multiple=multiple_of(config),
        precision=config.precision,
        should_stop=should_stop,
        score_void=score_void,
    )


def store_results(
    config: RunConfig,
    run_dir: RunDir,
    data: RunData,
    best: Best,
    model: nn.Module,
    should_stop: Callable[[], bool],
) -> tuple[Metrics, Seen]:
    """Evaluate the best weights (a final run on test, once) and store all results.

    Returns: metrics; what the run shows of not having learnt.
    Raises: seglib.predict.Stopped.
    """
    classes = data.store.classes
    assert (dev := best["confusions"]) is not None
    arrays = {**dev.packed("dev"), "dev_names": np.array(data.dev.names)}
    metrics, counts = scores(dev, classes, "dev"), {"dev": dev.class_counts()}
    if config.role == "final":  # of a trial only the numbers are wanted
        assert best["weights"] is not None
        checkpoint.save_weights(run_dir.best, best["weights"])
        model.load_state_dict(best["weights"])
        test = data.store.test()
        evaluated = partial(confusions_of, config, model, test, should_stop)
        confusions = evaluated()
        metrics |= scores(confusions, classes, "test")
        counts["test"] = confusions.class_counts()
        if config.train_void == "class":
            void_scored = evaluated(score_void=True).class_counts()
            metrics["test/miou_void_scored"] = mean_iou(void_scored)
        arrays |= {**confusions.packed("test"), "test_names": np.array(test.names)}
        _predict_panel(config, run_dir, model, test, classes)
    write_npz(run_dir.path / files.CONFUSION, arrays)
    epochs = run_dir.journal().epochs
    write_json(run_dir.path / files.HISTORY, [event.model_dump() for event in epochs])
    return metrics, _signs(config, counts, classes, epochs)


def _signs(
    config: RunConfig,
    counts: Mapping[str, npt.NDArray[np.int64]],
    classes: Sequence[str],
    epochs: Sequence[Epoch],
) -> Seen:
    dev_miou, train_loss = (
        [math.nan if (v := e.metrics.get(name)) is None else v for e in epochs]
        for name in ("dev/miou", "train/loss")
    )
    return signs(
        counts,
        classes,
        epochs=[event.epoch for event in epochs],
        dev_miou=dev_miou,
        train_loss=train_loss,
        ramp=float(config.loss_params.get("ramp", 0.0)),
    )


def _predict_panel(
    config: RunConfig, run_dir: RunDir, model: nn.Module, test: Split, classes: Sequence[str]
) -> None:
    settings = {
        "n_classes": test.class_pixels.shape[1],
        "multiple": multiple_of(config),
        "precision": config.precision,
    }
    write_predictions(
        run_dir, test, classes, lambda images: predict_split(model, images, **settings)
    )
