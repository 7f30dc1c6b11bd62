"""Plain files read whole: a pipe, a device, an endless or too large file is refused at once.

Knows nothing of what a file means.
"""

from __future__ import annotations

import codecs
import os
import shlex
import stat
from pathlib import Path

TEXT_BYTES = 64 * 2**20  # a list of millions of names is smaller


class DataError(ValueError):
    """Bad input data; the message names the file, what was expected and what to do."""


def convert_line(source: Path) -> str:
    """The command that converts `source`, to paste."""
    return f"python runs.py --convert {shlex.quote(str(source))} --to FOLDER"


def shown(name: str) -> str:
    """A file's name to print: as it is where a terminal shows all of it."""
    return name if name.isprintable() else ascii(name)


def oddity(path: Path) -> str:
    """What lies at `path`, links followed, where it is no plain file; "" for one that is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            return f"a link to {os.readlink(path)!r}, which cannot be followed"
        return (error.strerror or str(error)).lower()
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read_plain(path: Path, *, limit: int) -> bytes:
    """The bytes of a plain file; never waits.

    Raises: DataError when it is another kind of file, cannot be read, or has more than `limit`
    bytes (found before they are read, or while an endless one is).
    """
    if odd := oddity(path):
        raise DataError(f"{path} must be a plain file, got {odd}")
    try:  # not to wait even if it becomes a pipe now
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            info = os.fstat(file.fileno())
            size = info.st_size if stat.S_ISREG(info.st_mode) else limit + 1
            content = (file.read(size + 1) if size <= limit else b"") or b""
    except OSError as error:
        raise DataError(f"{path} must be readable: {error.strerror or error}") from None
    if size > limit:
        raise DataError(f"{path} must have at most {limit / 1e6:.0f} MB, got {size / 1e6:.0f} MB")
    if len(content) > size:
        raise DataError(f"{path} must be a file that does not grow while it is read; copy it first")
    return content


def read_text(path: Path, *, limit: int = TEXT_BYTES) -> str:
    """A text file (UTF-8, or UTF-16 that says so). Raises: DataError."""
    content = read_plain(path, limit=limit)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} must be a readable UTF-8 text file, got byte 0x{content[error.start]:02x} on "
            f"line {line}; save it as UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(
            f"{path} must be a readable UTF-8 text file, got bytes 0, as in UTF-16 without its "
            "mark or in a file that is no text; save it as UTF-8"
        )
    return text


def read_lines(path: Path) -> list[str]:
    """The stripped lines of a text file, no blank ones at its end. Raises: DataError."""
    return [line.strip() for line in read_text(path).rstrip().splitlines()]
