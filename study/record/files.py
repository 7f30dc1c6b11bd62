"""How anything is written and read here: strict JSON, atomic files, the names of files.

Knows the standard library, NumPy and pydantic; nothing of runs or studies.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import typing
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from study.record.inside import RecordError, check_file, open_file, read_bytes

STUDY, RUNS, REPORT = "study.json", "runs", "report"  # of a study
MANIFEST = "manifest.json"  # of a report: the names of its files
CONFIG, JOURNAL, HISTORY = "config.json", "journal.jsonl", "history.json"  # of a run
BEST, LAST, PREVIOUS = "best.pt", "last.pt", "previous.pt"  # weights; checkpoints
CONFUSION, PANEL, PANEL_SHEET = "confusion.npz", "panel.npz", "panel.png"
TUNING = "tuning"  # folder of all tunings, beside the studies
DRIVER_LOCK, DRIVER_PID, RUN_LOCK = "driver.lock", "driver.pid", "lock"
PART = re.compile(r"\..+\.(?P<pid>\d{1,10})\.part")  # what a process writes, before its renaming

Scalar = bool | int | float | str | None
Arrays = dict[str, npt.NDArray[typing.Any]]
MOST_BYTES = 2**31  # of the arrays of an .npz file, where nothing more is known


def as_text(value: Scalar) -> str:
    """A value as a user would write it: 30 for 30.0, none for None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return "none" if value is None else str(value)


# How pydantic calls the kinds of a Scalar, and how we do.
KIND_WORDS: dict[int | str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a finite number",
    "str": "text",
}


class OnDisk(BaseModel):
    """What all records have in common: nothing unknown in them, no NaN, not changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def having(self, **changes: object) -> typing.Self:
        """The same record with some fields changed, checked again."""
        return type(self).model_validate({**dict(self), **changes})


Model = typing.TypeVar("Model", bound=OnDisk)


def read_model(path: Path, model: type[Model], way_out: str) -> Model:
    """The record stored in a JSON file.

    Args: way_out: what to do about a file that is not such a record.
    Raises: FileNotFoundError; RecordError in one line.
    """
    content = read_bytes(path)
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise RecordError(f"{path} {complaint(error)}; {way_out}") from None


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong with a record: where, the rule, the value."""
    errors = error.errors(include_url=False)
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return f"must be a JSON object, got an unreadable file ({first['msg']})"
    if first["type"] == "missing":
        return f"must have {where}, got none"
    if first["type"] == "extra_forbidden":
        return f"must have no {where}, which this version does not know"
    if first["type"] == "value_error":  # a rule of ours says it all
        return str(first["ctx"]["error"])
    rule = first["msg"][0].lower() + first["msg"][1:]
    if first["loc"] and first["loc"][-1] in KIND_WORDS:  # of several kinds it is none
        kinds = [e["loc"][-1] for e in errors if e["loc"][:-1] == first["loc"][:-1]]
        where = ".".join(str(part) for part in first["loc"][:-1])
        rule = f"should be {' or '.join(KIND_WORDS[kind] for kind in kinds if kind in KIND_WORDS)}"
    got = " ".join(repr(first["input"]).split())[:60]
    return f"must fit its format: {where and f'{where}: '}{rule}, got {got}"


def parse_json(text: str | bytes) -> typing.Any:
    """JSON of finite numbers; ValueError for anything else."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not np.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk, or the user's quota, is used up.

    torch.save may raise a RuntimeError over the OSError of the file it writes to.
    """
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or (error.__context__ is not None and disk_full(error.__context__))


def atomic_write(path: Path, write: Callable[[Path], object], keep: Path | None = None) -> None:
    """Call `write` on a temporary neighbour, flush it to disk and rename it to `path`.

    What was there before is renamed to `keep` where that is given; a link there is replaced, not
    followed.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.is_dir() and not path.is_symlink():
        check_file(path)
    try:
        part.unlink(missing_ok=True)  # of a process of before, or planted
        open_file(part, "xb").close()
        write(part)
        with open_file(part) as file:
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Flush a folder to disk: what was made or renamed in it survives a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def clean(path: Path) -> None:
    """Remove from a folder what a killed process left half-written; nobody else may write there."""
    for part in path.glob(".*.part"):
        if PART.fullmatch(part.name):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text atomically."""
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON, or a record as JSON, atomically."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False))


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[typing.Any]]) -> None:
    """Write compressed arrays atomically."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # a path would get the suffix .npz
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # of its allow_pickle

    atomic_write(path, write)


def read_npz(path: Path, way_out: str, *needed: str, at_most: int = MOST_BYTES) -> Arrays:
    """All arrays of an .npz file, at most so many bytes: seen from their headers, before any is
    read. RecordError when it is larger, damaged, or lacks an array that is needed."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            stored = [_Array(archive, member) for member in archive.infolist()]
            if (n_bytes := sum(one.n_bytes for one in stored)) > at_most:
                raise ValueError(f"arrays of {n_bytes:,} bytes, and at most {at_most:,} can be")
            found = {one.name: one.read() for one in stored}
    except RecordError:
        raise
    except Exception as error:  # NumPy and zipfile raise many types for damaged files
        raise RecordError(f"{path} must be a whole .npz file, got {error}; {way_out}") from None
    if missing := [name for name in needed if name not in found]:
        raise RecordError(
            f"{path} must hold {' and '.join(needed)}, got no {', '.join(missing)}; {way_out}"
        )
    return found


class _Array:
    """An array of an .npz file, its header read; ValueError unless as many bytes are stored."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.name, self._file = member.filename.removesuffix(".npy"), archive.open(member)
        version = np.lib.format.read_magic(self._file)
        read = np.lib.format.read_array_header_2_0
        if version == (1, 0):
            read = np.lib.format.read_array_header_1_0
        self._shape, fortran, self._dtype = read(self._file)
        self._order: typing.Literal["F", "C"] = "F" if fortran else "C"
        self.n_bytes = math.prod(self._shape) * self._dtype.itemsize
        if (
            min(self._shape, default=0) < 0
            or self.n_bytes + self._file.tell() != member.file_size
            or self._dtype.hasobject
        ):
            raise ValueError(
                f"an array {member.filename} {self._shape} of {self._dtype} in "
                f"{member.file_size} bytes"
            )

    def read(self) -> npt.NDArray[typing.Any]:
        with self._file as file:  # to its end, where zipfile compares the checksum
            content = bytearray(file.read())
        return np.frombuffer(content, self._dtype).reshape(self._shape, order=self._order)
