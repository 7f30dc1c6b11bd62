"""The one data format: the VOC devkit layout, read and checked; knows nothing of tensors.

<root>/JPEGImages/<name>.jpg (or .png)
<root>/SegmentationClass/<name>.png      palette or 8-bit grey class ids, 255 = void
<root>/ImageSets/Segmentation/*.txt      train, val and test; or train and one of the others
<root>/classes.txt                       one class a line; VOC's 21 when absent
<root>/groups.txt                        optional: "<name> <group>", e.g. a video sequence
"""

from __future__ import annotations

import hashlib
import io
import os
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
SUFFIXES = (".jpg", ".png", ".jpeg")
EXIF_ORIENTATION = 0x0112


class DataError(ValueError):
    """Bad input data; the message names the file, what was expected and what to do."""


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


def _lines(path: Path) -> list[str]:
    """The stripped lines of a text file, without blank ones at its end."""
    try:
        if not path.is_file():
            raise OSError("not a file")  # reading a pipe would wait for ever
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a readable UTF-8 text file: {error}") from None
    return [line.strip() for line in text.rstrip().splitlines()]


def _read_list(path: Path) -> tuple[str, ...]:
    names = [line for line in _lines(path) if line]
    if len(names) < 2:
        raise DataError(
            f"{path} must name at least 2 images, one a line, got {len(names) or 'an empty list'}"
        )
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{path} names {name} twice; each image may stand once")
        if "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
            raise DataError(f"{path} must hold plain image names without folders, got {name!r}")
        if name.lower().endswith(SUFFIXES):
            raise DataError(f"{path} must hold image names without suffix, got {name!r}")
        seen.add(name)
    return tuple(names)


def _read_classes(root: Path) -> tuple[str, ...]:
    path = root / "classes.txt"
    if not path.exists():
        return tuple(VOC_CLASSES)
    names = _lines(path)
    if "" in names:
        raise DataError(
            f"{path} must name one class a line, got an empty name on line {names.index('') + 1}"
        )
    if not 2 <= len(names) < VOID:
        raise DataError(f"{path} must name 2 to {VOID - 1} classes, got {len(names)}")
    for name in names:
        if not (name.isprintable() and len(name) <= 100 and any(c.isalnum() for c in name)):
            raise DataError(
                f"{path} must hold names of at most 100 printable characters, one of "
                f"them a letter or digit, got {name[:100]!r}"
            )
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path} names {', '.join(twice)} twice; class names must differ")
    return tuple(names)


def _read_groups(path: Path, names: tuple[str, ...]) -> dict[str, str] | None:
    """Image name -> group; every listed image must have one."""
    if not path.exists():
        return None
    groups: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        name, _, group = line.rpartition(" ")
        if line and not name.strip():
            raise DataError(
                f"{path} must hold '<name> <group>' a line, got {line!r} on line {number}"
            )
        if not line.isprintable():
            raise DataError(f"{path} must be printable text, got {line[:100]!r} on line {number}")
        if groups.setdefault(name.strip(), group) != group:
            raise DataError(
                f"{path} names {name.strip()} twice, in groups {groups[name.strip()]} and {group}"
            )
    missing = [n for n in names if n not in groups]
    if missing:
        raise DataError(
            f"{path} must give every listed image a group, {len(missing)} have none: "
            f"{', '.join(missing[:3])}"
        )
    return groups


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
    lists = {key: _read_list(found[key]) for key in ("train", "val", "test") if key in found}
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
        classes=_read_classes(root),
        development=development,
        test=test,
        dev=dev,
        groups=_read_groups(root / "groups.txt", development + test),
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


@dataclass(frozen=True)
class Sample:
    """One decoded image with its mask and what was seen while decoding."""

    image: np.ndarray  # (H, W, 3) uint8
    mask: np.ndarray  # (H, W) uint8 in [0, C) or 255
    files: str  # sha256 of both files
    hashes: tuple[str, str]  # `file_hashes`
    pixels: str  # hash of size and pixels of the image: equal for copies under other names
    palette: dict[int, str]  # colour (hex) of each label that occurs, for a palette mask
    jump_share: float  # see `jump_share`


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def file_hashes(folder: Folder, name: str) -> tuple[str, str]:
    """Hashes of the bytes of an image's file and of its mask's, as they are now."""
    return (_hash(folder.image_path(name).read_bytes()), _hash(folder.mask_path(name).read_bytes()))


