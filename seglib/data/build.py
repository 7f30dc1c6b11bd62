"""Makes a store: every image decoded once, what was seen while decoding kept in its index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from seglib.data.decode import Sample, decode
from seglib.data.findings import suspicion, usual_colours
from seglib.data.folder import DEVELOPMENT, TEST, Folder
from seglib.data.store import Pool, Store, checksum, open_store, store_path
from seglib.metrics import VOID

CHUNK = 64  # images decoded side by side

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
    work = root / f".{path.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        index = _write_pools(folder, work, max_side, progress)
        index["checksum"] = checksum(index)
        (work / "index.json").write_text(json.dumps(index))
        work.rename(path)
    except OSError:
        if not (path / "index.json").exists():  # else another process made it meanwhile
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return open_store(path)


def _write_pools(
    folder: Folder, work: Path, max_side: int | None, progress: Progress | None
) -> dict[str, object]:
    """Both pools' files, written; returns the index, whose order is part of its checksum."""
    fingerprint = hashlib.sha256(repr((folder.classes, max_side, folder.dev)).encode())
    n_total, done = len(folder.development) + len(folder.test), 0
    pools: dict[str, Pool] = {}
    palettes: dict[str, list[dict[int, str]]] = {}
    jumps: dict[str, list[float]] = {}
    with ThreadPoolExecutor() as threads, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for pool, names in ((DEVELOPMENT, folder.development), (TEST, folder.test)):
            pools[pool] = entry = _empty(folder, names)
            palettes[pool], jumps[pool] = [], []
            with (work / f"{pool}.bin").open("wb") as file:
                for name, sample in _decoded(folder, names, max_side, threads):
                    _add(entry, sample, file, n_classes=len(folder.classes))
                    palettes[pool].append(sample.palette)
                    jumps[pool].append(sample.jump_share)
                    group = folder.groups and folder.groups[name]
                    fingerprint.update(f"{pool} {name} {group} {sample.files}\n".encode())
                    done += 1
                    if progress:
                        progress(done, n_total)
    usual = usual_colours([palette for found in palettes.values() for palette in found])
    for pool, entry in pools.items():
        seen = zip(entry["pixels"], palettes[pool], jumps[pool], strict=True)
        entry["suspicious"] = [suspicion(folder.classes, *facts, usual) for facts in seen]
    return {
        "name": folder.name,
        "root": str(folder.root),
        "classes": folder.classes,
        "max_side": max_side,
        "dev": folder.dev,
        "fingerprint": fingerprint.hexdigest(),
        "pools": pools,
    }


def _empty(folder: Folder, names: Sequence[str]) -> Pool:
    return {
        "sizes": [],
        "pixels": [],
        "copies": [],
        "hashes": [],
        "names": list(names),
        "groups": None if folder.groups is None else [folder.groups[name] for name in names],
        "crc": 0,
        "suspicious": [],
    }


def _decoded(
    folder: Folder, names: Sequence[str], max_side: int | None, threads: ThreadPoolExecutor
) -> Iterator[tuple[str, Sample]]:
    """The samples in order, decoded side by side; chunks bound what waits in memory."""
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        samples = threads.map(lambda name: decode(folder, name, max_side=max_side), chunk)
        yield from zip(chunk, samples, strict=True)


def _add(entry: Pool, sample: Sample, file: BinaryIO, *, n_classes: int) -> None:
    record = sample.image.tobytes() + sample.mask.tobytes()
    file.write(record)
    entry["crc"] = zlib.crc32(record, entry["crc"])
    counts = np.bincount(sample.mask.ravel(), minlength=VOID + 1).tolist()
    height, width = sample.mask.shape
    entry["sizes"].append((height, width))
    entry["pixels"].append([*counts[:n_classes], counts[VOID]])
    entry["copies"].append(sample.pixels)
    entry["hashes"].append(sample.hashes)
