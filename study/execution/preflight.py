"""Everything that can be known to fail before the first epoch.

Knows nothing of the command line; what describes data is `study.describe`, what forecasts is
`study.execution.forecast`.
"""

from __future__ import annotations

import math
import shutil
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from seglib.data.build import build_store, picture_size
from seglib.data.folder import Folder
from seglib.data.integrity import check_sources, damaged
from seglib.data.store import Store, store_path
from seglib.models import (
    MODELS,
    Weights,
    build_model,
    check_logits,
    load_encoder,
    model_spec,
    resolve_weights,
)
from seglib.predict import fast_precision
from study.config import FIELDS, RECIPE, ConfigError, RunConfig
from study.execution.drift import drift
from study.execution.executor import Job
from study.execution.parts import multiple_of, n_parameters
from study.presets import Preset
from study.record import RunDir
from study.record.files import Scalar
from study.study import StudyError

Progress = Callable[[int, int], None]


def resolve_device(name: str) -> str:
    """`auto` -> cuda where there is one; anything else must exist."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}")
    n_gpus = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= n_gpus:
        raise ConfigError(f"device {name} must be one of the {n_gpus} GPUs here; use --device cpu")
    return name


def resolve_recipe(preset: Preset, given: Mapping[str, Scalar], device: str) -> dict[str, Scalar]:
    """Every recipe field: what was given, else the preset's, else RunConfig's default."""
    defaults = {name: typing.cast(Scalar, FIELDS[name].default) for name in RECIPE}
    recipe = defaults | dict(preset.recipe) | dict(given)
    if "precision" not in given:
        recipe["precision"] = fast_precision(device)
    return recipe


def prepare_store(
    folder: Folder,
    out: Path,
    max_side: int | None,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Store:
    """The decoded store, whole and of these files as they are now.

    One that is there is read and compared with what was written, and so are the images and masks
    (NOTES.md: 1.7 s for 3,000). A damaged store is made again, and `note` told. Made only if the
    disk has room for it.
    """
    root = out / "store"
    path = store_path(folder, root, max_side=max_side)
    there = path.exists()
    if there and (file := damaged(path)):
        note(f"{file} was damaged on disk: decoding again")
        shutil.rmtree(path)  # a run that has it open keeps what it mapped
        there = False
    if not there:
        paths = [folder.image_path(name) for name in folder.development + folder.test]
        check_disk(out, sum(_stored_bytes(path, max_side) for path in paths), "the decoded images")
    store = build_store(folder, root, max_side=max_side, progress=progress)
    if there:
        check_sources(store, folder, progress)
    return store


def _stored_bytes(path: Path, max_side: int | None) -> float:
    """Bytes of an image and its mask once decoded, from the size in the file's header."""
    width, height = picture_size(path)
    shrink = min(1.0, (max_side or math.inf) / max(width, height, 1))
    return 4 * width * height * shrink**2


def check_room(out: Path, configs: Sequence[RunConfig], n_classes: int, n_workers: int) -> None:
    """Room for the weights that every run leaves and the checkpoints of those under way.

    A checkpoint is four times the weights (with AdamW's two moments and the best epoch's), and
    there are three while one is written.
    """
    sizes = sorted(n_parameters(config, n_classes) * 4 for config in configs)
    check_disk(out, sum(sizes) + 12 * sum(sizes[-n_workers:]), f"{len(configs)} runs")


def check_drift(what: str, jobs: Sequence[Job], remedy: str) -> None:
    """No half-done run may have been begun with other libraries, another format or identity."""
    by_change: dict[str, list[str]] = {}
    for job in jobs:
        if changes := drift(job.config, RunDir(job.path)):
            by_change.setdefault(", ".join(changes), []).append(f"{job.name} ({job.path.name})")
    if by_change:
        text = "; ".join(f"{change}: {', '.join(names)}" for change, names in by_change.items())
        raise StudyError(
            f"{what} has half-done runs that cannot be continued, begun with {text}; "
            f"use {remedy}, or move their folders out of {jobs[0].path.parent} to "
            "begin them anew"
        )


def check_disk(folder: Path, n_bytes: float, what: str) -> None:
    """Raise OSError unless `folder`'s disk has room for `n_bytes` more."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{folder} must have {n_bytes / 1e9:.1f} GB free for {what}, got {free / 1e9:.1f} GB"
        )


def check_crops(configs: Iterable[RunConfig], n_classes: int) -> None:
    """Each crop must be a multiple of what its model needs; a model of others must work."""
    tried: set[str] = set()
    for config in configs:
        multiple = multiple_of(config)
        if config.crop_px % multiple == 0 and config.model not in (*MODELS, *tried):
            check_logits(
                config.model,
                model_spec(config.model),
                n_classes=config.n_outputs(n_classes),
                crop_px=config.crop_px,
            )
            tried.add(config.model)
        if config.crop_px % multiple:
            raise ConfigError(
                f"crop_px must be a multiple of {multiple} for {config.model}, got "
                f"{config.crop_px}; use --set crop_px="
                f"{max(multiple, config.crop_px // multiple * multiple)}"
            )


def check_background(folder: Folder, *settings: Mapping[str, object]) -> None:
    """Settings that speak of the background need data that has one."""
    given = {name: value for mapping in settings for name, value in mapping.items()}
    if folder.has_background:
        return
    for name, neutral in (("background_multiplier", 1.0), ("loss.background", "in")):
        if given.get(name, neutral) != neutral:
            raise ConfigError(
                f"{name} must be {neutral} for {folder.name}, got {given[name]}: its "
                f"first class is {folder.classes[0]}, not background"
            )


def prepare_weights(source: str, config: RunConfig) -> Weights:
    """The pretrained weights file of a run, its hash known and its fit to the encoder checked."""
    weights = resolve_weights(source, encoder=config.classifier)
    with torch.random.fork_rng(devices=[]):
        model = build_model(config.model, n_classes=2, **config.options)
    encoder = model.get_submodule(model_spec(config.model).encoder)
    load_encoder(encoder, weights.path, sha256=weights.sha256)
    return weights
