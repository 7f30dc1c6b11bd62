"""What is known of a data set before the first run: its facts for study.json, and for `--check`.

Among them the floor: what the best constant class scores. Knows nothing of arms, recipes beyond the
split, or runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from seglib.data.classes import implausible_classes
from seglib.data.findings import copies, suspicious
from seglib.data.folder import Folder
from seglib.data.store import Split, Store
from study.config import ConfigError
from study.execution.panel import N_SHEET, panel_indices
from study.record import ConstantFloor, DataFacts, Inspection, Sample
from study.record.data import Copies, Suspicious
from study.record.files import Scalar

Recipe = Mapping[str, Scalar]


def open_splits(store: Store, recipe: Recipe) -> dict[str, Split]:
    """The fit, dev and test images under this recipe."""
    seed, share = recipe["split_seed"], recipe["dev_share"]
    assert isinstance(seed, int) and isinstance(share, (int, float))  # RunConfig's rules
    fit, dev = store.development(split_seed=seed, dev_share=share)
    return {"fit": fit, "dev": dev, "test": store.test()}


def describe_data(store: Store, folder: Folder, recipe: Recipe) -> DataFacts:
    """Sizes, class frequencies, the floor, and what the user should know.

    Raises: ConfigError when nothing can be learnt or scored.
    """
    splits = open_splits(store, recipe)
    _check_masks(store, folder, splits)
    notes = (
        _split_notes(store, folder, recipe, splits)
        + _findings(splits)
        + _file_notes(folder, splits)
    )
    return _facts(store, folder, splits, notes)


def inspect_data(store: Store, folder: Folder, recipe: Recipe) -> tuple[Inspection, list[Sample]]:
    """What `--check` shows: the facts with every finding, and the images of its sheet.

    The sheet holds up to 8 images a split that together show all classes, then up to 8 suspicious
    ones.
    """
    splits = open_splits(store, recipe)
    _check_masks(store, folder, splits)
    notes = _split_notes(store, folder, recipe, splits) + _file_notes(folder, splits)
    odd = [Suspicious(**row._asdict()) for row in suspicious(splits)]
    inspection = Inspection(
        **dict(_facts(store, folder, splits, notes)),
        suspicious=tuple(odd),
        duplicates=tuple(Copies(**row._asdict()) for row in copies(splits)),
        size_px={
            name: (*split.sizes.min(0).tolist(), *split.sizes.max(0).tolist())
            for name, split in splits.items()
        },
        groups=folder.groups
        and {name: dict(Counter(split.groups)) for name, split in splits.items()},
    )
    return inspection, _sheet(splits, odd)


def _sheet(splits: Mapping[str, Split], odd: Sequence[Suspicious]) -> list[Sample]:
    chosen = [(name, i) for name, split in splits.items() for i in panel_indices(split, N_SHEET)]
    chosen += [(row.split, splits[row.split].names.index(row.name)) for row in odd[:8]]
    return [
        Sample(name, splits[name].names[i], *splits[name][i], splits[name].suspicious[i])
        for name, i in dict.fromkeys(chosen)
    ]


def _check_masks(store: Store, folder: Folder, splits: Mapping[str, Split]) -> None:
    """There must be something to learn and something to score."""
    totals = splits["fit"].class_pixels.sum(0)
    if (totals > 0).sum() < 2:
        only = store.classes[int(totals.argmax())]
        raise ConfigError(
            f"the fit masks of {folder.name} must show at least 2 classes, got only "
            f"{only}; 255 is void and never scored, so a 0/255 mask must become 0/1"
        )
    for name in ("dev", "test"):
        if not splits[name].class_pixels.any():
            raise ConfigError(
                f"the {name} masks of {folder.name} must show a class, got only void "
                "(255), which is never scored"
            )


def _split_notes(
    store: Store, folder: Folder, recipe: Recipe, splits: Mapping[str, Split]
) -> tuple[str, ...]:
    """What the user should know of lists, classes and groups, a line each."""
    fit, dev, test = splits.values()
    notes = []
    if fit.groups and test.groups and (both := {*fit.groups, *(dev.groups or ())} & {*test.groups}):
        notes.append(f"test not independent of train: group {', '.join(sorted(both)[:3])} in both")
    if absent := _absent(store, fit):
        notes.append(
            f"no fit image shows {', '.join(absent)}: nothing to learn from, and class "
            "weight 0 where classes are weighted"
        )
    if absent := _absent(store, test):
        notes.append(f"not in test: {', '.join(absent)}")
    if folder.dev is None:
        how = "whole groups" if folder.groups else "a label-stratified draw"
        notes.append(f"dev is cut from train.txt by {how}, split_seed {recipe['split_seed']}")
    return tuple(notes)


def _file_notes(folder: Folder, splits: Mapping[str, Split]) -> tuple[str, ...]:
    """How lists and classes were read, what is odd or missing in a folder of the user's own."""
    totals = sum(split.class_pixels.sum(0) for split in splits.values())
    notes = [*folder.notes, *implausible_classes(folder.classes, totals)]
    if folder.year is None and folder.groups is None and folder.dev is None:
        notes.append(
            "no groups.txt: if the images are frames of videos, neighbours may be in fit and dev"
        )
    return tuple(notes)


def _absent(store: Store, split: Split) -> list[str]:
    """The classes that no mask of a split shows."""
    totals = split.class_pixels.sum(0)
    return [name for name, n in zip(store.classes, totals, strict=True) if n == 0]


def _findings(splits: Mapping[str, Split]) -> tuple[str, ...]:
    """Copies across splits and suspicious masks, a line each; `--check` shows them all."""
    notes = []
    if leaks := [found.images for found in copies(splits) if found.across]:
        notes.append(
            f"images that stand in more than one split under different names: "
            f"{len(leaks)}, e.g. {leaks[0][0]} = {leaks[0][-1]}"
        )
    if odd := suspicious(splits):
        notes.append(
            f"masks that look suspicious: {len(odd)}, e.g. {odd[0].split}/"
            f"{odd[0].name}: {odd[0].what}"
        )
    return tuple(notes)


def _facts(
    store: Store, folder: Folder, splits: Mapping[str, Split], notes: tuple[str, ...]
) -> DataFacts:
    test = splits["test"]
    return DataFacts(
        name=folder.name,
        path=str(folder.root.resolve()),
        fingerprint=store.fingerprint,
        classes=store.classes,
        background=folder.has_background,
        max_side=store.max_side,
        n_images={name: len(split) for name, split in splits.items()},
        pixel_share={name: tuple(split.pixel_share.tolist()) for name, split in splits.items()},
        image_share={name: tuple(split.image_share.tolist()) for name, split in splits.items()},
        void_share={name: split.void_share for name, split in splits.items()},
        test_groups=dict(zip(test.names, test.groups, strict=True)) if test.groups else None,
        constant_floor=_floor(store, test),
        notes=notes,
    )


def _floor(store: Store, test: Split) -> ConstantFloor:
    """Predicting one class everywhere: its IoU is its share, that of the others present is 0."""
    totals = test.class_pixels.sum(0)
    ious = totals / max(1, totals.sum()) / max(1, (totals > 0).sum())
    best = int(ious.argmax())
    return ConstantFloor(name=store.classes[best], test_miou=float(ious[best]))
