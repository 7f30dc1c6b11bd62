"""The text files of a data set: lists of images, names of classes, groups; read and checked."""

from __future__ import annotations

from pathlib import Path

from seglib.drawing import VOC_CLASSES
from seglib.metrics import VOID

SUFFIXES = (".jpg", ".png", ".jpeg")  # of images


class DataError(ValueError):
    """Bad input data; the message names the file, what was expected and what to do."""


def _lines(path: Path) -> list[str]:
    """The stripped lines of a text file, without blank ones at its end."""
    try:
        if not path.is_file():
            raise OSError("not a file")  # reading a pipe would wait for ever
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a readable UTF-8 text file: {error}") from None
    return [line.strip() for line in text.rstrip().splitlines()]


def read_list(path: Path) -> tuple[str, ...]:
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


def read_classes(root: Path) -> tuple[str, ...]:
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


def read_groups(path: Path, names: tuple[str, ...]) -> dict[str, str] | None:
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
