"""What killed processes leave behind: half-written folders `.NAME.PID`, found and removed.

The process that writes one holds a lock on `LOCK` in it; the lock ends with the process, whatever
ends it, and holds between containers of one machine, where process numbers say nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path

LOCK = "lock"
_NAME = re.compile(r"\..+\.(\d+)")


def hold(folder: Path) -> int:
    """Mark `folder` as being written; the file descriptor returned holds the mark until closed."""
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def sweep(root: Path) -> tuple[int, int]:
    """Remove the leftovers directly in `root`: how many, and their bytes.

    What another user's process or a living one writes, and what cannot be removed, stays.
    """
    n_removed, n_bytes = 0, 0
    for folder in sorted(root.glob(".*.*")) if root.is_dir() else []:
        name = _NAME.fullmatch(folder.name)
        if not name or folder.is_symlink() or not folder.is_dir():
            continue
        if _is_written(folder, int(name[1])):
            continue
        size = sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            n_removed, n_bytes = n_removed + 1, n_bytes + size
    return n_removed, n_bytes


def _is_written(folder: Path, pid: int) -> bool:
    """Whether a process still writes it; by the process number where there is no lock."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Path(f"/proc/{pid}").exists()
    except OSError:
        return True  # another user's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
