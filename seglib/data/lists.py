"""The lists of a data set: which image is in which split, and in which group; read and checked."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from seglib.data.plain import DataError, oddity, read_lines, shown

__all__ = [
    "PICTURES",
    "SUFFIXES",
    "DataError",
    "form",
    "key",
    "read_groups",
    "read_lists",
]

SUFFIXES = (".jpg", ".png", ".jpeg")  # of images that are read
PICTURES = (*SUFFIXES, ".bmp", ".tif", ".tiff", ".webp", ".gif")  # those that say what a file is
SPLITS = ("train", "val", "test")
LAYOUT = "ImageSets/Segmentation"
OTHER_WORDS = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}


def form(name: str) -> str:
    """The name in composed letters: how one name is written in each of Unicode's forms."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def key(name: str) -> str:
    """What all ways to write one image's name share: composed letters, no suffix of a picture."""
    return _bare(form(name), PICTURES)


def _bare(name: str, suffixes: tuple[str, ...]) -> str:
    """`a.jpg.png` -> `a`."""
    while (parts := os.path.splitext(name))[1].lower() in suffixes:
        name = parts[0]
    return name


def read_lists(root: Path) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The names in train, val and test as far as there are lists, and notes on them.

    An empty val.txt or test.txt beside a filled one is taken as absent, with a note.
    Raises: DataError; among others when two lists share an image.
    """
    folder = root / LAYOUT
    found = {path.name: path for path in sorted(folder.glob("*.txt"))}
    if "train.txt" in found and (renames := _renames(folder)):
        raise DataError(f"{folder} must call its lists train, val and test.txt; {renames}")
    lists = {split: _names(found[f"{split}.txt"]) for split in SPLITS if f"{split}.txt" in found}
    empty = [split for split, names in lists.items() if not names]
    filled = {split: names for split, names in lists.items() if names}
    notes: tuple[str, ...] = ()
    if len(filled) == 2 and "train" in filled and empty:
        other = next(split for split in filled if split != "train")
        notes = (f"{empty[0]}.txt is empty and taken as absent: {other} is the test",)
    elif empty:
        what = "the images to train on" if empty[0] == "train" else "the images to test on"
        raise DataError(
            f"{folder / empty[0]}.txt must name at least 2 images, one a line, got an empty list; "
            f"write {what} into it"
        )
    if "train" not in filled or len(filled) < 2:
        raise DataError(
            f"{folder} must hold train.txt with val.txt, test.txt or both, {_instead(root)}"
        )
    for split, (first, *others) in filled.items():
        if not others:
            words = len(re.split(r"[\s,;]+", first))
            line = (
                f" line of {words} words; write one name a line"
                if words > 1
                else f": {first}; move others there"
            )
            raise DataError(
                f"{folder / split}.txt must name at least 2 images, one a line, got 1{line}"
            )
    _check_shared(folder, filled)
    return filled, notes


def _check_shared(folder: Path, lists: dict[str, tuple[str, ...]]) -> None:
    for left, right in (("train", "val"), ("train", "test"), ("val", "test")):
        known = {form(name) for name in lists.get(left, ())}
        both = sorted(name for name in lists.get(right, ()) if form(name) in known)
        if both:
            raise DataError(
                f"{folder / left}.txt and {right}.txt must not share images, got {len(both)} in "
                f"both: {', '.join(both[:3])}"
            )


def _instead(root: Path) -> str:
    """What there is where lists are missing, and what to do."""
    folder = root / LAYOUT
    if os.path.lexists(folder) and not folder.is_dir():
        return f"got {oddity(folder) or 'a file'} of that name"
    there = sorted(shown(entry.name) for entry in folder.iterdir()) if folder.is_dir() else []
    got = f"got {', '.join(there[:6])}" if there else "got nothing"
    if renames := _renames(folder):
        return f"{got}; {renames}"
    for place in ("ImageSets/Main", "ImageSets", "."):
        if lists := sorted(p.name for p in (root / place).glob("*.txt") if p.stem in SPLITS):
            where = "the folder itself" if place == "." else place
            return f"{got}; {', '.join(lists)} lie in {where}: copy them there"
    return f"{got}; write them, one image a line without suffix"


def _renames(folder: Path) -> str:
    """What to do with lists of other names that would be left unread, or ""."""
    there = sorted(shown(entry.name) for entry in folder.iterdir()) if folder.is_dir() else []
    renames = []
    for name in there:
        bare = re.sub(r"(\.txt)+$", "", name.lower())
        stem = OTHER_WORDS.get(bare, bare)
        if stem in SPLITS and f"{stem}.txt" not in there and (folder / name).is_file():
            renames.append(f"{name} to {stem}.txt")
    return f"rename {', '.join(renames)}" if renames else ""


def _names(path: Path) -> tuple[str, ...]:
    """The image names of a list: without suffix, or as paths into JPEGImages."""
    seen: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        name = _bare(_without_folder(line), SUFFIXES)
        if "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
            raise DataError(
                f"{path} must hold plain image names without folders, got {line[:100]!r} on line "
                f"{number}; write <name>, or JPEGImages/<name>.jpg SegmentationClass/<name>.png"
            )
        if twin := seen.get(form(name)):
            forms = "" if twin == name else f", as {ascii(twin)} and {ascii(name)}"
            raise DataError(f"{path} names {name} twice{forms}; each image may stand once")
        seen[form(name)] = name
    return tuple(seen.values())


def _without_folder(line: str) -> str:
    """`x.jpg` of `.../JPEGImages/x.jpg`, also where `.../SegmentationClass/x.png` follows; other
    lines as they are."""
    pair = r"(\S*JPEGImages/[^/\\]+?)(?:[\s,]+(\S*SegmentationClass/[^/\\]+))?"
    match = re.fullmatch(pair, line) if len(line) < 1000 else None
    if not match:
        return line
    image, mask = PurePosixPath(match[1]), PurePosixPath(match[2] or "SegmentationClass/")
    folders = image.parent.name, (mask.parent if match[2] else mask).name
    same = ".." not in line and (not match[2] or key(image.name) == key(mask.name))
    return image.name if same and folders == ("JPEGImages", "SegmentationClass") else line


def read_groups(path: Path, names: tuple[str, ...]) -> dict[str, str] | None:
    """Image name -> group; every listed image must have one."""
    if not os.path.lexists(path):
        return None
    groups: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        words, _, group = line.replace("\t", " ").rpartition(" ")
        if not (name := words.strip()):
            raise DataError(
                f"{path} must hold '<name> <group>' a line, got {line!r} on line {number}"
            )
        if not (name + group).isprintable():
            raise DataError(f"{path} must be printable text, got {line[:100]!r} on line {number}")
        name = form(_bare(name, SUFFIXES))
        if groups.setdefault(name, group) != group:
            raise DataError(f"{path} names {name} twice, in groups {groups[name]} and {group}")
    missing = [n for n in names if form(n) not in groups]
    first = next((name for name in groups if name.startswith(tuple(f"{n} " for n in missing))), "")
    if first:
        raise DataError(
            f"{path} must give each image one word as its group, got "
            f"{f'{first} {groups[first]}'[:100]!r}; write it without spaces"
        )
    if missing:
        raise DataError(
            f"{path} must give every listed image a group, {len(missing)} have none: "
            f"{', '.join(missing[:3])}"
        )
    return {name: groups[form(name)] for name in names}
