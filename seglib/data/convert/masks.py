"""Sources that hold mask files: images + masks, and the VOC layout of labelme, CVAT and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seglib.data.convert.folders import Place, sort_out
from seglib.data.convert.labels import Table, find_table, read_table
from seglib.data.convert.pairs import items, match, with_lists
from seglib.data.convert.pictures import read_values
from seglib.data.convert.reading import decide
from seglib.data.convert.source import MAX_BYTES, File, Item, Labels, Source, as_split
from seglib.data.convert.survey import survey
from seglib.data.lists import DataError
from seglib.data.plain import read_lines, read_plain

MASK_FOLDERS = ("SegmentationClassPNG", "SegmentationClass")
LIST_FOLDERS = ((), ("ImageSets", "Segmentation"), ("splits",), ("lists",))


def voc_format(files: list[File]) -> str:
    """`labelme`, `cvat` or `voc` where files lie in the VOC layout, else ""."""
    folders = {file.folders[0] for file in files if file.folders}
    if not folders & set(MASK_FOLDERS):
        return ""
    tables = {file.path.name for file in files if not file.folders}
    named = {"labelmap.txt": "cvat", "class_names.txt": "labelme"}
    return next((named[name] for name in named if name in tables), "voc")


def open_masks(
    format: str, files: list[File], table: Path | None, tick: Callable[[int], Callable[[], None]]
) -> Source:
    """Pair, read the lists and the labels, look at every mask.

    Raises: DataError naming what is ambiguous.
    """
    if format == "pairs":
        images, masks, others = sort_out(files)
    else:
        images, masks = _voc_places(files)
        others = []
    notes = [f"left out: {len(others)} pictures outside the images and masks"] if others else []
    lists = {} if any(image.split for image in images) else _read_lists(files)
    if not images or not masks:
        if any(b'"shapes"' in read_plain(f.path, limit=MAX_BYTES) for f in _first_json(files)):
            raise DataError(
                "labelme's JSON files must be exported first, got no masks; run "
                "labelme2voc.py FOLDER NEWFOLDER --labels labels.txt, and convert NEWFOLDER"
            )
        raise DataError(
            f"images and masks must be told apart by folders (images/, masks/) or by a suffix "
            f"(_mask), got {len(images)} images and {len(masks)} masks; put them into images/ "
            "and masks/"
        )
    splits: dict[Place, str] = {}
    listed = None
    if lists:
        listed, splits, more = with_lists(images, lists)
        notes += more
    found = items(match(images, masks, listed), splits)
    labels = read_table(table) if table else _table(format, files)
    kinds = survey((item.mask for item in found), tick(len(found)))
    reading = decide(labels, kinds, void_255=format in ("labelme", "cvat") and not table)

    def read(item: Item) -> Labels:
        return reading.labels(read_values(item.mask))

    return Source(
        format=format,
        items=tuple(found),
        classes=reading.classes,
        read=read,
        notes=[*notes, f"labels: {reading.note}"],
        groups=next((f.path for f in files if f.folders + (f.path.name,) == ("groups.txt",)), None),
    )


def _first_json(files: list[File]) -> list[File]:
    return [file for file in files if file.path.suffix.lower() == ".json"][:1]


def _table(format: str, files: list[File]) -> Table | None:
    own = {"labelme": "class_names.txt", "cvat": "labelmap.txt"}.get(format)
    if own:
        return read_table(next(f.path for f in files if f.folders + (f.path.name,) == (own,)))
    return find_table(files)


def _voc_places(files: list[File]) -> tuple[list[Place], list[Place]]:
    """Images of JPEGImages, masks of SegmentationClass or SegmentationClassPNG."""

    def inside(folder: str) -> list[Place]:
        chosen = [f for f in files if f.is_picture and f.folders[:1] == (folder,)]
        return [Place(file, "", "", file.folders[1:]) for file in chosen]

    images = inside("JPEGImages")
    kinds = {name: found for name in MASK_FOLDERS if (found := inside(name))}
    if not images:
        raise DataError(
            "JPEGImages must hold the images, got none; export once more with the images (CVAT: "
            "`Save images`), or put them there"
        )
    if len(kinds) != 1:
        raise DataError(
            f"one of {' and '.join(MASK_FOLDERS)} must hold the masks as pictures, got "
            f"{'both' if kinds else 'none'}; leave one out, or export them as PNG"
        )
    return images, next(iter(kinds.values()))


def _read_lists(files: list[File]) -> dict[str, list[str]]:
    """Lists of images: train.txt, val.txt, ... of the root or a folder of lists."""
    found: dict[str, list[str]] = {}
    for file in files:
        title = file.path.stem.removesuffix(".txt")
        in_imagesets = file.folders == ("ImageSets", "Segmentation")
        if file.path.suffix != ".txt" or file.folders not in LIST_FOLDERS:
            continue
        if in_imagesets or (as_split(title) and not any(c.isdigit() for c in title)):
            lines = read_lines(file.path)
            if as_split(title) and not any(lines):
                raise DataError(
                    f"{file.path} must name images, one a line, got an empty list; fill it, or "
                    "leave it out of the source"
                )
            if title in found and in_imagesets:
                found.pop(title)
            found.setdefault(title, [line for line in lines if line])
    return {title: lines for title, lines in found.items() if lines}
