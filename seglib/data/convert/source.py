"""What lies in a folder to convert: plain files, listed once, read without following a trap."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seglib.data.lists import DataError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
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
            if not entry.is_file():
                kind = "a link to nothing" if entry.is_symlink() else "something else"
                raise DataError(f"{path} must be a plain file, got {kind}; remove it")
            found.append(File(path, below))


def read_bytes(path: Path) -> bytes:
    """The content of a plain file; never waits for a pipe. Raises: DataError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DataError(f"{path} must be a plain file, got something else; remove it")
            return file.read()
    except OSError as error:
        raise DataError(f"{path} must be a readable file, got {error.strerror}") from None


def read_text(path: Path) -> str:
    """A text file in UTF-8. Raises: DataError."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} must be a UTF-8 text file; save it again as UTF-8") from None


def few(names: list[str], n: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more
