"""Every image decoded once into flat uint8 files that all runs map into memory.

One file per pool (`development`, `test`), so that a run which must not see the test images never
opens their file. Each record is the image (H, W, 3) followed by its mask (H, W).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from seglib.data.folder import DEVELOPMENT, TEST, Folder
from seglib.data.lists import DataError
from seglib.data.splits import draw_dev

VERSION = 4  # of the files below


class Pool(TypedDict):
    """What index.json says of one pool, a value an image but for `crc`, of the whole file."""

    sizes: list[tuple[int, int]]  # height, width
    pixels: list[list[int]]  # of each class, then of void
    copies: list[str]  # hash of each image's pixels
    hashes: list[tuple[str, str]]  # `decode.file_hashes`
    names: list[str]
    groups: list[str] | None
    crc: int
    suspicious: list[str]  # what looks wrong with each mask, "" for most
    whole: list[list[int]]  # as `pixels`, before an image was reduced; [] where it was not
    looks: list[str]  # `twins.picture_hash`
    coloured: list[bool]  # whether the mask's file has a palette


class Index(TypedDict):
    """What index.json says of a store."""

    name: str
    root: str
    classes: list[str]
    max_side: int | None
    dev: list[str] | None  # where the lists say so
    rule: str | None  # how dev is drawn, where that is part of the fingerprint
    fingerprint: str
    pools: dict[str, Pool]


@dataclass(frozen=True)
class Split:
    """A fixed list of images of one pool: `split[i]` -> image (H, W, 3), mask (H, W) uint8."""

    names: tuple[str, ...]
    sizes: npt.NDArray[np.int64]  # (n, 2) height, width in pixels
    class_pixels: npt.NDArray[np.int64]  # (n, C) valid pixels of each class
    void_pixels: npt.NDArray[np.int64]  # (n,)
    suspicious: tuple[str, ...]  # what looks wrong with each mask, "" for most
    copies: tuple[str, ...]  # hash of each image's pixels
    looks: tuple[str, ...]  # nearly equal for images that look alike, "" for flat ones
    coloured: tuple[bool, ...]  # whether each mask's file has a palette
    whole_pixels: npt.NDArray[np.int64]  # (n, C + 1) of each class and void, before reducing
    groups: tuple[str, ...] | None
    _data: npt.NDArray[np.uint8]
    _offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        (height, width), start = self.sizes[index], self._offsets[index]
        n_pixels = int(height) * int(width)
        record = self._data[start : start + 4 * n_pixels]
        image = record[: 3 * n_pixels].reshape(height, width, 3)
        return image, record[3 * n_pixels :].reshape(height, width)

    def subset(self, indices: npt.ArrayLike) -> Split:
        index = np.asarray(indices, dtype=int)

        def chosen(values: Any) -> Any:
            if isinstance(values, np.ndarray):
                return values[index]
            return values and tuple(values[i] for i in index)

        per_image = {f.name for f in fields(self)} - {"_data"}
        return replace(self, **{name: chosen(getattr(self, name)) for name in per_image})

    @property
    def pixel_share(self) -> npt.NDArray[np.float64]:
        """(C,) share of each class among the valid pixels."""
        totals = self.class_pixels.sum(0)
        return np.asarray(totals / max(1, int(totals.sum())))

    @property
    def image_share(self) -> npt.NDArray[np.float64]:
        """(C,) share of the images in which each class occurs."""
        return np.asarray((self.class_pixels > 0).mean(0))

    @property
    def void_share(self) -> float:
        """Share of all pixels that are void."""
        void = int(self.void_pixels.sum())
        return void / max(1, void + int(self.class_pixels.sum()))


@dataclass(frozen=True)
class Store:
    """A decoded data set. `fingerprint` is the hash of what it was made from, file by file."""

    path: Path
    index: Index

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.index["classes"])

    @property
    def fingerprint(self) -> str:
        return self.index["fingerprint"]

    @property
    def max_side(self) -> int | None:
        return self.index["max_side"]

    def hashes(self) -> dict[str, tuple[str, str]]:
        """Image name -> hashes of the bytes of its file and of its mask's."""
        return {
            name: (both[0], both[1])
            for entry in self.index["pools"].values()
            for name, both in zip(entry["names"], entry["hashes"], strict=True)
        }

    def _pool(self, pool: str) -> Split:
        entry = self.index["pools"][pool]
        sizes = np.array(entry["sizes"], dtype=np.int64)
        lengths = 4 * sizes.prod(1)
        pixels = np.array(entry["pixels"], dtype=np.int64)
        groups = entry["groups"]
        whole = [
            before or kept for kept, before in zip(entry["pixels"], entry["whole"], strict=True)
        ]
        return Split(
            names=tuple(entry["names"]),
            sizes=sizes,
            class_pixels=pixels[:, :-1],
            void_pixels=pixels[:, -1],
            suspicious=tuple(entry["suspicious"]),
            copies=tuple(entry["copies"]),
            looks=tuple(entry["looks"]),
            coloured=tuple(entry["coloured"]),
            whole_pixels=np.array(whole, dtype=np.int64),
            groups=None if groups is None else tuple(groups),
            _data=np.memmap(self.path / f"{pool}.bin", dtype=np.uint8, mode="r"),
            _offsets=np.concatenate([[0], lengths.cumsum()[:-1]]),
        )

    def test(self) -> Split:
        return self._pool(TEST)

    def development(self, *, split_seed: int, dev_share: float) -> tuple[Split, Split]:
        """The fit and dev images: the lists' own where they say so, else drawn by `split_seed`."""
        pool = self._pool(DEVELOPMENT)
        dev_names = self.index["dev"]
        if dev_names is not None:
            where = {name: i for i, name in enumerate(pool.names)}
            dev = np.array([where[name] for name in dev_names])
        else:
            dev = draw_dev(
                pool.class_pixels,
                None if pool.groups is None else list(pool.groups),
                share=dev_share,
                seed=split_seed,
            )
        fit = np.setdiff1d(np.arange(len(pool)), dev)
        return pool.subset(fit), pool.subset(dev)


def open_store(path: Path) -> Store:
    """Open a store that `build_store` made; DataError when its index is not what was written."""
    file = path / "index.json"
    try:
        index: Any = json.loads(file.read_bytes())
        whole = index.pop("checksum") == checksum(index)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DataError(f"{file} is damaged; delete {path}, it is made again from the images")
    return Store(path, index)


def checksum(index: dict[str, object]) -> str:
    """Of an index without its checksum."""
    return hashlib.sha256(json.dumps(index).encode()).hexdigest()


def store_path(folder: Folder, root: Path, *, max_side: int | None) -> Path:
    """Where the store of these files, as they are now, lies or will lie."""
    key = hashlib.sha256(f"{folder.stat_key()} {max_side} {VERSION}".encode()).hexdigest()[:16]
    return root / f"{folder.name}-{key}"
