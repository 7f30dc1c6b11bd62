"""Small sources in the formats that people have, all of the same scenes."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.drawing import voc_palette

COLOURS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))  # of background, square, stripe
NAMES = ("background", "square", "stripe")


def scene(seed: int, height: int = 40, width: int = 56) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) image and (H, W) mask of background, a square and a stripe."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    y, x = rng.integers(0, height - 16), rng.integers(12, width - 16)
    mask[y : y + 12, x : x + 14] = 1
    mask[:, 3:8] = 2
    image = rng.integers(0, 90, (height, width, 3)) + mask[..., None] * 60
    return image.astype(np.uint8), mask


def save(array: np.ndarray, path: Path, **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **more)
    return path


def coloured(mask: np.ndarray) -> np.ndarray:
    """(H, W) labels -> (H, W, 3); 255 stays white."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(COLOURS)] = COLOURS
    return table[mask]


def as_palette(mask: np.ndarray, path: Path) -> Path:
    picture = Image.fromarray(mask)
    picture.putpalette(voc_palette().tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def pairs(
    root: Path,
    *,
    n: int = 10,
    image: str = "images/{i:03d}.jpg",
    mask: str = "masks/{i:03d}.png",
    change: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
) -> Path:
    """Images and masks at these places; `change` makes the array that is saved of the labels."""
    for i in range(n):
        pixels, labels = scene(i)
        save(pixels, root / image.format(i=i))
        save(change(labels), root / mask.format(i=i))
    return root


def grey_png(values: np.ndarray, path: Path, bits: int) -> Path:
    """(H, W) or (H, W, 3) as a grey or RGB PNG of `bits` a channel, which Pillow cannot write."""
    height, width = values.shape[:2]
    digits = np.unpackbits(values.astype(">u2").reshape(height, -1).view(np.uint8), axis=1)
    rows = np.packbits(digits.reshape(height, -1, 16)[..., 16 - bits :].reshape(height, -1), axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    colour = 0 if values.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    data = chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def binary(labels: np.ndarray) -> np.ndarray:
    return ((labels == 1) * 255).astype(np.uint8)


def voc(
    root: Path,
    *,
    n: int = 10,
    masks: str = "SegmentationClass",
    write: Callable[[np.ndarray, Path], Path] = as_palette,
    lists: dict[str, range] | None = None,
    files: dict[str, str] | None = None,
) -> Path:
    """The VOC layout; `write` saves a mask, `files` are texts by their paths."""
    for i in range(n):
        pixels, labels = scene(i)
        save(pixels, root / f"JPEGImages/{i:03d}.jpg")
        write(labels, root / f"{masks}/{i:03d}.png")
    for title, numbers in (lists or {}).items():
        text = "".join(f"{i:03d}\n" for i in numbers)
        files = {**(files or {}), f"ImageSets/Segmentation/{title}.txt": text}
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def box(x: int, y: int, width: int, height: int) -> list[float]:
    """A rectangle as a polygon."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def coco(
    root: Path,
    annotations: dict[int, list[dict]],
    *,
    size: tuple[int, int] = (20, 30),
    file: str = "annotations/instances_default.json",
    folder: str = "images",
    categories: tuple[tuple[int, str], ...] = ((3, "square"), (7, "stripe")),
) -> Path:
    """Instances: image number -> annotations, ids filled in; grey images of `size` (H, W)."""
    height, width = size
    content: dict[str, list] = {
        "images": [
            {"id": i, "file_name": f"{i:03d}.png", "height": height, "width": width}
            for i in annotations
        ],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    for i, some in annotations.items():
        save(np.full((height, width), 10 * i, np.uint8), root / folder / f"{i:03d}.png")
        for one in some:
            number = len(content["annotations"]) + 1
            content["annotations"].append({"id": number, "image_id": i, "iscrowd": 0, **one})
    write_json(content, root / file)
    return root


def write_json(content: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def panoptic(root: Path, n: int = 10, split: str = "val2017", first: int = 0) -> Path:
    """Panoptic: the square is two segments, the stripe a crowd in image `first`; none is void."""
    content: dict[str, list] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "square"}, {"id": 90, "name": "stripe"}],
    }
    for i in range(first, first + n):
        pixels, labels = scene(i)
        save(pixels, root / split / f"{i:03d}.jpg")
        ids = np.where(labels == 2, 70000, 0) + np.where(labels == 1, 258, 0)
        ids[: len(ids) // 2][labels[: len(ids) // 2] == 1] = 300
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
        save(rgb, root / f"annotations/panoptic_{split}/{i:03d}.png")
        segments = [
            {"id": 258, "category_id": 1, "iscrowd": 0},
            {"id": 300, "category_id": 1, "iscrowd": 0},
            {"id": 70000, "category_id": 90, "iscrowd": int(i == first)},
        ]
        record = {"image_id": i, "file_name": f"{i:03d}.png", "segments_info": segments}
        content["annotations"].append(record)
        content["images"].append({"id": i, "file_name": f"{i:03d}.jpg", "height": 40, "width": 56})
    write_json(content, root / f"annotations/panoptic_{split}.json")
    return root


def labels_of(folder: Path, name: str) -> np.ndarray:
    """A converted mask."""
    return np.asarray(Image.open(folder / "SegmentationClass" / f"{name}.png"))


def listed(folder: Path) -> dict[str, list[str]]:
    """The lists of a converted folder."""
    found = sorted((folder / "ImageSets/Segmentation").glob("*.txt"))
    return {path.stem: path.read_text().split("\n")[:-1] for path in found}
