"""Everything that can be known to fail before the first epoch; the forecast of time and disk."""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from seglib.data.build import build_store
from seglib.data.findings import copies, suspicious
from seglib.data.folder import Folder
from seglib.data.integrity import check_sources, damaged
from seglib.data.store import Split, Store, store_path
from seglib.models import (
    Weights,
    build_model,
    check_logits,
    is_own,
    load_encoder,
    model_spec,
    resolve_weights,
)
from seglib.predict import fast_precision, predict
from seglib.train import gradients, make_optimizer
from study.config import RECIPE, ConfigError, RunConfig
from study.execution.executor import Job
from study.execution.run import (
    N_SHEET,
    build_network,
    drift,
    initial_model,
    panel_indices,
    training_parts,
)
from study.presets import Preset
from study.record.rundir import RunDir, write_npz
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


def resolve_recipe(preset: Preset, given: Mapping[str, object], device: str) -> dict[str, object]:
    """Every recipe field: what was given, else the preset's, else RunConfig's default."""
    defaults = {name: spec.default for name, spec in RunConfig.__dataclass_fields__.items()}
    recipe = {name: given.get(name, preset.recipe.get(name, defaults[name])) for name in RECIPE}
    if "precision" not in given:
        recipe["precision"] = fast_precision(device)
    return recipe


def open_splits(store: Store, recipe: Mapping[str, object]) -> dict[str, Split]:
    """The fit, dev and test images under this recipe."""
    fit, dev = store.development(split_seed=recipe["split_seed"], dev_share=recipe["dev_share"])
    return {"fit": fit, "dev": dev, "test": store.test()}


def _findings(splits: Mapping[str, Split]) -> list[str]:
    """Copies across splits and suspicious masks, a line each; `--check` shows them all."""
    notes = []
    if leaks := [found["images"] for found in copies(splits) if found["across"]]:
        notes.append(
            f"images that stand in more than one split under different names: "
            f"{len(leaks)}, e.g. {leaks[0][0]} = {leaks[0][-1]}"
        )
    if odd := suspicious(splits):
        notes.append(
            f"masks that look suspicious: {len(odd)}, e.g. {odd[0]['split']}/"
            f"{odd[0]['name']}: {odd[0]['what']}"
        )
    return notes


def inspect_data(store: Store, folder: Folder, recipe: Mapping[str, object]) -> tuple[dict, list]:
    """What `--check` shows: `describe_data` with every finding, and the images of its sheet.

    The sheet holds up to 8 images a split that together show all classes, then up to 8 suspicious
    ones: (split, name, image, mask, what is suspicious).
    """
    splits = open_splits(store, recipe)
    odd, facts = suspicious(splits), describe_data(store, folder, recipe)
    shown_whole = _findings(splits)
    facts |= {
        "notes": [note for note in facts["notes"] if note not in shown_whole],
        "suspicious": odd,
        "duplicates": copies(splits),
        "size_px": {
            name: [*split.sizes.min(0).tolist(), *split.sizes.max(0).tolist()]
            for name, split in splits.items()
        },
        "groups": folder.groups
        and {name: dict(Counter(split.groups)) for name, split in splits.items()},
    }
    chosen = [(name, i) for name, split in splits.items() for i in panel_indices(split, N_SHEET)]
    more = [(row["split"], splits[row["split"]].names.index(row["name"])) for row in odd[:8]]
    sheet = [
        (name, splits[name].names[i], *splits[name][i], splits[name].suspicious[i])
        for name, i in dict.fromkeys(chosen + more)
    ]
    return facts, sheet


def describe_data(store: Store, folder: Folder, recipe: Mapping[str, object]) -> dict:
    """What study.json says of the data: sizes, class frequencies, the floor, warnings."""
    splits = open_splits(store, recipe)
    fit, dev, test = splits.values()
    totals = test.class_pixels.sum(0)
    present = totals > 0
    ious = np.where(present, totals / max(1, totals.sum()), 0) / max(1, present.sum())
    notes = []
    if (fit.class_pixels.sum(0) > 0).sum() < 2:
        only = store.classes[int(fit.class_pixels.sum(0).argmax())]
        raise ConfigError(
            f"the fit masks of {folder.name} must show at least 2 classes, got only "
            f"{only}; 255 is void and never scored, so a 0/255 mask must become 0/1"
        )
    for name, split in (("dev", dev), ("test", test)):
        if not split.class_pixels.any():
            raise ConfigError(
                f"the {name} masks of {folder.name} must show a class, got only void "
                "(255), which is never scored"
            )
    if fit.groups and test.groups and (both := set(fit.groups + dev.groups) & set(test.groups)):
        notes.append(f"test not independent of train: group {', '.join(sorted(both)[:3])} in both")
    empty = [c for c, n in zip(store.classes, fit.class_pixels.sum(0), strict=True) if n == 0]
    if empty:
        notes.append(
            f"no fit image shows {', '.join(empty)}: nothing to learn from, and class "
            "weight 0 where classes are weighted"
        )
    absent = [c for c, there in zip(store.classes, present, strict=True) if not there]
    if absent:
        notes.append(f"not in test: {', '.join(absent)}")
    if folder.dev is None:
        how = "whole groups" if folder.groups else "a label-stratified draw"
        notes.append(f"dev is cut from train.txt by {how}, split_seed {recipe['split_seed']}")
    notes += _findings(splits)
    own = folder.name not in ("voc2007", "voc2012")
    if own and not (folder.root / "classes.txt").exists():
        notes.append("no classes.txt: VOC's 21 class names are used")
    if own and folder.groups is None and folder.dev is None:
        notes.append(
            "no groups.txt: if the images are frames of videos, neighbours may be in fit and dev"
        )
    best = int(ious.argmax())
    return {
        "name": folder.name,
        "path": str(folder.root.resolve()),
        "fingerprint": store.fingerprint,
        "classes": list(store.classes),
        "background": folder.has_background,
        "max_side": store.max_side,
        "n_images": {name: len(split) for name, split in splits.items()},
        "pixel_share": {name: split.pixel_share.tolist() for name, split in splits.items()},
        "image_share": {name: split.image_share.tolist() for name, split in splits.items()},
        "void_share": {name: split.void_share for name, split in splits.items()},
        "test_groups": dict(zip(test.names, test.groups, strict=True)) if test.groups else None,
        "constant_floor": {"class": store.classes[best], "test_miou": float(ious[best])},
        "notes": notes,
    }


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
    path = store_path(folder, out / "store", max_side=max_side)
    there = path.exists()
    if there and (file := damaged(path)):
        note(f"{file} was damaged on disk: decoding again")
        shutil.rmtree(path)  # a run that has it open keeps what it mapped
        there = False
    if not there:
        paths = [folder.image_path(name) for name in folder.development + folder.test]
        check_disk(out, sum(_stored_bytes(path, max_side) for path in paths), "the decoded images")
    store = build_store(folder, out / "store", max_side=max_side, progress=progress)
    if there:
        check_sources(store, folder, progress)
    return store


