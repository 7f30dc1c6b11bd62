"""Every image decoded once into flat uint8 files that all runs map into memory.

One file per pool (`development`, `test`), so that a run which must not see the test images never
opens their file. Each record is the image (H, W, 3) followed by its mask (H, W).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data.splits import draw_dev
from seglib.data.voc import DEVELOPMENT, TEST, DataError, Folder, decode
from seglib.metrics import VOID

VERSION = 3  # of the files below
CHUNK = 64  # images decoded side by side
JUMP_SHARE = 0.2  # of a mask's edges: more is suspicious (NOTES.md)


@dataclass(frozen=True)
class Split:
    """A fixed list of images of one pool: `split[i]` -> image (H, W, 3), mask (H, W) uint8."""

    names: tuple[str, ...]
    sizes: np.ndarray  # (n, 2) height, width in pixels
    class_pixels: np.ndarray  # (n, C) valid pixels of each class
    void_pixels: np.ndarray  # (n,)
    suspicious: tuple[str, ...]  # what looks wrong with each mask, "" for most
    copies: tuple[str, ...]  # hash of each image's pixels
    groups: tuple[str, ...] | None
    _data: np.ndarray
    _offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        (height, width), start = self.sizes[index], self._offsets[index]
        n_pixels = int(height) * int(width)
        record = self._data[start : start + 4 * n_pixels]
        image = record[: 3 * n_pixels].reshape(height, width, 3)
        return image, record[3 * n_pixels :].reshape(height, width)

    def subset(self, indices: Sequence[int]) -> Split:
        index = np.asarray(indices, dtype=int)
        return Split(
            tuple(self.names[i] for i in index),
            self.sizes[index],
            self.class_pixels[index],
            self.void_pixels[index],
            tuple(self.suspicious[i] for i in index),
            tuple(self.copies[i] for i in index),
            self.groups and tuple(self.groups[i] for i in index),
            self._data,
            self._offsets[index],
        )

    @property
    def pixel_share(self) -> np.ndarray:
        """(C,) share of each class among the valid pixels."""
        return self.class_pixels.sum(0) / max(1, self.class_pixels.sum())

    @property
    def image_share(self) -> np.ndarray:
        """(C,) share of the images in which each class occurs."""
        return (self.class_pixels > 0).mean(0)

    @property
    def void_share(self) -> float:
        """Share of all pixels that are void."""
        void = int(self.void_pixels.sum())
        return void / max(1, void + int(self.class_pixels.sum()))


@dataclass(frozen=True)
class Store:
    """A decoded data set. `fingerprint` is the hash of what it was made from, file by file."""

    path: Path
    index: dict

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
            name: tuple(both)
            for entry in self.index["pools"].values()
            for name, both in zip(entry["names"], entry["hashes"], strict=True)
        }

    def _pool(self, pool: str) -> Split:
        entry = self.index["pools"][pool]
        sizes = np.array(entry["sizes"], dtype=np.int64)
        lengths = 4 * sizes.prod(1)
        pixels = np.array(entry["pixels"], dtype=np.int64)
        groups = entry["groups"]
        return Split(
            tuple(entry["names"]),
            sizes,
            pixels[:, :-1],
            pixels[:, -1],
            tuple(entry["suspicious"]),
            tuple(entry["copies"]),
            groups and tuple(groups),
            np.memmap(self.path / f"{pool}.bin", dtype=np.uint8, mode="r"),
            np.concatenate([[0], lengths.cumsum()[:-1]]),
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
                pool.groups and list(pool.groups),
                share=dev_share,
                seed=split_seed,
            )
        fit = np.setdiff1d(np.arange(len(pool)), dev)
        return pool.subset(fit), pool.subset(dev)


def open_store(path: Path) -> Store:
    """Open a store that `build_store` made; DataError when its index is not what was written."""
    file = path / "index.json"
    try:
        index = json.loads(file.read_bytes())
        whole = index.pop("checksum") == _checksum(index)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DataError(f"{file} is damaged; delete {path}, it is made again from the images")
    return Store(path, index)


def _checksum(index: dict) -> str:
    return hashlib.sha256(json.dumps(index).encode()).hexdigest()


def store_path(folder: Folder, root: Path, *, max_side: int | None) -> Path:
    """Where the store of these files, as they are now, lies or will lie."""
    key = hashlib.sha256(f"{folder.stat_key()} {max_side} {VERSION}".encode()).hexdigest()[:16]
    return root / f"{folder.name}-{key}"


def build_store(
    folder: Folder,
    root: Path,
    *,
    max_side: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """The decoded store of `folder` under `root`, made now unless it is there already.

    Written beside its final place and renamed, so that a half-written store is never read.
    Raises: DataError naming the first bad file.
    """
    path = store_path(folder, root, max_side=max_side)
    if (path / "index.json").exists():
        return open_store(path)
    work = root / f".{path.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        index = _write_pools(folder, work, max_side, progress)
        index["checksum"] = _checksum(index)
        (work / "index.json").write_text(json.dumps(index))
        work.rename(path)
    except OSError:
        if not (path / "index.json").exists():  # else another process made it meanwhile
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return open_store(path)


def _write_pools(
    folder: Folder, work: Path, max_side: int | None, progress: Callable[[int, int], None] | None
) -> dict:
    fingerprint = hashlib.sha256(repr((folder.classes, max_side, folder.dev)).encode())
    pools, done = {}, 0
    n_total = len(folder.development) + len(folder.test)
    with ThreadPoolExecutor() as threads, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for pool, names in ((DEVELOPMENT, folder.development), (TEST, folder.test)):
            entry: dict[str, list] = {
                key: [] for key in ("sizes", "pixels", "palettes", "jumps", "copies", "hashes")
            }
            crc = 0
            with (work / f"{pool}.bin").open("wb") as file:
                for start in range(0, len(names), CHUNK):  # bounds what waits in memory
                    chunk = names[start : start + CHUNK]
                    samples = threads.map(lambda n: decode(folder, n, max_side=max_side), chunk)
                    for name, sample in zip(chunk, samples, strict=True):
                        record = sample.image.tobytes() + sample.mask.tobytes()
                        file.write(record)
                        crc = zlib.crc32(record, crc)
                        counts = np.bincount(sample.mask.ravel(), minlength=VOID + 1)
                        entry["sizes"].append(sample.mask.shape)
                        entry["pixels"].append(
                            [*counts[: len(folder.classes)].tolist(), int(counts[VOID])]
                        )
                        entry["palettes"].append(sample.palette)
                        entry["jumps"].append(sample.jump_share)
                        entry["copies"].append(sample.pixels)
                        entry["hashes"].append(sample.hashes)
                        group = folder.groups and folder.groups[name]
                        fingerprint.update(f"{pool} {name} {group} {sample.files}\n".encode())
                        done += 1
                        if progress:
                            progress(done, n_total)
            groups = folder.groups and [folder.groups[name] for name in names]
            pools[pool] = entry | {"names": names, "groups": groups, "crc": crc}
    palettes = [palette for entry in pools.values() for palette in entry.pop("palettes")]
    usual = _usual_colours(palettes)
    for entry in pools.values():
        own, palettes = palettes[: len(entry["names"])], palettes[len(entry["names"]) :]
        entry["suspicious"] = [
            _suspicion(folder.classes, *facts, usual)
            for facts in zip(entry["pixels"], own, entry.pop("jumps"), strict=True)
        ]
    return {
        "name": folder.name,
        "root": str(folder.root),
        "classes": folder.classes,
        "max_side": max_side,
        "dev": folder.dev,
        "fingerprint": fingerprint.hexdigest(),
        "pools": pools,
    }


def _usual_colours(palettes: list[dict[int, str]]) -> dict[int, str]:
    """The colour that most palette masks give each label."""
    votes: dict[int, Counter] = {}
    for palette in palettes:
        for label, colour in palette.items():
            votes.setdefault(label, Counter())[colour] += 1
    return {label: counter.most_common(1)[0][0] for label, counter in votes.items()}


def _suspicion(
    classes: Sequence[str],
    pixels: list[int],
    palette: dict[int, str],
    jumps: float,
    usual: dict[int, str],
) -> str:
    """What looks wrong with a mask, or ""."""
    found = []
    present = [label for label, n in enumerate(pixels[:-1]) if n]
    if not present:
        found.append("all void")
    elif len(present) == 1:
        found.append(f"only {classes[present[0]]}")
    for label, colour in palette.items():
        if colour != usual[label]:
            name = "void" if label == VOID else classes[label]
            found.append(
                f"label {label} ({name}) has colour #{colour}, in most masks #{usual[label]}"
            )
            break
    if jumps > JUMP_SHARE:
        found.append(
            f"{jumps:.0%} of the edges pass through a value between, as after "
            "resizing with interpolation"
        )
    return "; ".join(found)
