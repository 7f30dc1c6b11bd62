"""Makes a store: every image decoded once, what was seen while decoding kept in its index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from seglib.data.decode import Sample, decode
from seglib.data.findings import suspicions
from seglib.data.folder import DEVELOPMENT, TEST, Folder
from seglib.data.lists import DataError
from seglib.data.masks import Marks, check_size
from seglib.data.plain import oddity
from seglib.data.splits import GROUP_RULE
from seglib.data.store import Pool, Store, checksum, open_store, store_path
from seglib.metrics import VOID

QUEUED = 64  # images that are decoded or wait at most
QUEUED_BYTES = 2**28  # that they need at most, unless one alone needs more
DECODE_BYTES = 12  # a pixel of image and mask, while they are decoded

Progress = Callable[[int, int], None]  # (images done, images in all)


def build_store(
    folder: Folder, root: Path, *, max_side: int | None, progress: Progress | None = None
) -> Store:
    """The decoded store of `folder` under `root`, made now unless it is there already.

    Written beside its final place and renamed, so that a half-written store is never read.
    Raises: DataError naming the first bad file.
    """
    path = store_path(folder, root, max_side=max_side)
    if (path / "index.json").exists():
        return open_store(path)
    needs = _needs(folder)
    work = root / f".{path.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        index = _write_pools(folder, work, max_side, needs, progress)
        index["checksum"] = checksum(index)
        (work / "index.json").write_text(json.dumps(index))
        work.rename(path)
    except OSError:
        if not (path / "index.json").exists():  # else another process made it meanwhile
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return open_store(path)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height by the file's header; (0, 0) where `decode` will say what is wrong."""
    if oddity(path):  # a pipe would be waited for
        return 0, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG")) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning):
        return 0, 0


def _needs(folder: Folder) -> dict[str, int]:
    """The bytes that decoding each image takes, by the headers of its two files.

    Raises: DataError naming a mask that has not the size of its image.
    """
    needs = {}
    for name in (*folder.development, *folder.test):
        image, mask = picture_size(folder.image_path(name)), picture_size(folder.mask_path(name))
        if 0 not in (*image, *mask) and (wrong := check_size(folder.mask_path(name), mask, image)):
            raise DataError(wrong)
        needs[name] = DECODE_BYTES * max(image[0] * image[1], mask[0] * mask[1])
    return needs


def _write_pools(
    folder: Folder,
    work: Path,
    max_side: int | None,
    needs: dict[str, int],
    progress: Progress | None,
) -> dict[str, object]:
    """Both pools' files, written; returns the index, whose order is part of its checksum."""
    fingerprint = hashlib.sha256(repr((folder.classes, max_side, folder.dev)).encode())
    rule = GROUP_RULE if folder.groups is not None and folder.dev is None else None
    fingerprint.update((rule or "").encode())
    pools: dict[str, Pool] = {
        DEVELOPMENT: _empty(folder, folder.development),
        TEST: _empty(folder, folder.test),
    }
    marks: list[Marks] = []
    with ThreadPoolExecutor() as threads, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for pool, entry in pools.items():
            wanted = {name: needs[name] for name in entry["names"]}
            with (work / f"{pool}.bin").open("wb") as file:
                for name, sample in _decoded(folder, wanted, max_side, threads):
                    _add(entry, sample, file, n_classes=len(folder.classes))
                    marks.append(sample.marks)
                    group = folder.groups and folder.groups[name]
                    fingerprint.update(f"{pool} {name} {group} {sample.files}\n".encode())
                    if progress:
                        progress(len(marks), len(needs))
    found = iter(suspicions(folder.classes, marks))
    for entry in pools.values():
        entry["suspicious"] = [next(found) for _ in entry["names"]]
    return {
        "name": folder.name,
        "root": str(folder.root),
        "classes": folder.classes,
        "max_side": max_side,
        "dev": folder.dev,
        "rule": rule,
        "fingerprint": fingerprint.hexdigest(),
        "pools": pools,
    }


def _empty(folder: Folder, names: tuple[str, ...]) -> Pool:
    return {
        "sizes": [],
        "pixels": [],
        "copies": [],
        "hashes": [],
        "names": list(names),
        "groups": None if folder.groups is None else [folder.groups[name] for name in names],
        "crc": 0,
        "suspicious": [],
        "whole": [],
        "looks": [],
        "coloured": [],
    }


def _decoded(
    folder: Folder, needs: dict[str, int], max_side: int | None, threads: ThreadPoolExecutor
) -> Iterator[tuple[str, Sample]]:
    """The samples in order, decoded side by side as far as memory is allowed for it."""
    waiting: deque[tuple[str, Future[Sample]]] = deque()

    def first() -> tuple[str, Sample]:
        name, future = waiting.popleft()
        return name, future.result()

    for name, need in needs.items():
        while waiting and (
            len(waiting) == QUEUED or need + sum(needs[n] for n, _ in waiting) > QUEUED_BYTES
        ):
            yield first()
        waiting.append((name, threads.submit(decode, folder, name, max_side=max_side)))
    while waiting:
        yield first()


def _add(entry: Pool, sample: Sample, file: BinaryIO, *, n_classes: int) -> None:
    for part in (sample.image, sample.mask):
        content = np.ascontiguousarray(part).data
        file.write(content)
        entry["crc"] = zlib.crc32(content, entry["crc"])
    height, width = sample.mask.shape
    whole = _counts(sample.marks.pixels, n_classes)
    reduced = height * width < sum(whole)
    entry["sizes"].append((height, width))
    entry["pixels"].append(
        _counts(np.bincount(sample.mask.ravel(), minlength=VOID + 1), n_classes)
        if reduced
        else whole
    )
    entry["whole"].append(whole if reduced else [])
    entry["copies"].append(sample.pixels)
    entry["hashes"].append(sample.hashes)
    entry["looks"].append(sample.looks)
    entry["coloured"].append(bool(sample.marks.palette))


def _counts(pixels: np.ndarray, n_classes: int) -> list[int]:
    """Of each class, then of void."""
    return [*pixels[:n_classes].tolist(), int(pixels[VOID])]
