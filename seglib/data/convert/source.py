"""What lies in a folder to convert: plain files, listed once, read without following a trap."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seglib.data.lists import PICTURES, DataError
from seglib.data.plain import oddity

MAX_BYTES = 2**32  # of a file of annotations
READ = (*PICTURES, ".txt", ".csv", ".json")
SPLIT_WORDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}

Labels = npt.NDArray[np.uint8]  # (H, W) in [0, C) or 255


@dataclass(frozen=True)
class File:
    """A plain file of the source."""

    path: Path
    folders: tuple[str, ...]  # below the source

    @property
    def stem(self) -> str:
        """The name without suffix, in composed letters; `a.jpg.png` gives `a`."""
        stem = unicodedata.normalize("NFC", self.path.stem)
        while os.path.splitext(stem)[1].lower() in PICTURES:
            stem = os.path.splitext(stem)[0]
        return stem

    @property
    def is_picture(self) -> bool:
        return self.path.suffix.lower() in PICTURES


@dataclass(frozen=True)
class Item:
    """An image of the new data set and where its mask comes from."""

    name: str  # in the new set, without suffix
    image: Path
    mask: Path  # a picture, or the file of annotations
    split: str = ""  # train, val, test, or "" where the source says none


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source that was understood: what to write, nothing written yet."""

    format: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    read: Callable[[Item], Labels]
    notes: list[str] = field(default_factory=list)
    groups: Path | None = None
    last_notes: Callable[[], list[str]] = list  # what only reading everything can tell


def as_split(word: str) -> str:
    """`training` -> train; "" for another word. Digits beside it are a year's (`val2017`)."""
    bare = word.lower().strip("0123456789_- ")
    return next((split for split, words in SPLIT_WORDS.items() if bare in words), "")


def list_files(root: Path) -> list[File]:
    """Every file that a converter may read, sorted; hidden ones are left out.

    Links are followed. Raises: DataError naming what is no plain file, or cannot be entered.
    """
    if not root.is_dir():
        raise DataError(
            f"--convert must be a folder, got {root}; unpack an archive, of a file give its folder"
        )
    found: list[File] = []
    _walk(root, (), found, ())
    return sorted(found, key=lambda file: (file.folders, file.path.name))


def _walk(
    folder: Path, below: tuple[str, ...], found: list[File], above: tuple[tuple[int, int], ...]
) -> None:
    """Adds to `found`; `above` are the folders that are being walked, by device and inode."""
    try:
        info = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"{folder} must be readable, got {error.strerror}") from None
    here = (info.st_dev, info.st_ino)
    if here in above:
        raise DataError(f"{folder} must not lead back to a folder above it; remove the link")
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = folder / entry.name
        if entry.is_dir():
            _walk(path, (*below, entry.name), found, (*above, here))
        elif path.suffix.lower() in READ:
            if odd := oddity(path):
                raise DataError(f"{path} must be a plain file, got {odd}; remove it")
            found.append(File(path, below))


def few(names: list[str], n: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more
