"""Owns how a folder of pages is written: made beside the old one and swapped in whole.

Nothing is read, written or deleted through a link. Must not know: pages, studies.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

MANIFEST = "manifest.json"  # the names of all files written by us
AT_FDCWD, EXCHANGE = -100, 2  # of renameat2
Content = bytes | Callable[[BinaryIO], object]
KEPT = ".kept"  # behind the name of a user's file that stands where one of ours must


def replace_folder(folder: Path, contents: Mapping[str, Content]) -> None:
    """Put files in a folder in place of those of the last time; what else is in it is kept.

    A kill at any moment leaves the folder of before or the new one. Where `folder`, or anything in
    it that must make room, is a link, the link goes and its target stays as it is.

    Args: contents: names relative to `folder`, with "/" between folders; the bytes of a file, or
        what writes them to it (a table of many rows is never whole in memory).
    Raises: ValueError if something other than a folder or a link stands there; OSError.
    """
    if not _is(folder, stat.S_ISDIR, stat.S_ISLNK, none=True):
        raise ValueError(
            f"{folder} must be a folder for pages, got something else of that name; move it away"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        fresh.mkdir()
        names = sorted({*contents, MANIFEST})
        manifest = json.dumps({"files": names}, indent=1).encode()
        for name, content in {**contents, MANIFEST: manifest}.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                content(file) if callable(content) else file.write(content)
        if _is(folder, stat.S_ISDIR):
            _keep(folder, fresh, last=_listed(folder))
        _swap(fresh, folder)
    finally:
        _remove(fresh)


def _keep(old: Path, fresh: Path, last: set[str] | None) -> None:
    """Give what is not ours in the old folder a place in the fresh one, by hard links.

    Args: last: the files that the last report wrote; None: it is not known, and no file of a name
        that is written now is anyone else's.
    """
    for name, entry in _walk(old):
        if name in (last or ()):
            continue
        target = fresh / name
        with contextlib.suppress(FileExistsError, NotADirectoryError):  # a file of ours is there
            target.parent.mkdir(parents=True, exist_ok=True)
        if _is(target) or not _is(target.parent, stat.S_ISDIR):
            if last is None or entry.is_symlink():
                continue
            target = fresh / f"{name.replace('/', '-')}{KEPT}"
        _link(Path(entry.path), target)


def _link(source: Path, target: Path) -> None:
    """A second name of a file, or of a link itself; a copy where there are no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _walk(folder: Path, before: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything under a folder but the folders themselves, no link followed."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{before}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            else:
                yield name, entry


def _listed(folder: Path) -> set[str] | None:
    """The files that the last report wrote; None where no manifest of ours tells."""
    try:
        handle = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            names = json.loads(file.read(1 << 22))["files"]
        return {str(name) for name in names}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _swap(fresh: Path, folder: Path) -> None:
    """The fresh folder under the name of the old one, the old one (if any) under the other's."""
    if not _is(folder):
        fresh.rename(folder)
    elif not _exchange(fresh, folder):  # a file system that cannot: with a moment of neither
        aside = _aside(folder, os.getpid())
        folder.rename(aside)
        fresh.rename(folder)
        _remove(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _aside(folder: Path, pid: int) -> Path:
    return folder.with_name(f".{folder.name}.{pid}.old")


def _sweep(folder: Path) -> None:
    """Remove what killed processes left beside the folder; put back what one had moved aside."""
    for path in folder.parent.iterdir():
        start, _, end = path.name.removeprefix(f".{folder.name}.").partition(".")
        if not path.name.startswith(f".{folder.name}.") or not start.isdigit():
            continue
        if end not in ("part", "old") or (int(start) != os.getpid() and _runs(int(start))):
            continue
        if end == "old" and not _is(folder):
            path.rename(folder)
        else:
            _remove(path)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _remove(path: Path) -> None:
    """A folder, or a link to one, where it is there; what cannot be removed is tried next time."""
    if _is(path, stat.S_ISDIR):
        shutil.rmtree(path, ignore_errors=True)
    elif _is(path):
        path.unlink()


def _is(path: Path, *kinds: Callable[[int], bool], none: bool = False) -> bool:
    """Whether there is something, of one of these kinds, no link followed; `none`: or nothing."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return none
    return not kinds or any(kind(mode) for kind in kinds)
