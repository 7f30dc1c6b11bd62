"""The one data format: the VOC devkit layout, found and checked; decodes nothing.

<root>/JPEGImages/<name>.jpg (or .png)
<root>/SegmentationClass/<name>.png      palette or 8-bit grey class ids, 255 = void
<root>/ImageSets/Segmentation/*.txt      train, val and test; or train and one of the others
<root>/classes.txt                       one class a line; absent: VOC's 21 in VOC, else numbers
<root>/groups.txt                        optional: "<name> <group>", e.g. a video sequence
"""

from __future__ import annotations

import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from seglib.data.classes import read_classes
from seglib.data.lists import read_groups, read_lists
from seglib.data.names import find_files
from seglib.data.plain import DataError, convert_line, oddity
from seglib.data.recognise import check_colours, read_palettes, recognise, year_of
from seglib.drawing import VOC_CLASSES

DEVELOPMENT, TEST = "development", "test"
IMAGES, MASKS = "JPEGImages", "SegmentationClass"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A data set on disk, lists read, files found, nothing decoded yet.

    `dev` is None when there is only one training list: then `development` is divided by
    `seglib.data.splits`. `groups` maps every image name to its group, or is None; `images` and
    `masks` map it to its files. `year` is that of Pascal VOC, None for other data; `notes` say how
    lists and classes were read where that is not plain.
    """

    root: Path
    name: str
    classes: tuple[str, ...]
    development: tuple[str, ...]
    test: tuple[str, ...]
    dev: tuple[str, ...] | None
    groups: dict[str, str] | None
    images: dict[str, str]
    masks: dict[str, str]
    year: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_background(self) -> bool:
        return self.classes[0] == "background"

    def image_path(self, name: str) -> Path:
        return self.root / IMAGES / self.images[name]

    def mask_path(self, name: str) -> Path:
        return self.root / MASKS / self.masks[name]

    def stat_key(self) -> str:
        """Hash of the lists, classes and the path, size and time of every file: a cheap change
        detector, not the fingerprint."""
        digest = hashlib.sha256(repr((str(self.root.resolve()), self.classes)).encode())
        digest.update(repr((self.development, self.dev, self.test, self.groups)).encode())
        for name in (*self.development, *self.test):
            for path in (self.image_path(name), self.mask_path(name)):
                info = path.stat()
                digest.update(f"{path.name} {info.st_size} {info.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def open_folder(
    root: Path, *, name: str | None = None, year: str | None = None, cache: Path | None = None
) -> Folder:
    """Read the lists of a VOC-layout folder, find every file they name, and name the classes.

    Args:
        year: of Pascal VOC, where it is known to be that; else its content decides.
        cache: folder for what was seen in the masks, where classes.txt is missing.
    Raises: DataError (a ValueError) naming the file, what was expected and what to do.
    """
    root = Path(root)
    _check_layout(root)
    lists, notes = read_lists(root)
    test = lists.get("test", lists.get("val", ()))
    dev = lists["val"] if "test" in lists and "val" in lists else None
    development = lists["train"] + (dev or ())
    images, masks = find_files(root, development + test)
    named = read_classes(root / "classes.txt")
    files = [root / MASKS / masks[name] for name in development + test]
    if named:
        classes, more = named.names, named.notes
        if named.colours:
            check_colours(root / "classes.txt", named, read_palettes(files, cache))
        if classes == tuple(VOC_CLASSES):
            year = year or year_of(development + test)
    elif year:
        classes, more = tuple(VOC_CLASSES), ()
    else:
        year, classes, more = recognise(root, development + test, files, cache)
    return Folder(
        root=root,
        name=name or (f"voc{year}" if year else root.resolve().name),
        classes=classes,
        development=development,
        test=test,
        dev=dev,
        groups=read_groups(root / "groups.txt", development + test),
        images=images,
        masks=masks,
        year=year,
        notes=(*notes, *more),
    )


def _check_layout(root: Path) -> None:
    """There must be a folder with the layout's folders in it."""
    if not root.is_dir():
        odd = oddity(root) or "a file; unpack it, where it is an archive"
        what = f", {odd}" if os.path.lexists(root) else ""
        raise DataError(
            "data must be shapes, voc, voc2007, voc2012 or an existing folder in the "
            f"VOC layout, got {root}{what}"
        )
    wanted = (IMAGES, MASKS, "ImageSets")
    if any((root / folder).exists() for folder in wanted):
        return
    inside = [p.parent for pattern in ("*/", "*/*/") for p in root.glob(pattern + IMAGES)]
    there = ", ".join(sorted(p.name for p in root.iterdir())[:6]) or "nothing"
    use = f"use {shlex.quote(str(inside[0]))}" if inside else convert_line(root)
    raise DataError(f"{root} must hold {', '.join(wanted)}, got {there}; {use}")
