"""One run, from its start or from its checkpoint: data in, everything of the run in its directory.

Knows nothing of trackers, tuners or other runs. Runs inside a worker process.
"""

from __future__ import annotations

import platform
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
import torch
import torchvision
from PIL import Image
from torch import nn

from seglib.data.augment import AUGMENTATION_FIELDS, Augmentation, CropSampler
from seglib.data.shapes import voc_palette
from seglib.data.store import Split, Store, open_store
from seglib.losses import build_loss, class_weights, introduced_params, loss_spec
from seglib.metrics import CONTRACT, VOID, class_counts, iou, mean_iou, pixel_accuracy
from seglib.models import build_model, load_encoder, model_spec, own_source
from seglib.predict import Stopped, evaluate, predict
from seglib.train import EpochResult, NonFiniteLoss, Recipe, evaluation_epochs, fit
from study.config import FIELDS, RunConfig
from study.execution import checkpoint
from study.record.rundir import (
    JournalError,
    RunDir,
    atomic_write,
    disk_full,
    write_json,
    write_npz,
    write_weights,
)

WEIGHTS_STREAM = 3  # augment.py uses 1 and 2
N_PANEL, N_SHEET = 24, 8  # example images of a study; those of them drawn in panel.png
SCHEMA = 2  # of journal and checkpoint: raised when a half-done run of before cannot be continued

Emit = Callable[[dict], None]


class DriftError(ValueError):
    """A half-done run cannot be continued with this code or these libraries."""


def build_network(config: RunConfig, n_classes: int) -> nn.Module:
    """The network of a run, its weights from torch's global generator."""
    if config.model_source:  # the file may have changed since the driver looked
        own_source(config.model, expected=config.model_source)
    return build_model(config.model, n_classes=config.n_outputs(n_classes), **config.options)


def initial_model(config: RunConfig, n_classes: int) -> nn.Module:
    """The network with the weights it starts from: a function of network and seed, not of the loss.

    Scratch and pretrained networks of one model share every weight but the encoder's.
    """
    state = np.random.SeedSequence([config.seed, 0, WEIGHTS_STREAM]).generate_state(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state[0]))
        model = build_network(config, n_classes)
    if config.init == "pretrained":
        encoder = model.get_submodule(model_spec(config.model).encoder)
        load_encoder(encoder, Path(config.weights_path), sha256=config.weights)
    return model.to(config.device, memory_format=torch.channels_last)


def training_parts(config: RunConfig, fit_split: Split) -> tuple:
    """The loss, the sampler and the recipe of a run."""
    weights, pixels = None, fit_split.class_pixels
    n_real = pixels.shape[1]
    if config.train_void == "class":
        pixels = np.column_stack([pixels, fit_split.void_pixels])
    if loss_spec(config.loss).cross_entropy:
        weights = class_weights(
            pixels.sum(0) / max(1, pixels.sum()),
            exponent=config.class_weight_exponent,
            background_multiplier=config.background_multiplier,
        )
    loss = build_loss(
        config.loss, n_classes=pixels.shape[1], class_weights=weights, **config.loss_params
    )
    sampler = CropSampler(
        fit_split,
        Augmentation(**{name: getattr(config, name) for name in AUGMENTATION_FIELDS}),
        batch_size=config.batch_size,
        seed=config.seed,
        device=config.device,
        n_threads=config.loader_threads,
        void_label=n_real if config.train_void == "class" else VOID,
    )
    recipe = Recipe(
        n_epochs=config.epochs,
        lr=config.lr * config.lr_multiplier,
        weight_decay=config.weight_decay,
        optimizer=config.optimizer,
        schedule=config.schedule,
        warmup_frac=config.warmup_frac,
        precision=config.precision,
        accumulate=config.accumulate,
        evaluate_at=evaluation_epochs(config.epochs, config.n_evaluations),
    )
    return loss, sampler, recipe


def environment(config: RunConfig, commit: str) -> dict[str, object]:
    """Where a run was made; logged and compared by the report, never part of its identity."""
    device = torch.device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": config.device,
        "device_name": name,
        "threads": config.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "commit": commit,
    }


