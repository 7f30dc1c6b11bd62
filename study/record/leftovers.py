"""What killed processes left half-written in `<out>`: found by the process id in its name.

A leftover is removed once its process is gone. Processes of other machines or containers that share
`<out>` are not seen: one machine at a time works on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from study.record import files

# Files beside what they become, and what SQLite has beside those.
FILE = re.compile(files.PART.pattern + r"(-journal|-wal|-shm)?")
FOLDER = re.compile(r"\..+\.(?P<pid>\d{1,10})(-\w{8})?")  # of decoded images, of unpacked data
FOLDERS_IN = ("store", "data")
SLACK_S = 2.0  # between the clocks of the file system and of the kernel


def sweep(out: Path) -> str:
    """Remove what killed processes left below `out`; one line on what that was, "" for nothing."""
    removed, n_bytes = [], 0
    for path, pid in _candidates(out):
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
            if _writes(pid, found.st_mtime):
                continue
            n_bytes += _remove(path, found)
            removed.append(str(path.relative_to(out)))
    if not removed:
        return ""
    more = f" and {len(removed) - 3} more" * (len(removed) > 3)
    return (
        f"removed what killed processes had left in {out}, {n_bytes / 1e6:.1f} MB: "
        f"{', '.join(removed[:3])}{more}"
    )


def _candidates(out: Path) -> Iterator[tuple[Path, int]]:
    """What has the name of a half-written file or folder, and the process that writes it."""
    yield from _named(out, FILE)
    for study in _folders(out):
        if study.name in FOLDERS_IN:
            for place in (study, *_folders(study)):
                yield from _named(place, FOLDER)
        if study.name == files.TUNING or (study / files.STUDY).exists():
            yield from _named(study, FILE)
            for inner in _folders(study):  # `runs` of a study; of the tunings each
                yield from _named(inner, FILE)
                for run in _folders(inner):
                    yield from _named(run, FILE)


def _named(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, int]]:
    """Its entries of that name: folders for `FOLDER`, else no folders."""
    for entry in _entries(folder):
        match = pattern.fullmatch(entry.name)
        if match and entry.is_dir(follow_symlinks=False) == (pattern is FOLDER):
            yield Path(entry.path), int(match["pid"])


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder; links are not followed."""
    return [Path(e.path) for e in _entries(folder) if e.is_dir(follow_symlinks=False)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # none there, or not ours to read
        return []


def _remove(path: Path, found: os.stat_result) -> int:
    """Remove a file or a folder, and no target of a link; the bytes it had."""
    if not stat.S_ISDIR(found.st_mode):
        path.unlink()
        return found.st_size
    inside = [Path(root, name) for root, _, names in os.walk(path) for name in names]
    n_bytes = sum(os.lstat(file).st_size for file in inside)
    shutil.rmtree(path)
    return n_bytes


def _writes(pid: int, since: float) -> bool:
    """Whether the process that last wrote at `since` is still there: no later one of its number."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return False
    if state in "ZX" or boot is None:
        return False
    began = int(boot[1]) + int(rest[18]) / os.sysconf("SC_CLK_TCK")
    return began <= since + SLACK_S