def _stored_bytes(path: Path, max_side: int | None) -> float:
    """Bytes of an image and its mask once decoded, from the size in the file's header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0.0  # what is wrong with it is said when it is decoded
    shrink = min(1.0, (max_side or math.inf) / max(width, height))
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
            name = f"{job.arm} seed {job.config.seed} ({job.path.name})"
            by_change.setdefault(", ".join(changes), []).append(name)
    if by_change:
        text = "; ".join(f"{change}: {', '.join(names)}" for change, names in by_change.items())
        raise StudyError(
            f"{what} has half-done runs that cannot be continued, begun with {text}; "
            f"use {remedy}, or move their folders out of {jobs[0].path.parent} to "
            "begin them anew"
        )


def n_parameters(config: RunConfig, n_classes: int) -> int:
    """Number of weights of a run's network; nothing is allocated."""
    with torch.device("meta"):
        model = build_network(config, n_classes)
    return sum(p.numel() for p in model.parameters())


def check_disk(folder: Path, n_bytes: float, what: str) -> None:
    """Raise OSError unless `folder`'s disk has room for `n_bytes` more."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{folder} must have {n_bytes / 1e9:.1f} GB free for {what}, got {free / 1e9:.1f} GB"
        )


def check_crops(configs: Iterable[RunConfig]) -> None:
    """Each crop must be a multiple of what its model needs; a model of the user's must work."""
    checked: set[str] = set()
    for config in configs:
        spec = model_spec(config.model)
        if is_own(config.model) and config.model not in checked:
            check_logits(config.model, spec)
            checked.add(config.model)
        multiple = spec.multiple
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


def write_panel(store: Store, path: Path) -> None:
    """Images and masks of the prediction panel, once per study."""
    if path.exists():
        return
    test = store.test()
    indices = panel_indices(test)
    arrays = {"names": np.array([test.names[i] for i in indices])}
    for number, index in enumerate(indices):
        arrays[f"image_{number}"], arrays[f"mask_{number}"] = map(np.array, test[index])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_npz(path, arrays)


def measure_run(config: RunConfig, fit: Split, dev: Split, n_test: int) -> tuple[float, float]:
    """Forecast of one run from three timed training steps and one evaluated image.

    Returns: seconds for the whole run alone on its threads, and megabytes it leaves on disk.
    """
    torch.set_num_threads(config.threads)
    n_classes = fit.class_pixels.shape[1]
    model = initial_model(config, n_classes)
    loss, sampler, recipe = training_parts(config, fit)
    optimizer = make_optimizer(
        config.optimizer, model.parameters(), lr=1e-9, weight_decay=config.weight_decay
    )
    step_s = []
    for _, (images, masks) in zip(range(4), _repeat(sampler), strict=False):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        gradients(model, loss, images, masks, recipe)
        optimizer.step()
        if sampler.device.type == "cuda":
            torch.cuda.synchronize(sampler.device)
        step_s.append(time.perf_counter() - began)
    image = dev[len(dev) // 2][0][None]
    kwargs = {
        "n_classes": n_classes,
        "multiple": model_spec(config.model).multiple,
        "precision": config.precision,
    }
    predict(model, image, **kwargs)
    began = time.perf_counter()
    predict(model, image, **kwargs)
    image_s = time.perf_counter() - began
    n_evaluated = min(len(dev), config.dev_images) * len(recipe.evaluate_at) + n_test
    n_steps = config.epochs * len(sampler)
    n_weights = n_parameters(config, n_classes)
    seconds = n_steps * float(np.median(step_s[1:])) + n_evaluated * image_s + 3
    return seconds, n_weights * 4 / 1e6 + 1


def _repeat(sampler):
    epoch = 1
    while True:
        yield from sampler(epoch)
        epoch += 1
