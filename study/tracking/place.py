"""Artifacts that lie in a folder here: where, and how files come there. Links are not followed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse


def local_folder(artifact_uri: str) -> Path | None:
    """Where artifacts lie beside a local database; None where a server has them."""
    url = urlparse(artifact_uri)
    return Path(unquote(url.path)) if url.scheme in ("", "file") else None


def link(path: Path, target: Path) -> None:
    """Have a file stand at `target` too: as a hard link, or as a copy on another file system."""
    if os.path.lexists(target):
        there, here = target.lstat(), path.lstat()
        same = (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
        if same or (not target.is_symlink() and there.st_size == here.st_size):
            return
        target.unlink()  # an earlier state, from a copy
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:  # another file system
        copy(path, target)


def copy(path: Path, target: Path) -> None:
    """Copy a file in place of the one of that name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(path, part, follow_symlinks=False)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
