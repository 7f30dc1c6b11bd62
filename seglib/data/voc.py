"""The one data format: the VOC devkit layout, read and checked; knows nothing of tensors.

    <root>/JPEGImages/<name>.jpg (or .png)
    <root>/SegmentationClass/<name>.png      palette or 8-bit grey class ids, 255 = void
    <root>/ImageSets/Segmentation/*.txt      train, val and test; or train and one of the others
    <root>/classes.txt                       one class a line; VOC's 21 when absent
    <root>/groups.txt                        optional: "<name> <group>", e.g. a video sequence
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.metrics import VOID

VOC_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
).split()
DEVELOPMENT, TEST = "development", "test"


class DataError(ValueError):
    """Bad input data; the message names the file, what was expected and what to do."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A data set on disk, lists read, files found, nothing decoded yet.

    `fit` and `dev` are None when there is only one training list: then `development` is divided
    by `seglib.data.splits`. `groups` maps every image name to its group, or is None.
    """

    root: Path
    name: str
    classes: tuple[str, ...]
    development: tuple[str, ...]
    test: tuple[str, ...]
    dev: tuple[str, ...] | None
    groups: dict[str, str] | None

    @property
    def has_background(self) -> bool:
        return self.classes[0] == "background"

    def image_path(self, name: str) -> Path:
        for suffix in (".jpg", ".png", ".jpeg"):
            path = self.root / "JPEGImages" / f"{name}{suffix}"
            if path.is_file():
                return path
        raise DataError(f"JPEGImages/{name}.jpg is listed but missing in {self.root}")

    def mask_path(self, name: str) -> Path:
        return self.root / "SegmentationClass" / f"{name}.png"

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


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a readable UTF-8 text file: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read_list(path: Path) -> tuple[str, ...]:
    names = [line.split()[0] for line in _lines(path)]
    if len(names) < 1:
        raise DataError(f"{path} must name at least one image, got an empty list")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{path} names {name} twice; each image may stand once")
        if "/" in name or "\\" in name or name.startswith("."):
            raise DataError(f"{path} must hold plain image names without folders, got {name!r}")
        seen.add(name)
    return tuple(names)


def _read_classes(root: Path) -> tuple[str, ...]:
    path = root / "classes.txt"
    if not path.exists():
        return tuple(VOC_CLASSES)
    names = _lines(path)
    if not 2 <= len(names) < VOID:
        raise DataError(f"{path} must name 2 to {VOID - 1} classes, got {len(names)}")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path} names {', '.join(twice)} twice; class names must differ")
    return tuple(names)


def open_folder(root: Path, *, name: str | None = None) -> Folder:
    """Read the lists of a VOC-layout folder and find every file they name.

    Raises: DataError (a ValueError) naming the file, what was expected and what to do.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"data must be an existing folder in the VOC layout, got {root}")
    lists_dir = root / "ImageSets" / "Segmentation"
    found = {p.stem: _read_list(p) for p in sorted(lists_dir.glob("*.txt"))}
    lists = {key: found[key] for key in ("train", "val", "test") if key in found}
    if "train" not in lists or len(lists) < 2:
        raise DataError(
            f"{lists_dir} must hold train.txt and val.txt (and test.txt where there is one), "
            f"got {', '.join(sorted(found)) or 'nothing'}"
        )
    test = lists.get("test", lists.get("val", ()))
    dev = lists["val"] if "test" in lists and "val" in lists else None
    development = lists["train"] + (dev or ())
    for left, right in (("train", "val"), ("train", "test"), ("val", "test")):
        both = sorted(set(lists.get(left, ())) & set(lists.get(right, ())))
        if both:
            raise DataError(
                f"{left}.txt and {right}.txt must not share images, got {len(both)} in both: "
                f"{', '.join(both[:3])}"
            )
    groups = None
    if (root / "groups.txt").exists():
        rows = [line.split(maxsplit=1) for line in _lines(root / "groups.txt")]
        groups = {row[0]: row[-1] for row in rows}
        missing = [n for n in (*development, *test) if n not in groups]
        if missing:
            raise DataError(
                f"{root / 'groups.txt'} must give every listed image a group, {len(missing)} "
                f"have none: {', '.join(missing[:3])}"
            )
    folder = Folder(
        root=root,
        name=name or root.resolve().name,
        classes=_read_classes(root),
        development=development,
        test=test,
        dev=dev,
        groups=groups,
    )
    _check_files(folder)
    return folder


def _check_files(folder: Folder) -> None:
    images = {p.stem for p in (folder.root / "JPEGImages").glob("*")}
    masks = {p.stem for p in (folder.root / "SegmentationClass").glob("*.png")}
    for kind, suffix, there in (
        ("JPEGImages", ".jpg", images),
        ("SegmentationClass", ".png", masks),
    ):
        missing = [n for n in (*folder.development, *folder.test) if n not in there]
        if missing:
            files = ", ".join(f"{n}{suffix}" for n in missing[:3])
            raise DataError(
                f"{folder.root / kind} must hold every listed image, "
                f"{len(missing)} missing: {files}"
            )


def decode(
    folder: Folder, name: str, *, max_side: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """One image with its mask, checked, reduced so that its longer side is at most `max_side`.

    Returns: image (H, W, 3) uint8, mask (H, W) uint8 in [0, C) or 255, sha256 of both files.
    Raises: DataError naming the file.
    """
    digest = hashlib.sha256()
    opened = []
    for path in (folder.image_path(name), folder.mask_path(name)):
        digest.update(path.read_bytes())
        try:
            with Image.open(path) as picture:
                picture.load()
                opened.append(picture)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} must be a readable image: {error}") from None
    picture, label = opened
    if label.mode not in ("P", "L"):
        raise DataError(
            f"{folder.mask_path(name)} must hold class ids (palette or 8-bit grey PNG), "
            f"got mode {label.mode}"
        )
    if label.size != picture.size:
        raise DataError(
            f"{folder.mask_path(name)} must have the size of its image, got "
            f"{label.size[0]}x{label.size[1]} against {picture.size[0]}x{picture.size[1]}"
        )
    if max_side and max(picture.size) > max_side:
        ratio = max_side / max(picture.size)
        size = tuple(max(1, round(side * ratio)) for side in picture.size)
        picture = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
        label = label.resize(size, Image.Resampling.NEAREST)
    mask = np.array(label, dtype=np.uint8)
    bad = np.unique(mask[(mask >= len(folder.classes)) & (mask != VOID)])
    if bad.size:
        raise DataError(
            f"{folder.mask_path(name)} must hold labels below {len(folder.classes)} or {VOID}, "
            f"got {', '.join(map(str, bad[:5]))}"
        )
    return np.array(picture.convert("RGB")), mask, digest.hexdigest()
