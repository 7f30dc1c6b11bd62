"""What the user should know of the splits of a data set, a line each.

Knows nothing of single images and masks that look wrong: those are findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from seglib.data.compare import differences, reduced
from seglib.data.findings import ZERO_255, marked
from seglib.data.folder import Folder
from seglib.data.splits import n_wanted
from seglib.data.store import Split, Store
from study.record.files import Scalar

Recipe = Mapping[str, Scalar]


def zero_255(split: Split) -> list[str]:
    """The masks of a split in which 255 seems to stand for a class."""
    both = zip(split.names, marked(split, ZERO_255), strict=True)
    return [name for name, is_marked in both if is_marked]


def split_notes(
    store: Store, folder: Folder, recipe: Recipe, splits: Mapping[str, Split]
) -> tuple[str, ...]:
    """What the user should know of lists, classes and groups, a line each."""
    fit, dev, test = splits.values()
    nowhere = {  # of these, what no mask shows and what reducing removed are told
        name for name in store.classes if all(name in absent(store, s) for s in splits.values())
    }
    notes = []
    if fit.groups and test.groups and (both := {*fit.groups, *(dev.groups or ())} & {*test.groups}):
        notes.append(f"test not independent of train: group {', '.join(sorted(both)[:3])} in both")
    if lacking := [name for name in absent(store, fit) if name not in nowhere]:
        notes.append(
            f"no fit image shows {', '.join(lacking)}: nothing to learn from, and class "
            "weight 0 where classes are weighted"
        )
    if lacking := [name for name in absent(store, test) if name not in nowhere]:
        notes.append(f"not in test: {', '.join(lacking)}")
    if lacking := [name for name in absent(store, dev) if name not in absent(store, fit)]:
        notes.append(f"not in dev, which chooses the epoch: {', '.join(lacking)}")
    notes += differences(splits, store.classes)
    if lost := _lost(store, splits):
        notes.append(lost)
    if folder.dev is None:
        notes.append(_dev_note(folder, recipe, splits))
    return tuple(notes)


def _dev_note(folder: Folder, recipe: Recipe, splits: Mapping[str, Split]) -> str:
    """How dev was cut, and how near that came to what was wanted."""
    n_dev, wanted = len(splits["dev"]), dev_wanted(recipe, splits)
    n_images = n_dev + len(splits["fit"])
    how = "whole groups" if folder.groups else "a label-stratified draw"
    note = f"dev is cut from train.txt by {how}, split_seed {recipe['split_seed']}"
    if abs(n_dev - wanted) > max(1, 0.25 * wanted):
        sizes = Counter(folder.groups[name] for name in folder.development if folder.groups)
        of = ", ".join(str(n) for _, n in sizes.most_common(5)) + ", ..." * (len(sizes) > 5)
        note += (
            f": {n_dev} of {n_images} images, far from the {wanted} wanted (dev_share "
            f"{recipe['dev_share']})"
        )
        if sizes:
            note += (
                f", as the groups have {of} images; finer groups, --set dev_share, or val.txt "
                "and test.txt change that"
            )
    elif 1 in (n_dev, n_images - n_dev):
        note += (
            f": fit has {n_images - n_dev} and dev {n_dev} of its {n_images} images, which is few"
        )
    return note


def dev_wanted(recipe: Recipe, splits: Mapping[str, Split]) -> int:
    share = recipe["dev_share"]
    assert isinstance(share, (int, float))  # RunConfig's rule
    return n_wanted(len(splits["fit"]) + len(splits["dev"]), share)


def _lost(store: Store, splits: Mapping[str, Split]) -> str:
    """What reducing the images removes of the classes that it harms most, or ""."""
    harmed = [row for row in reduced(splits, store.classes) if row.notable]
    harmed.sort(key=lambda row: -row.n_lost / row.n_masks)
    parts = [
        f"{row.name} from {row.n_lost} of {row.n_masks} masks"
        + f" (share of pixels {row.share:.2%} to {row.share_kept:.2%})" * (row.share >= 1e-4)
        for row in harmed[:3]
    ]
    more = f", and of {len(harmed) - 3} more classes" if len(harmed) > 3 else ""
    if not harmed:
        return ""
    return (
        f"reducing the images to max_side={store.max_side} removes {'; '.join(parts)}{more}: "
        "--set max_side=none or a larger one keeps them"
    )


def absent(store: Store, split: Split) -> list[str]:
    """The classes that no mask of a split shows."""
    totals = split.class_pixels.sum(0)
    return [name for name, n in zip(store.classes, totals, strict=True) if n == 0]
