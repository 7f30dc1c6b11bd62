"""Opening what lies in a study's folder, which someone else may have made.

Nothing there is reached through a link, waited for, or read beyond a bound: what is read and
written is a plain file in a plain folder. What stands directly in `<out>`, a study's own folder
too, is where the user put it, and may be a link.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

MOST_BYTES = 2**28  # of a record; no study or journal comes near it
MOST_FILE = 2**36  # of any file: a checkpoint of 4 billion weights
OURS = "nothing in a study's folder is read or written through it: move it away"
KINDS = (
    (stat.S_ISREG, "a plain file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class RecordError(ValueError):
    """A file on disk is not what was written; the message names file, rule, value and way out."""


def _kind(mode: int) -> str:
    return next((name for is_kind, name in KINDS if is_kind(mode)), "a device")


def _check(path: Path, wanted: str) -> bool:
    """Whether there is something at `path`; RecordError unless it is of the wanted kind."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    found = _kind(there.st_mode)
    if found == wanted:
        _check_size(path, there.st_size if wanted == "a plain file" else 0, MOST_FILE)
        return True
    if found == "a link":
        with contextlib.suppress(OSError):
            found += f" to {os.readlink(path)!r}"  # whatever letters it has
    raise RecordError(f"{path} must be {wanted}, got {found}; {OURS}")


def check_file(path: Path) -> bool:
    """Whether there is a file; RecordError when it is a link, a pipe, or no plain file at all."""
    return _check(path, "a plain file")


def check_folders(*paths: Path) -> None:
    """Raise RecordError unless each is a folder, and no link to one, or is not there yet."""
    for path in paths:
        _check(path, "a folder")


def _opener(name: str, flags: int) -> int:
    path = Path(name)
    check_file(path)  # opening some devices has effects
    number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise RecordError(f"{path} must be a plain file, got {_kind(found.st_mode)}; {OURS}")
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        if writes and found.st_nlink > 1 and found.st_uid != os.geteuid():
            raise RecordError(
                f"{path} must be a file of its own, got a hard link to one of user {found.st_uid}; "
                "move it away"
            )
    except BaseException:
        os.close(number)
        raise
    return number


def open_file(path: Path, mode: typing.Literal["rb", "ab+", "xb"] = "rb") -> typing.BinaryIO:
    """Open a plain file to read, to append to, or anew.

    Raises: RecordError when it is a link or no plain file; OSError.
    """
    return open(path, mode, opener=_opener)


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a plain file.

    Raises: RecordError when it is no such file, or of more than `most` bytes; OSError.
    """
    with open_file(path) as file:
        return read_rest(file, path, most)


def read_rest(file: typing.BinaryIO, path: Path, most: int = MOST_BYTES) -> bytes:
    """What is left of an open file; RecordError when that is more than `most` bytes."""
    _check_size(path, os.fstat(file.fileno()).st_size - file.tell(), most)
    return file.read(most)


def _check_size(path: Path, n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise RecordError(
            f"{path} must be of at most {most / 2**20:.0f} MiB, got {n_bytes / 2**20:.0f}; no "
            "version of this project wrote it: move it away"
        )


@contextlib.contextmanager
def lock(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold a lock file; filelock.Timeout while another process does, RecordError for no file."""
    check_file(path)
    with FileLock(path, timeout=timeout_s):
        yield