def drift(config: RunConfig, run_dir: RunDir) -> list[str]:
    """What has changed since a half-done run was last worked on, so that it cannot be continued.

    Returns: e.g. ["torch 2.14 (now 2.15)"]; empty for a run that may go on, or has no epoch yet.
    """
    if run_dir.state() == "finished" or not run_dir.epochs():
        return []
    start = next((row for row in reversed(run_dir.rows()) if row["event"] == "start"), None)
    about = start and start.get("environment")
    if not (isinstance(about, dict) and {"torch", "numpy"} <= set(about)):
        raise JournalError(
            f"{run_dir.journal} must say how the run started, with torch and numpy, "
            "got no such line; the file is damaged: move the run's folder away and "
            "run it again"
        )
    stored, wanted = run_dir.record()["config"], asdict(config)
    stored["loss_params"] = introduced_params(config.loss) | stored["loss_params"]

    def versions(row: dict, environment: dict) -> dict[str, object]:
        torch_ = ".".join(environment["torch"].split(".")[:2])
        return {
            "run format": row.get("schema", 1),
            "torch": torch_,
            "numpy": environment["numpy"].split(".")[0],
        }

    before = versions(start, start["environment"])
    now = versions({"schema": SCHEMA}, {"torch": torch.__version__, "numpy": np.__version__})
    for name, spec in FIELDS.items():
        if spec.metadata["identity"]:  # a field that is newer than the run had its first default
            before[name], now[name] = stored.get(name, spec.metadata["introduced"]), wanted[name]
    return [f"{name} {before[name]} (now {now[name]})" for name in now if before[name] != now[name]]


