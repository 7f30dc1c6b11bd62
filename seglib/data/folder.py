"""The one data format: the VOC devkit layout, found and checked; decodes nothing.

<root>/JPEGImages/<name>.jpg (or .png)
<root>/SegmentationClass/<name>.png      palette or 8-bit grey class ids, 255 = void
<root>/ImageSets/Segmentation/*.txt      train, val and test; or train and one of the others
<root>/classes.txt                       one class a line; VOC's 21 when absent
<root>/groups.txt                        optional: "<name> <group>", e.g. a video sequence
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from seglib.data.lists import SUFFIXES, DataError, read_classes, read_groups, read_list

DEVELOPMENT, TEST = "development", "test"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A data set on disk, lists read, files found, nothing decoded yet.

    `dev` is None when there is only one training list: then `development` is divided by
    `seglib.data.splits`. `groups` maps every image name to its group, or is None; `images` and
    `masks` map it to its files.
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

    @property
    def has_background(self) -> bool:
        return self.classes[0] == "background"

    def image_path(self, name: str) -> Path:
        return self.root / "JPEGImages" / self.images[name]

    def mask_path(self, name: str) -> Path:
        return self.root / "SegmentationClass" / self.masks[name]

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


def open_folder(root: Path, *, name: str | None = None) -> Folder:
    """Read the lists of a VOC-layout folder and find every file they name.

    Raises: DataError (a ValueError) naming the file, what was expected and what to do.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(
            "data must be shapes, voc, voc2007, voc2012 or an existing folder in the "
            f"VOC layout, got {root}"
        )
    lists_dir = root / "ImageSets" / "Segmentation"
    found = {path.stem: path for path in lists_dir.glob("*.txt")}
    known: tuple[str, ...] = ("train", "val", "test")
    lists = {key: read_list(found[key]) for key in known if key in found}
    if "train" not in lists or len(lists) < 2:
        raise DataError(
            f"{lists_dir} must hold train.txt with val.txt, test.txt or both, "
            f"got {', '.join(sorted(found)) or 'nothing'}"
        )
    test = lists.get("test", lists.get("val", ()))
    dev = lists["val"] if "test" in lists and "val" in lists else None
    development = lists["train"] + (dev or ())
    for left, right in (("train", "val"), ("train", "test"), ("val", "test")):
        both = sorted(set(lists.get(left, ())) & set(lists.get(right, ())))
        if both:
            raise DataError(
                f"{lists_dir / left}.txt and {right}.txt must not share images, got {len(both)} in "
                f"both: {', '.join(both[:3])}"
            )
    images, masks = _find_files(root, development + test)
    return Folder(
        root=root,
        name=name or root.resolve().name,
        classes=read_classes(root),
        development=development,
        test=test,
        dev=dev,
        groups=read_groups(root / "groups.txt", development + test),
        images=images,
        masks=masks,
    )


def _find_files(root: Path, names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Image name -> its file, of the images and of the masks, after checking that each is there,
    once. Links are followed: many data sets are made of links.
    One listing is much faster than a question per file."""
    found = []
    for kind, suffixes in (("JPEGImages", SUFFIXES), ("SegmentationClass", (".png",))):
        place = root / kind
        entries = list(os.scandir(place)) if place.is_dir() else []
        files: dict[str, list[str]] = {}
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            if suffix.lower() in suffixes and entry.is_file():
                files.setdefault(stem, []).append(entry.name)
        missing = [name for name in names if name not in files]
        if missing:
            first = ", ".join(f"{name}{suffixes[0]}" for name in missing[:3])
            raise DataError(
                f"{place} must hold every listed image, {len(missing)} of {len(names)} "
                f"missing: {first}"
            )
        if twice := next((name for name in names if len(files[name]) > 1), None):
            raise DataError(
                f"{place} must hold one file a name, got {', '.join(sorted(files[twice]))}"
            )
        found.append({name: files[name][0] for name in names})
    return found[0], found[1]
