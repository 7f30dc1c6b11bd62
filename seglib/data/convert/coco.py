"""COCO instances and COCO panoptic as masks of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seglib.data.convert.annotations import Coco, Pictures, Record, choose, need, table
from seglib.data.convert.labels import Table
from seglib.data.convert.outlines import runs_of
from seglib.data.convert.pairs import safe
from seglib.data.convert.pictures import read_values
from seglib.data.convert.source import File, Item, Labels, Source, few
from seglib.data.lists import DataError
from seglib.metrics import VOID

MAX_PIXELS = 1 << 28


@dataclass
class Counted:
    """What only painting every mask tells."""

    pixels: int = 0
    overlapping: int = 0
    degenerate: int = 0

    def notes(self) -> list[str]:
        found = []
        if self.overlapping:
            found.append(
                f"annotations of different classes overlap on {self.overlapping} pixels "
                f"({self.overlapping / self.pixels:.2%}): the smaller one is on top"
            )
        if self.degenerate:
            found.append(f"{self.degenerate} polygons of fewer than 3 points were left out")
        return found


def open_coco(format: str, files: list[File], found: list[Coco]) -> Source:
    """Images and annotations matched, nothing painted yet. Raises: DataError."""
    chosen = choose(found, format)
    panoptic = format == "coco-panoptic"
    classes = table(chosen, background=not panoptic)
    pictures = Pictures(files)
    records: dict[str, tuple[Coco, Record, list[Record]]] = {}
    named = [
        (coco, image, picture) for coco in chosen for image, picture in _images(coco, pictures)
    ]
    stems = [picture.stem for _, _, picture in named]
    alike = len(set(stems)) < len(stems)
    owned = {id(coco): _by_image(coco) for coco in chosen}
    items: list[Item] = []
    seen: dict[Path, Coco] = {}
    for coco, image, picture in named:
        folders = (coco.split, *picture.folders) if alike else ()
        name = safe("_".join([*filter(None, folders), picture.stem]))
        if (other := seen.setdefault(picture.path, coco)) is not coco or name in records:
            raise DataError(
                f"{picture.path} must be annotated once, got it twice, in "
                f"{other.file.path.name} and {coco.file.path.name}; leave one"
            )
        annotations = owned[id(coco)].get(image["id"], [])
        mask = _png(coco, image, annotations, pictures) if panoptic else coco.file.path
        records[name] = (coco, image, annotations)
        items.append(Item(name, picture.path, mask, coco.split))
    counted, labels = Counted(), classes.labels()

    def read(item: Item) -> Labels:
        coco, image, annotations = records[item.name]
        if panoptic:
            return _panoptic(item, coco, annotations[0], labels)
        return _instances(coco, image, annotations, labels, counted)

    return Source(
        format=format,
        items=tuple(items),
        classes=classes.classes,
        read=read,
        notes=_notes(records, pictures, classes, panoptic),
        last_notes=counted.notes,
    )


def _notes(
    records: dict[str, tuple[Coco, Record, list[Record]]],
    pictures: Pictures,
    classes: Table,
    panoptic: bool,
) -> list[str]:
    if panoptic:
        return ["labels: pixels of no segment and crowds are void"]
    notes = ["labels: pixels of no annotation are background, crowds are void"]
    empty = sum(not annotations for _, _, annotations in records.values())
    if empty:
        notes.append(f"{empty} images have no annotation: all background")
    n_pictures = sum(map(len, pictures.by_name.values()))
    if n_pictures > len(records):
        notes.append(f"left out: {n_pictures - len(records)} pictures that no annotations name")
    return notes


def _images(coco: Coco, pictures: Pictures) -> Iterator[tuple[Record, File]]:
    missing = []
    for image in coco.images:
        if not isinstance(image.get("id"), int | str):
            need(image, "id", int, coco.file)
        name = need(image, "file_name", str, coco.file)
        if (picture := pictures.find(name, coco.split, coco)) is None:
            missing.append(name)
        else:
            yield image, picture
    if missing:
        raise DataError(
            f"the source must hold every image of {coco.file.path}, {len(missing)} of "
            f"{len(coco.images)} missing: {few(missing)}; put them beside it, or into images/"
        )


def _by_image(coco: Coco) -> dict[int | str, list[Record]]:
    """Image id -> annotations; every one belongs to an image of the file and has a category."""
    known = {image.get("id") for image in coco.images}
    if len(known) < len(coco.images):
        raise DataError(f"{coco.file.path} must give each image its own id; export it again")
    found: dict[int | str, list[Record]] = {}
    for one in coco.annotations:
        number: Any = one.get("image_id")
        if not isinstance(number, int | str) or number not in known:
            raise DataError(
                f"{coco.file.path} must annotate images that it lists, got image_id {number!r}; "
                "export it again"
            )
        found.setdefault(number, []).append(one)
    return found


def _category(record: Record, labels: dict[int, int], coco: Coco) -> int:
    number = need(record, "category_id", int, coco.file)
    if number not in labels:
        raise DataError(
            f"{coco.file.path} must use categories that it lists, got category_id {number}; "
            "export it again"
        )
    return labels[number]


def _png(coco: Coco, image: Record, annotations: list[Record], pictures: Pictures) -> Path:
    """The file of segment ids of an image."""
    if len(annotations) != 1:
        raise DataError(
            f"{coco.file.path} must hold one panoptic annotation an image, got {len(annotations)} "
            f"of {image['file_name']}"
        )
    name = need(annotations[0], "file_name", str, coco.file)
    found = pictures.find(name, coco.file.path.stem, coco, panoptic=True)
    if found is None:
        raise DataError(
            f"the source must hold the masks of {coco.file.path}, missing: {name}; unpack them "
            f"into {coco.file.path.stem}/"
        )
    return found.path


def _panoptic(item: Item, coco: Coco, annotation: Record, labels: dict[int, int]) -> Labels:
    """Segment ids are R + 256 G + 65536 B; 0 is no segment."""
    mask = read_values(item.mask)
    if not mask.coloured:
        raise DataError(f"{item.mask} must hold segment ids as RGB, got a grey or palette picture")
    of_segment = {0: VOID}
    for segment in need(annotation, "segments_info", list, coco.file):
        if not isinstance(segment, dict):
            raise DataError(f"{coco.file.path} must hold objects in segments_info; export it again")
        number = need(segment, "id", int, coco.file)
        label = _category(segment, labels, coco)
        of_segment[number] = VOID if segment.get("iscrowd") else label
    codes, where = np.unique(mask.values, return_inverse=True)
    ids = [int(code >> 16 | code & 0xFF00 | (code & 255) << 16) for code in codes]
    if unknown := [str(number) for number in ids if number not in of_segment]:
        raise DataError(
            f"{item.mask} must hold the segment ids of {coco.file.path.name}, got others: "
            f"{few(unknown)}; export both together"
        )
    found = np.array([of_segment[number] for number in ids], np.uint8)
    result: Labels = found[where].reshape(mask.values.shape)
    return result


def _instances(
    coco: Coco,
    image: Record,
    annotations: list[Record],
    labels: dict[int, int],
    counted: Counted,
) -> Labels:
    """Crowds first, as void; then the larger before the smaller, which stays visible."""
    height, width = need(image, "height", int, coco.file), need(image, "width", int, coco.file)
    if not 0 < height * width <= MAX_PIXELS or height < 0:
        raise DataError(f"{coco.file.path} must give a possible size, got {width}x{height}")
    painted = []
    for one in annotations:
        label = VOID if one.get("iscrowd") else _category(one, labels, coco)
        runs, n_left_out = runs_of(one, height, width, coco.file.path)
        counted.degenerate += n_left_out
        painted.append((not one.get("iscrowd"), -int(runs[1::2].sum()), label, runs))
    mask = np.zeros(height * width, np.uint8)  # column by column, as runs are
    for thing, _, label, runs in sorted(painted, key=lambda entry: entry[:2]):
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        below = mask[inside]
        if thing:
            others = (below != 0) & (below != VOID) & (below != label)
            counted.overlapping += int(np.count_nonzero(others))
        mask[inside] = label
    counted.pixels += mask.size
    return np.ascontiguousarray(mask.reshape(width, height).T)
