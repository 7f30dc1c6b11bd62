"""Files of COCO annotations: found by what is in them, checked field by field."""

from __future__ import annotations

import json
import mmap
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from seglib.data.convert.folders import place
from seglib.data.convert.labels import Table, check, clean
from seglib.data.convert.source import MAX_BYTES, File, as_split, few
from seglib.data.lists import DataError
from seglib.data.plain import read_text

FORMATS = {"coco-instances": "segmentation", "coco-panoptic": "segments_info"}
KEYS = (b'"images"', b'"annotations"', b'"categories"')
Record = dict[str, Any]


@dataclass(frozen=True)
class Coco:
    """One file of annotations."""

    file: File
    split: str
    images: list[Record]
    annotations: list[Record]
    categories: dict[int, str]

    @property
    def format(self) -> str:
        """Which kind of annotations these are, "" where they hold no masks."""
        kinds = [name for name, key in FORMATS.items() if any(a.get(key) for a in self.annotations)]
        return kinds[0] if len(kinds) == 1 else ""


def might_be_coco(file: File) -> bool:
    """Whether a JSON file has the words of COCO, without reading it all into memory."""
    if file.path.suffix.lower() != ".json" or not file.path.stat().st_size:
        return False
    with (
        open(file.path, "rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        return all(text.find(key) >= 0 for key in KEYS)


def read_coco(files: Iterable[File], tick: Callable[[], None]) -> list[Coco]:
    """Every file of annotations. Raises: DataError naming the file and the field."""
    found = []
    for file in files:
        found.append(_read(file))
        tick()
    return found


def _read(file: File) -> Coco:
    try:
        content = json.loads(read_text(file.path, limit=MAX_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file.path} must be JSON, got {error}; export it again") from None
    lists = {}
    for key in ("images", "annotations", "categories"):
        value = content.get(key) if isinstance(content, dict) else None
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise DataError(f"{file.path} must hold a list of objects under {key!r}; export again")
        lists[key] = value
    categories: dict[int, str] = {}
    for one in lists["categories"]:
        number, name = need(one, "id", int, file), need(one, "name", str, file)
        if categories.setdefault(number, name) != name:
            raise DataError(f"{file.path} gives category {number} two names; give it one")
    words = [*file.folders, *re.split(r"[_\-. ]", file.path.stem)]
    split = next((found for word in words if (found := as_split(word))), "")
    return Coco(file, split, lists["images"], lists["annotations"], categories)


def need(record: Record, key: str, kind: type, file: File) -> Any:
    """A field of a record, of its type. Raises: DataError."""
    value = record.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = {k: v for k, v in list(record.items())[:4] if isinstance(v, int | float | str)}
        raise DataError(
            f"{file.path} must give {key!r} as {kind.__name__}, got {str(value)[:50]!r} in "
            f"{str(shown)[:100]}; export it again"
        )
    return value


def table(found: list[Coco], *, background: bool) -> Table:
    """The categories of all files by their ids; `background` is added as a class where wanted."""
    names: dict[int, str] = {}
    for coco in found:
        for number, name in coco.categories.items():
            if names.setdefault(number, name) != name:
                raise DataError(
                    f"{coco.file.path} must name category {number} as the other files do, got "
                    f"{name} and {names[number]}; export all splits from one project"
                )
    entries = [(number, clean(names[number])) for number in sorted(names)]
    if background and all(name != "background" for _, name in entries):
        entries = [(-1, "background"), *entries]
    codes, cleaned = [code for code, _ in entries], [name for _, name in entries]
    made = Table(found[0].file.path, tuple(cleaned), tuple(codes), "names")
    check(made)
    return made


def choose(found: list[Coco], format: str) -> list[Coco]:
    """The files of one format, at most one a split. Raises: DataError naming two."""
    chosen = [coco for coco in found if coco.format == format]
    by_split: dict[str, list[Coco]] = {}
    for coco in chosen:
        by_split.setdefault(coco.split, []).append(coco)
    result = []
    for split, some in by_split.items():
        named = [coco for coco in some if "instances" in coco.file.path.stem]
        some = named if len(named) == 1 else some
        if len(some) > 1 and split:
            raise DataError(
                f"{some[0].file.path} and {some[1].file.path.name} must not both annotate "
                f"{split}; leave one out of the source"
            )
        result += some
    if any(coco.split for coco in result) and not all(coco.split for coco in result):
        names = [coco.file.path.name for coco in result if not coco.split]
        raise DataError(
            f"{few(names)} must say by its name or folder what it annotates (train, val, test), "
            "as other files of annotations do; rename it, or leave it out of the source"
        )
    return result


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


class Pictures:
    """The pictures of a source by name, to find what annotations name."""

    def __init__(self, files: Iterable[File]) -> None:
        self.by_name: dict[str, list[File]] = {}
        for file in files:
            if file.is_picture:
                self.by_name.setdefault(_composed(file.path.name), []).append(file)

    def find(self, name: str, near: str, coco: Coco, *, panoptic: bool = False) -> File | None:
        """The picture of that name, or None.

        Never looked for outside the source. Of several: those in the folders that the name gives,
        below a folder that says `near` (a split, or the annotations' own name), beside the file.

        Raises: DataError naming two that could both be meant.
        """
        *folders, last = _composed(name).replace("\\", "/").split("/")
        found = [
            file
            for file in self.by_name.get(last, [])
            if any("panoptic" in f.lower() or f == coco.file.path.stem for f in file.folders)
            == panoptic
        ] or self.by_name.get(last, [])
        rules: list[Callable[[File], object]] = [
            lambda file: not folders or file.folders[-len(folders) :] == tuple(folders),
            lambda file: panoptic or place(file).role != "mask",
            lambda file: not near or near in file.folders or near in map(as_split, file.folders),
            lambda file: file.folders[: len(coco.file.folders)] == coco.file.folders,
        ]
        for rule in rules:
            if len(found) > 1:
                found = [file for file in found if rule(file)] or found
        if len(found) > 1:
            raise DataError(
                f"{coco.file.path} names {name}, which could be {found[0].path} or "
                f"{found[1].path}; leave one out of the source"
            )
        return found[0] if found else None
