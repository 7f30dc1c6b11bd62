"""Images and masks paired by name, and the lists that say which are meant."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from seglib.data.convert.folders import IMAGE_SUFFIXES, MASK_SUFFIXES, Place, bare_names
from seglib.data.convert.source import Item, as_split, few
from seglib.data.lists import DataError


def _common_tail(stems: list[str]) -> str:
    """The ending that all names share, from a separator on: `_seg0`; or ""."""
    tail = os.path.commonprefix([stem[::-1] for stem in stems])[::-1] if len(stems) > 1 else ""
    match = re.search(r"[_\-. ][A-Za-z].*$", tail)
    return match.group().lower() if match else ""


def _common_heads(stems: list[str]) -> list[str]:
    """The beginnings that all names share, each up to a separator or a number: `mask_`."""
    head = os.path.commonprefix(stems) if len(stems) > 1 else ""
    cuts = re.finditer(r"[_\-. ]|(?<=[A-Za-z])(?=\d|$)", head)
    return [h for cut in cuts if any(map(str.isalpha, h := head[: cut.end()]))]


def match(
    images: list[Place], masks: list[Place], listed: list[Place] | None = None
) -> list[tuple[Place, Place]]:
    """Each image with its one mask; of the images in lists alone, where there are lists.

    Raises: DataError naming what has none, or two.
    """
    wanted = set(images if listed is None else listed)
    tails = [_common_tail([p.file.stem for p in places]) for places in (masks, images)]
    mask_heads, image_heads = (_common_heads([p.file.stem for p in ps]) for ps in (masks, images))
    mask_suffixes = [*MASK_SUFFIXES, *filter(None, tails[:1])]
    image_suffixes = [*IMAGE_SUFFIXES, *filter(None, tails[1:])]
    by_key = _by_key(images, image_suffixes, image_heads)
    if not any(key in by_key for mask in masks for key in _keys(mask, mask_suffixes, mask_heads)):
        # folders that say nothing differ: annotations/trimaps beside images
        images, masks, wanted, back = _without_folders(images, masks, wanted)
        by_key = _by_key(images, image_suffixes, image_heads)
    else:
        back = {}
    found: dict[Place, Place] = {}
    orphans = []
    for mask in masks:
        its_image = next(
            (by_key[k] for k in _keys(mask, mask_suffixes, mask_heads) if k in by_key), None
        )
        if its_image is None:
            orphans.append(mask)
        elif (other := found.setdefault(its_image, mask)) is not mask and its_image in wanted:
            raise DataError(
                f"{its_image.file.path} must have one mask, got {other.file.path} and "
                f"{mask.file.path.name}; keep one"
            )
    missing = [p for p in images if p in wanted and p not in found]
    if missing or (orphans and listed is None):
        _unpaired(images, masks, missing, orphans)
    return [(back.get(p, p), found[p]) for p in images if p in wanted]


def _keys(mask: Place, suffixes: Sequence[str], heads: Sequence[str]) -> list[tuple[str, ...]]:
    return [
        mask.key(bare) for bare in (*bare_names(mask.file.stem, suffixes), *_beheaded(mask, heads))
    ]


def _beheaded(place: Place, heads: Sequence[str]) -> list[str]:
    return [stem for head in heads if (stem := place.file.stem.removeprefix(head))]


def _by_key(
    images: list[Place], suffixes: Sequence[str], heads: Sequence[str]
) -> dict[tuple[str, ...], Place]:
    """The image of each name, also without a suffix of images, or what all begin with."""
    by_key: dict[tuple[str, ...], Place] = {}
    for image in images:
        if (other := by_key.setdefault(image.key(image.file.stem), image)) is not image:
            raise DataError(
                f"{image.file.path.parent} must hold one image a name, got "
                f"{other.file.path.name} and {image.file.path.name}; keep one"
            )
    for image in images:
        bare_stems = bare_names(image.file.stem, suffixes)[1:]
        for bare in (*bare_stems, *_beheaded(image, heads)):
            by_key.setdefault(image.key(bare), image)
    return by_key


def _without_folders(
    images: list[Place], masks: list[Place], wanted: set[Place]
) -> tuple[list[Place], list[Place], set[Place], dict[Place, Place]]:
    """The same by split and name alone, and the way back; unchanged where names would meet."""
    if len({(p.split, p.file.stem) for p in images}) < len(images):
        return images, masks, wanted, {}
    bare = {p: replace(p, folders=()) for p in images}
    back = {new: old for old, new in bare.items()}
    return (
        list(back),
        [replace(p, folders=()) for p in masks],
        {bare[p] for p in wanted},
        back,
    )


def _unpaired(
    images: list[Place], masks: list[Place], missing: list[Place], orphans: list[Place]
) -> None:
    def shown(places: list[Place]) -> str:
        return few(["/".join((*p.file.folders, p.file.path.name)) for p in places])

    if missing:
        got = f"{len(missing)} of {len(images)} without: {shown(missing)}"
        if orphans:
            got += f"; of {len(masks)} masks {len(orphans)} fit no image: {shown(orphans)}"
    else:
        got = f"{len(orphans)} of {len(masks)} masks without an image: {shown(orphans)}"
    raise DataError(
        f"each image must have a mask of its name (a suffix such as {', '.join(MASK_SUFFIXES[:4])} "
        f"may follow, or all begin alike, as with mask_), got {got}; add them, or leave these out "
        "of the folder"
    )


def with_lists(
    images: list[Place], lists: dict[str, list[str]]
) -> tuple[list[Place], dict[Place, str], list[str]]:
    """The images that lists name, the split of each ("" where no list is train, val or test).

    Args:
        lists: name of a list -> its lines.
    Returns: images, splits, notes.
    Raises: DataError naming a line that fits no image, or an image in two lists.
    """
    by_name: dict[str, list[Place]] = {}
    for image in images:
        for name in {image.path_name, image.file.stem}:
            by_name.setdefault(name, []).append(image)
    splits: dict[Place, str] = {}
    listed_in: dict[Place, str] = {}
    for title, lines in sorted(lists.items(), key=lambda item: not as_split(item[0])):
        for line in lines:
            image = _listed(title, line, by_name)
            split = as_split(title)
            if split and listed_in.setdefault(image, title) != title:
                raise DataError(
                    f"{title}.txt and {listed_in[image]}.txt must not share images, got {line} in "
                    "both; leave it in one"
                )
            splits.setdefault(image, split)
    titles = set(map(as_split, lists))
    rest = [p for p in images if p not in splits]
    if rest and not titles & {"train", ""}:
        splits |= dict.fromkeys(rest, "train")
        return images, splits, [f"train: the {len(rest)} images that {', '.join(lists)} leave"]
    if any(splits.values()) and (loose := [p.file.stem for p, s in splits.items() if not s]):
        raise DataError(
            "each image must stand in a list train, val or test, got "
            f"{few(loose)} only in others ({', '.join(lists)}); rename the lists, or leave "
            "one kind"
        )
    notes = [f"left out: {len(rest)} images that no list names"] if rest else []
    return [p for p in images if p in splits], splits, notes


def _listed(title: str, line: str, by_name: dict[str, list[Place]]) -> Place:
    """The image of a line: a path or a name, with a suffix or without; its mask may follow."""
    for text in (line, line.split()[0]):
        stem, suffix = os.path.splitext(text)
        path = stem if suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".tif") else text
        for name in (path.strip("/"), path.rsplit("/", 1)[-1]):
            if len(found := by_name.get(name, [])) == 1:
                return found[0]
    raise DataError(
        f"{title}.txt must name images of the source, got {line[:100]!r}; mend the list"
    )


def items(pairs: list[tuple[Place, Place]], splits: dict[Place, str]) -> list[Item]:
    """Names that are all different: the stem, else with the folders before it."""
    plain = [image.file.stem for image, _ in pairs]
    whole = ["_".join(filter(None, image.key(image.file.stem))) for image, _ in pairs]
    names = plain if len(set(plain)) == len(plain) else whole
    return [
        Item(safe(name), image.file.path, mask.file.path, splits.get(image, image.split))
        for name, (image, mask) in zip(names, pairs, strict=True)
    ]


def safe(name: str) -> str:
    """A name that a list can hold: printable, no folder, not hidden."""
    printable = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name.strip())
    return re.sub(r"^\.+", "_", printable) or "_"
