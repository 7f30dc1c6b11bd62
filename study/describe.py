"""What is known of a data set before the first run: its facts for study.json, and for `--check`.

Among them the floor: what the best constant class scores. Knows nothing of arms, recipes beyond the
split, or runs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from seglib.data.classes import implausible_classes
from seglib.data.compare import reduced
from seglib.data.findings import copies, suspicious, twins
from seglib.data.folder import Folder
from seglib.data.store import Split, Store
from study.config import ConfigError
from study.execution.panel import N_SHEET, panel_indices
from study.notes import Recipe, absent, dev_wanted, split_notes, zero_255
from study.record import ConstantFloor, DataFacts, Inspection, Sample, findings
from study.record.data import Copies, Reduced, Suspicious, Twins


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
    masks, same, near = _found(splits)
    told = [one.line for one in findings(masks, [c for c in same if c.across], near)]
    notes = split_notes(store, folder, recipe, splits) + tuple(told)
    notes += _file_notes(folder, splits, near)
    return _facts(store, folder, recipe, splits, notes)


def inspect_data(store: Store, folder: Folder, recipe: Recipe) -> tuple[Inspection, list[Sample]]:
    """What `--check` shows: the facts with every finding, and the images of its sheet.

    The sheet holds up to 8 images a split that together show all classes, then up to 8 suspicious
    ones.
    """
    splits = open_splits(store, recipe)
    _check_masks(store, folder, splits)
    masks, same, near = _found(splits)
    notes = split_notes(store, folder, recipe, splits) + _file_notes(folder, splits, near)
    inspection = Inspection(
        **dict(_facts(store, folder, recipe, splits, notes)),
        suspicious=tuple(masks),
        duplicates=tuple(same),
        twins=tuple(near),
        size_px={
            name: (*split.sizes.min(0).tolist(), *split.sizes.max(0).tolist())
            for name, split in splits.items()
        },
        groups=folder.groups
        and {name: dict(Counter(split.groups)) for name, split in splits.items()},
    )
    return inspection, _sheet(splits, masks)


def _found(splits: Mapping[str, Split]) -> tuple[list[Suspicious], list[Copies], list[Twins]]:
    """Masks that look wrong, images that stand twice, images that look alike."""
    return (
        [Suspicious(**row._asdict()) for row in suspicious(splits)],
        [Copies(**row._asdict()) for row in copies(splits)],
        [Twins(**row._asdict()) for row in twins(splits)],
    )


def _sheet(splits: Mapping[str, Split], odd: Sequence[Suspicious]) -> list[Sample]:
    chosen = [(name, i) for name, split in splits.items() for i in panel_indices(split, N_SHEET)]
    chosen += [(row.split, splits[row.split].names.index(row.name)) for row in odd[:8]]
    return [
        Sample(name, splits[name].names[i], *splits[name][i], splits[name].suspicious[i])
        for name, i in dict.fromkeys(chosen)
    ]


def _check_masks(store: Store, folder: Folder, splits: Mapping[str, Split]) -> None:
    """There must be something to learn and something to score."""
    fit = splits["fit"]
    shown = [name for name in store.classes if name not in absent(store, fit)]
    if len(shown) < 2:
        raise ConfigError(
            f"the fit masks of {folder.name} must show at least 2 classes, got only "
            f"{shown[0] if shown else 'void (255)'}; {_why_few(store, fit)}"
        )
    for name in ("dev", "test"):
        if not splits[name].class_pixels.any():
            raise ConfigError(
                f"the {name} masks of {folder.name} must show a class, got only void "
                "(255), which is never scored"
            )
        zero = zero_255(splits[name])
        if zero and not splits[name].class_pixels[:, 1:].any():
            raise ConfigError(
                f"the {name} masks of {folder.name} must show more than {store.classes[0]}, got "
                f"{len(zero)} 0/255 masks, e.g. {zero[0]}; 255 is void and never scored, so they "
                "must become 0/1"
            )


def _why_few(store: Store, fit: Split) -> str:
    """The cause found of fit masks that show fewer than 2 classes, and what to do."""
    before = fit.whole_pixels[:, :-1]
    lost = (before.sum(0) > 0) & (fit.class_pixels.sum(0) == 0)
    if names := [name for name, gone in zip(store.classes, lost, strict=True) if gone]:
        n_masks = int((before[:, lost] > 0).any(1).sum())
        return (
            f"reducing the images to max_side={store.max_side} removes {', '.join(names[:3])} "
            f"from all {n_masks} masks that show it; use --set max_side=none or a larger one"
        )
    if zero := zero_255(fit):
        return (
            f"{len(zero)} of {len(fit)} are 0/255 masks, e.g. {zero[0]}; 255 is void and never "
            "scored, so they must become 0/1"
        )
    return (
        f"none of its {len(fit)} masks holds a second label; check that masks hold class ids and "
        "that train.txt names images of every class"
    )


def _file_notes(
    folder: Folder, splits: Mapping[str, Split], near: Sequence[Twins]
) -> tuple[str, ...]:
    """How lists and classes were read, what is odd or missing in a folder of the user's own."""
    totals = sum(split.whole_pixels[:, :-1].sum(0) for split in splits.values())
    given = os.path.lexists(folder.root / "classes.txt")
    notes = [*folder.notes, *implausible_classes(folder.classes, totals, given=given)]
    told = any(one.image.startswith("dev/") for one in near)  # that groups.txt is needed
    if folder.year is None and folder.groups is None and folder.dev is None and not told:
        notes.append(
            "no groups.txt: if the images are frames of videos, neighbours may be in fit and dev"
        )
    return tuple(notes)


def _facts(
    store: Store,
    folder: Folder,
    recipe: Recipe,
    splits: Mapping[str, Split],
    notes: tuple[str, ...],
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
        dev_wanted=None if folder.dev is not None else dev_wanted(recipe, splits),
        reduced=tuple(Reduced(**row._asdict()) for row in reduced(splits, store.classes)),
    )


def _floor(store: Store, test: Split) -> ConstantFloor:
    """Predicting one class everywhere: its IoU is its share, that of the others present is 0."""
    totals = test.class_pixels.sum(0)
    ious = totals / max(1, totals.sum()) / max(1, (totals > 0).sum())
    best = int(ious.argmax())
    return ConstantFloor(name=store.classes[best], test_miou=float(ious[best]))
