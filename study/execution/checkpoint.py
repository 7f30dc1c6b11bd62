"""The checkpoint file: written whole or not at all, and never believed unchecked.

`torch.save`'s bytes, then their sha256. The checkpoint before is kept beside it. Knows nothing of
what a checkpoint holds.
"""

from __future__ import annotations

import hashlib
import io
import typing
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch

from study.record.files import atomic_write
from study.record.inside import RecordError, open_file

DIGEST_BYTES = 32
State = dict[str, typing.Any]  # tensors and plain values


class CheckpointError(ValueError):
    """A checkpoint is not what was written; the message says how that shows."""


class _Hashing:
    """A file to write to that hashes what passes."""

    def __init__(self, file: typing.BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict atomically."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # given a path, torch.save hides the error of a full disk
            torch.save(weights, file)

    atomic_write(path, write)


def save(state: State, path: Path, previous: Path | None) -> None:
    """Write `state` to `path`; what was there becomes `previous`, if given. Raises: OSError."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            hashing = _Hashing(file)
            torch.save(state, typing.cast(typing.BinaryIO, hashing))
            file.write(hashing.sha256.digest())

    atomic_write(path, write, keep=previous)


def load(path: Path) -> State:
    """The state stored at `path`, on the CPU; nothing but tensors and plain values is unpickled.

    Raises: CheckpointError when it is no plain file, the checksum is wrong or something else is in
        it; OSError.
    """
    try:
        with open_file(path) as file:
            body = _body(file)
    except RecordError as error:
        raise CheckpointError(str(error)) from None
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise CheckpointError("it holds more than tensors and plain values") from None
    except (EOFError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"it cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"it must hold a dict, got {type(state).__name__}")
    return state


def _body(file: typing.BinaryIO) -> bytes:
    """What the digest at the end is of; checked in pieces before it is held in memory."""
    n_bytes = file.seek(0, 2) - DIGEST_BYTES
    file.seek(0)
    found, left = hashlib.sha256(), max(n_bytes, 0)
    while left and (piece := file.read(min(left, 2**20))):
        found.update(piece)
        left -= len(piece)
    if n_bytes < 0 or found.digest() != file.read(DIGEST_BYTES):
        raise CheckpointError("its checksum is wrong")
    file.seek(0)
    return file.read(n_bytes)
