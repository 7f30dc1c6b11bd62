"""The files of listed images: found however their names are written; else what is there instead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seglib.data.lists import SUFFIXES, form, key
from seglib.data.plain import DataError, convert_line, oddity, shown


class Kind(NamedTuple):
    """A folder of the layout and what may lie in it."""

    folder: str
    suffixes: tuple[str, ...]
    what: str


IMAGES = Kind("JPEGImages", SUFFIXES, "every listed image")
MASKS = Kind("SegmentationClass", (".png",), "a mask for every listed image")


class Listing:
    """The files of one folder, by their names in composed letters and by their keys.

    Links are followed: many data sets are made of links.
    """

    def __init__(self, root: Path, kind: Kind) -> None:
        self.place, self.kind = root / kind.folder, kind
        # one listing is much faster than a question per file
        entries = list(os.scandir(self.place)) if self.place.is_dir() else []
        self.entries = sorted(entry.name for entry in entries)
        self.forms: dict[str, list[str]] = {}
        self.keys: dict[str, list[str]] = {}
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            if suffix.lower() in kind.suffixes and _is_file(entry):
                self.forms.setdefault(form(stem), []).append(entry.name)
                self.keys.setdefault(key(stem), []).append(entry.name)

    def file(self, name: str) -> str | None:
        """The file of an image name: of that name, else with further suffixes (`a.jpg.png`).

        Raises: DataError when there are two.
        """
        found = self.forms.get(form(name)) or self.keys.get(key(name), [])
        if len(found) > 1:
            raise DataError(
                f"{self.place} must hold one file a name, got "
                f"{', '.join(f if f.isascii() else ascii(f) for f in map(shown, sorted(found)))}; "
                "keep the right one"
            )
        return found[0] if found else None

    def instead(self, name: str, *, few: bool) -> str:
        """What is there instead of a missing file, and what to do; `few`: most are not missing."""
        root, folder = self.place.parent, self.kind.folder
        if os.path.lexists(self.place) and not self.place.is_dir():
            return f"{folder} is {oddity(self.place) or 'a file'}"
        if not self.place.is_dir():
            others = ", ".join(sorted(shown(p.name) for p in root.iterdir() if p.is_dir()))
            return (
                f"there is no folder {folder}, only {others or 'nothing'}; rename the right one, "
                f"or {convert_line(root)}"
            )
        return next(self._near(name, few))

    def _near(self, name: str, few: bool) -> Iterator[str]:
        wanted, first = key(name), key(re.split(r"[\s,;]+", name)[0])
        convert = convert_line(self.place.parent)
        for entry in self.entries:
            if key(entry) == wanted or form(entry).startswith(f"{wanted}."):
                yield self._other_kind(entry)
        if first != wanted and first in self.keys:
            yield (
                f"the list has more than a name a line, {name[:60]!r}; keep the image names alone "
                "(cut -d' ' -f1)"
            )
        for entry in self.entries:
            if _letters(key(entry)) == _letters(wanted):
                yield (
                    f"found {shown(entry)}: capitals, spaces or signs differ; rename it, or "
                    "correct the list"
                )
        for entry in self.entries:
            if _extends(key(entry), wanted) or _extends(wanted, key(entry)):
                yield (
                    f"found {shown(entry)}: files must have the listed names; rename them, or "
                    f"correct the list, or {convert}"
                )
        folders = [shown(entry) for entry in self.entries if (self.place / entry).is_dir()]
        if folders and not self.keys:
            inside = ", ".join(folders[:3])
            yield f"found folders {inside}; move the files out of them, or {convert}"
        if odd := next((e for e in self.entries if not _is_utf8(e)), ""):
            yield f"found {ascii(odd)}: its name is not in UTF-8; rename it"
        if name.startswith("#"):
            yield f"{name[:60]!r} stands in a list: take comments out"
        if few:
            yield "the others are there; add what is missing, or take it out of the lists"
        there = ", ".join(map(shown, self.entries[:3]))
        yield f"found {there}, ...; correct the lists, or {convert}" if there else "it is empty"

    def _other_kind(self, entry: str) -> str:
        """Why a file of the right name will not do."""
        suffix = os.path.splitext(entry)[1].lower()
        if odd := oddity(self.place / entry):
            return f"{shown(entry)} is {odd}"
        found = f"found {shown(entry)}"
        if suffix in self.kind.suffixes:
            return f"{found}: files must have the listed names; rename it, or correct the list"
        if self.kind is MASKS and suffix in SUFFIXES:
            return (
                f"{found}: a mask must be a PNG, JPEG changes labels; make the masks again as PNG "
                "from what they were made of"
            )
        kinds = (
            "masks are read as .png" if self.kind is MASKS else "images are read as .jpg or .png"
        )
        return f"{found}: {kinds}; save them so, or {convert_line(self.place.parent)}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # the file system has other bytes
        return False
    return True


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _extends(found: str, wanted: str) -> bool:
    """Whether a file's name is the wanted one with a word before or behind: `a_mask`, `gt-a`."""
    rest = found.removeprefix(wanted) if found.startswith(wanted) else ""
    front = found.removesuffix(wanted) if found.endswith(wanted) else ""
    return bool(re.match(r"[^0-9A-Za-z]\D", rest) or re.search(r"\D[^0-9A-Za-z]$", front))


def find_files(root: Path, names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Image name -> its file, of the images and of the masks, after checking that each is there,
    once, and no other image's.

    Raises: DataError with what is there instead.
    """
    return _found(Listing(root, IMAGES), names), _found(Listing(root, MASKS), names)


def _found(listing: Listing, names: tuple[str, ...]) -> dict[str, str]:
    files = {name: listing.file(name) for name in names}
    if missing := [name for name, file in files.items() if file is None]:
        first = ", ".join(f"{name}{listing.kind.suffixes[0]}" for name in missing[:3])
        instead = listing.instead(missing[0], few=2 * len(missing) < len(names))
        raise DataError(
            f"{listing.place} must hold {listing.kind.what}, {len(missing)} of {len(names)} "
            f"missing: {first}; {instead}"
        )
    found = {name: file for name, file in files.items() if file is not None}
    owners: dict[str, str] = {}
    for name, file in found.items():
        if (owner := owners.setdefault(file, name)) != name:
            raise DataError(
                f"{listing.place / file} must belong to one listed image, got {owner} and {name}"
            )
    return found