def scores(confusions: np.ndarray, classes: tuple[str, ...], prefix: str) -> dict[str, object]:
    """Dataset metrics of (n, C, C) confusions, `<prefix>/miou` and kin; None where undefined."""
    counts = class_counts(confusions)
    values = {
        f"{prefix}/miou": mean_iou(counts),
        f"{prefix}/pixel_accuracy": pixel_accuracy(counts),
    }
    per_class = iou(counts)
    if classes[0] == "background":
        values[f"{prefix}/miou_foreground"] = mean_iou(counts[:, 1:])
    values |= {f"{prefix}/iou/{c}": float(v) for c, v in zip(classes, per_class, strict=True)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


class _Run:
    """The state of one run while it is worked on."""

    def __init__(
        self, config: RunConfig, run_dir: RunDir, emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        self.config, self.dir, self.emit, self.should_stop = config, run_dir, emit, should_stop
        self.store: Store = open_store(Path(config.store))
        if self.store.fingerprint != config.data:
            raise ValueError(
                f"{config.store} must have fingerprint {config.data[:12]}, got "
                f"{self.store.fingerprint[:12]}; the data changed"
            )
        self.fit_split, dev = self.store.development(
            split_seed=config.split_seed, dev_share=config.dev_share
        )
        self.dev = dev
        if len(dev) > config.dev_images:
            rng = np.random.default_rng([config.split_seed, len(dev)])
            self.dev = dev.subset(np.sort(rng.permutation(len(dev))[: config.dev_images]))
        self.best: dict = {"epoch": 0, "miou": -1.0, "confusions": None, "weights": None}
        self.elapsed_s, self._began = 0.0, time.monotonic()
        self._sound = True  # last.pt, if any, can be used
        self.state = self._load_checkpoint()  # fit's, None to begin from nothing

    @property
    def duration_s(self) -> float:
        return self.elapsed_s + time.monotonic() - self._began

    def evaluate(self, model: nn.Module, split: Split, score_void: bool = False) -> np.ndarray:
        return evaluate(
            model,
            split,
            multiple=model_spec(self.config.model).multiple,
            precision=self.config.precision,
            should_stop=self.should_stop,
            score_void=score_void,
        )

    def log(self, event: str, **values: object) -> None:
        self.emit(self.dir.append(event, **values))

    @property
    def after_epoch(self) -> int:
        """The epoch that this attempt continues after; 0 for a start from nothing."""
        return self.state["epoch"] if self.state else 0

    def train(self, model: nn.Module) -> bool:
        """All epochs that are missing; False when it was told to stop."""
        loss, sampler, recipe = training_parts(self.config, self.fit_split)
        known = {row["epoch"] for row in self.dir.epochs()}
        saved_at, cost_s = time.monotonic(), 0.0
        epoch = self.after_epoch
        results = fit(
            model,
            loss,
            sampler,
            recipe,
            evaluate=lambda m: self.evaluate(m, self.dev),
            state=self.state,
            should_stop=self.should_stop,
        )
        for result in results:
            epoch = result.epoch
            self._note(result, model, known)
            wanted_s = self.config.checkpoint_s
            wanted_s = max(60.0, 50 * cost_s) if wanted_s is None else wanted_s
            if epoch == self.config.epochs or time.monotonic() - saved_at >= wanted_s:
                began = time.monotonic()
                self._save_checkpoint(result)
                saved_at = time.monotonic()
                cost_s = saved_at - began
        return epoch == self.config.epochs

    def _note(self, result: EpochResult, model: nn.Module, known: set[int]) -> None:
        metrics: dict[str, object] = {f"train/{k}": v for k, v in result.train.items()}
        if result.confusions is not None:
            metrics |= scores(result.confusions, self.store.classes, "dev")
            if metrics["dev/miou"] is None:
                raise ValueError("dev holds no valid pixel; choose another dev set")
            if metrics["dev/miou"] > self.best["miou"]:
                weights = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
                self.best = {
                    "epoch": result.epoch,
                    "miou": metrics["dev/miou"],
                    "confusions": torch.from_numpy(result.confusions),
                    "weights": weights,
                }
        metrics |= {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_percentage": psutil.virtual_memory().percent,
            "system/process_memory_megabytes": psutil.Process().memory_info().rss / 1e6,
        }
        if torch.device(self.config.device).type == "cuda":
            metrics["system/gpu_memory_megabytes"] = (
                torch.cuda.memory_allocated(self.config.device) / 1e6
            )
        if result.epoch in known:  # trained again after a resume: shown, but the first row stays
            self.emit({"event": "epoch", "epoch": result.epoch, "metrics": metrics})
        else:
            self.log("epoch", epoch=result.epoch, metrics=metrics)

    def _save_checkpoint(self, result: EpochResult) -> None:
        state = {
            "run_id": self.config.run_id,
            "fit": result.state(),
            "best": self.best,
            "elapsed_s": self.duration_s,
        }
        checkpoint.save(state, self.dir.last, self.dir.previous if self._sound else None)
        self._sound = True

    def _load_checkpoint(self) -> dict | None:
        """What `fit` continues from: the last checkpoint that is sound; what is not is named."""
        rejected, journaled = [], {row["epoch"] for row in self.dir.epochs()}
        for path in filter(Path.exists, (self.dir.last, self.dir.previous)):
            try:
                state = checkpoint.load(path)
                if state["run_id"] != self.config.run_id:
                    raise checkpoint.CheckpointError(f"it belongs to run {state['run_id']}")
                if set(range(1, state["fit"]["epoch"] + 1)) - journaled:
                    raise checkpoint.CheckpointError("the journal lacks epochs before it")
            except (checkpoint.CheckpointError, OSError) as error:
                rejected.append(f"checkpoint {path.name} is not used: {error}")
                self._sound = False
                continue
            self.best, self.elapsed_s, found = state["best"], state["elapsed_s"], state["fit"]
            break
        else:
            found = None
        if rejected:
            so = f"continued after epoch {found['epoch']}" if found else "begun again from nothing"
            self.log("note", text="; ".join([*rejected, so]))
        return found

    def finish(self, model: nn.Module) -> None:
        """Evaluate the best weights (a final run on test, once), store the results, close."""
        classes = self.store.classes
        dev = np.asarray(self.best["confusions"])
        arrays = {"dev": dev.astype(np.int32), "dev_names": np.array(self.dev.names)}
        metrics = scores(dev, classes, "dev")
        if self.config.role == "final":  # of a trial only the numbers are wanted
            write_weights(self.dir.best, self.best["weights"])
            model.load_state_dict(self.best["weights"])
            test = self.store.test()
            confusions = self.evaluate(model, test)
            metrics |= scores(confusions, classes, "test")
            if self.config.train_void == "class":
                counts = class_counts(self.evaluate(model, test, score_void=True))
                metrics["test/miou_void_scored"] = mean_iou(counts)
            arrays |= {"test": confusions.astype(np.int32), "test_names": np.array(test.names)}
            self._draw_panel(model, test)
        write_npz(self.dir.path / "confusion.npz", arrays)
        write_json(self.dir.path / "history.json", self.dir.epochs())
        unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        if torch.device(self.config.device).type == "cuda":
            memory_mb = torch.cuda.max_memory_allocated(self.config.device) / 2**20
        self.log(
            "finished",
            best_epoch=self.best["epoch"],
            duration_s=self.duration_s,
            peak_memory_mb=memory_mb,
            metrics=metrics,
            contract=CONTRACT,
        )
        self.dir.drop_checkpoints()

    def _draw_panel(self, model: nn.Module, test: Split) -> None:
        maps, rows = {}, []
        for number, index in enumerate(panel_indices(test)):
            image, mask = test[index]
            prediction = predict(
                model,
                image[None],
                n_classes=len(self.store.classes),
                multiple=model_spec(self.config.model).multiple,
                precision=self.config.precision,
            )[0]
            maps[f"prediction_{number}"] = prediction
            if number < N_SHEET:
                rows.append([image, colours(mask), colours(prediction)])
        write_npz(self.dir.path / "panel.npz", maps)
        height = max(row[0].shape[0] for row in rows)
        width = max(row[0].shape[1] for row in rows)
        sheet = Image.new("RGB", ((width + 4) * 3, (height + 4) * len(rows)), "white")
        for y, row in enumerate(rows):
            for x, picture in enumerate(row):
                sheet.paste(Image.fromarray(picture), (x * (width + 4), y * (height + 4)))
        atomic_write(self.dir.path / "panel.png", lambda part: sheet.save(part, format="PNG"))


def colours(labels: np.ndarray) -> np.ndarray:
    """Class ids (H, W) uint8 in VOC's colours, (H, W, 3) uint8."""
    return np.array(voc_palette(), np.uint8).reshape(256, 3)[labels]


def panel_indices(split: Split, n: int = N_PANEL) -> list[int]:
    """Images that together show all classes: rarest class first, the image with most of it.

    Round after round until there are `n`; the first images do not depend on `n`.
    """
    chosen: list[int] = []
    order = np.argsort(split.class_pixels.sum(0), kind="stable")
    rankings = np.argsort(-split.class_pixels, axis=0, kind="stable")
    for label in [*order] * n:
        best = next((int(i) for i in rankings[:, label] if int(i) not in chosen), None)
        if best is not None and split.class_pixels[best, label] and len(chosen) < n:
            chosen.append(best)
    return chosen


def run(
    config: RunConfig,
    run_dir: RunDir,
    *,
    arm: str,
    commit: str = "",
    emit: Emit = lambda row: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> str:
    """Do one run, or what is left of it; returns its state: finished, failed or dead (stopped).

    A failure is recorded in the journal with its reason and does not raise. On a full disk the row
    that `emit` gets may be all there is.
    Raises: DriftError, before anything is written, for a half-done run that no longer fits.
    """
    with run_dir.lock():
        if changes := drift(config, run_dir):
            raise DriftError(f"begun with {', '.join(changes)}; use --study NEWNAME for a new one")
        run_dir.clean()
        run_dir.create(config.record(arm))
        attempt = 1 + sum(row["event"] == "start" for row in run_dir.rows())
        try:
            torch.set_num_threads(config.threads)
            work = _Run(config, run_dir, emit, should_stop)
            model = initial_model(config, len(work.store.classes))
            work.log(
                "start",
                attempt=attempt,
                after_epoch=work.after_epoch,
                schema=SCHEMA,
                environment=environment(config, commit),
                n_parameters=sum(p.numel() for p in model.parameters()),
            )
            if not work.train(model):
                work.log("stopped")
                return "dead"
            work.finish(model)
            return "finished"
        except Stopped:
            emit(run_dir.append("stopped"))
            return "dead"
        except Exception as error:
            failure = {
                "error": reason(error, config),
                "traceback": traceback.format_exc(),
                "disk_full": disk_full(error),
            }
        try:
            emit(run_dir.append("failed", **failure))
        except OSError as error:  # no room even for that line
            emit({"event": "failed", "time": time.time(), **failure, "disk_full": disk_full(error)})
        return "failed"


def reason(error: Exception, config: RunConfig) -> str:
    """Why a run failed, in one line that says what to do where that is known."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, NonFiniteLoss):
        return f"run {config.run_id}: {text}"
    if disk_full(error):
        return "disk full: the run could not be written"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        called = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
        hint = config.less_memory()
        if "predict" in called:
            hint = "it was predicting whole images: try a smaller --set max_side in a new --study"
        return f"out of memory; {hint} ({text})"
    return f"{type(error).__name__}: {text}"