def _open(path: Path) -> tuple[Image.Image, str, bytes]:
    """A loaded picture, how its pixels lie in the file ("RGB", "L;4", ...), the file's bytes."""
    try:
        content = path.read_bytes()
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        args = picture.tile[0][3] if picture.tile else ""
        picture.load()
        orientation = picture.getexif().get(EXIF_ORIENTATION, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path} must have at most {Image.MAX_IMAGE_PIXELS} pixels, got more; reduce it"
        ) from None
    except Image.UnidentifiedImageError:
        raise DataError(f"{path} must be a readable JPEG or PNG file, got something else") from None
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path} must be a readable image: {error}; save it again") from None
    if orientation not in (0, 1):
        raise DataError(
            f"{path} must be stored upright, got EXIF orientation {orientation} (image "
            "and mask could disagree); turn the pixels and remove the tag"
        )
    return picture, args if isinstance(args, str) else str(args[0]), content


def _rgb(picture: Image.Image, path: Path) -> Image.Image:
    """The image as 8-bit RGB where that says the same; refused where it would not."""
    if picture.mode not in ("RGB", "L", "P", "1", "LA", "PA", "RGBA"):
        raise DataError(
            f"{path} must be an 8-bit RGB or grey image, got mode {picture.mode}; "
            "convert it to 8-bit RGB"
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise DataError(
                f"{path} must be opaque, got transparent pixels; save it without an alpha channel"
            )
    return picture.convert("RGB")


def decode(folder: Folder, name: str, *, max_side: int | None) -> Sample:
    """One image with its mask, checked, reduced so that its longer side is at most `max_side`.

    Raises: DataError naming the file.
    """
    image_path, mask_path = folder.image_path(name), folder.mask_path(name)
    picture, _, image_bytes = _open(image_path)
    label, raw_mode, mask_bytes = _open(mask_path)
    # a grey PNG of 1, 2 or 4 bits would be stretched to 0-255
    if label.format != "PNG" or raw_mode not in ("L", "P", "P;1", "P;2", "P;4"):
        raise DataError(
            f"{mask_path} must hold class ids (a palette or 8-bit grey PNG), got "
            f"{label.format} of mode {raw_mode or label.mode}"
        )
    if label.size != picture.size:
        raise DataError(
            f"{mask_path} must have the size of its image, got "
            f"{label.size[0]}x{label.size[1]} against {picture.size[0]}x{picture.size[1]}"
        )
    picture = _rgb(picture, image_path)
    mask = np.asarray(label)
    found = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    bad = found[(found >= len(folder.classes)) & (found != VOID)]
    if bad.size:
        raise DataError(
            f"{mask_path} must hold labels below {len(folder.classes)} (the number of classes) or "
            f"{VOID} for void, got {', '.join(map(str, bad[:5]))}"
        )
    colours = label.getpalette("RGB") if label.mode == "P" else None
    palette = {}
    if colours:
        palette = {int(i): bytes(colours[3 * i : 3 * i + 3]).hex() for i in found}
    share = jump_share(mask)
    if max_side and max(picture.size) > max_side:
        ratio = max_side / max(picture.size)
        size = tuple(max(1, round(side * ratio)) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        mask = np.asarray(label.resize(size, Image.Resampling.NEAREST))
    image = np.asarray(picture)
    return Sample(
        image,
        mask,
        hashlib.sha256(image_bytes + mask_bytes).hexdigest(),
        (_hash(image_bytes), _hash(mask_bytes)),
        hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:32],
        palette,
        share,
    )


def jump_share(mask: np.ndarray) -> float:
    """Share of the edges along the rows that pass through a value between, one pixel wide.

    A mask that was resized or blurred with interpolation has many (0, 7, 15 at the edge of class
    15), one drawn by hand or by nearest neighbour hardly any.
    Args: mask (H, W) uint8. Returns: a share in [0, 1]; 0 for a mask without changes.
    """
    left, middle, right = mask[:, :-2], mask[:, 1:-1], mask[:, 2:]
    between = ((left < middle) & (middle < right)) | ((left > middle) & (middle > right))
    n_between = np.count_nonzero(between & (left != VOID) & (right != VOID))
    n_edges = np.count_nonzero(mask[:, 1:] != mask[:, :-1]) - n_between
    return min(1.0, n_between / max(1, n_edges))
