"""Whether a store is still what was written, and the files still those that it was made from.

Runs read the store alone: files that change while a study runs do it no harm. They are found when
the study is continued, by the files' sizes and times or by reading them again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seglib.data.decode import file_hashes
from seglib.data.folder import Folder
from seglib.data.lists import DataError
from seglib.data.store import Store, open_store

BLOCK_BYTES = 2**24
N_NAMED = 3


def damaged(path: Path) -> Path | None:
    """The file of the store at `path` that is not what was written, if any; all of it is read."""
    try:
        store = open_store(path)
    except (DataError, FileNotFoundError):
        return path / "index.json"
    for pool, entry in store.index["pools"].items():
        file = path / f"{pool}.bin"
        if not file.exists() or _crc(file) != entry["crc"]:
            return file
    return None


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc


def check_sources(
    store: Store, folder: Folder, progress: Callable[[int, int], None] | None = None
) -> None:
    """Read every file of `folder` again; finds rot, and a change that left size and time alone.

    Raises: DataError naming the files whose bytes are not those that were decoded.
    """
    decoded, changed = store.hashes(), []
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda name: file_hashes(folder, name), decoded)
        for done, (name, now) in enumerate(zip(decoded, found, strict=True), start=1):
            paths = (folder.image_path(name), folder.mask_path(name))
            changed += [
                str(path)
                for path, before, after in zip(paths, decoded[name], now, strict=True)
                if before != after
            ]
            if progress:
                progress(done, len(decoded))
    if changed:
        raise DataError(
            f"{_named(changed)} must be as decoded: neither size nor time changed, the content "
            "did; restore what is damaged, or `touch` what was changed on purpose"
        )


def find_store(root: Path, fingerprint: str) -> Store | None:
    """The store of the data with this fingerprint under `root`, unless gone or unreadable."""
    for file in sorted(root.glob("*/index.json")):
        try:
            store = open_store(file.parent)
        except DataError:
            continue
        if store.fingerprint == fingerprint:
            return store
    return None


def changes(old: Store, new: Store) -> str:
    """What differs between the files that two stores were made from, in words."""
    before, after = old.hashes(), new.hashes()
    both = [name for name in before if name in after]
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    parts = [
        f"{what}: {_named(names)}"
        for what, names in (
            ("images changed", [n for n in both if before[n][0] != after[n][0]]),
            ("masks changed", [n for n in both if before[n][1] != after[n][1]]),
            ("images added", added),
            ("images removed", removed),
        )
        if names
    ]
    if old.classes != new.classes:
        parts.append("other classes")
    was, now = _groups(old), _groups(new)
    if any(was.get(name) != now.get(name) for name in both):
        parts.append("other groups")
    if old.index.get("rule") != new.index["rule"]:
        parts.append("the same files, but dev is drawn from the groups by another rule now")
    if not added and not removed and _lists(old) != _lists(new):
        parts.append("other lists of the same images")
    return "; ".join(parts)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


def _groups(store: Store) -> dict[str, str]:
    return {
        name: group
        for entry in store.index["pools"].values()
        if entry["groups"]
        for name, group in zip(entry["names"], entry["groups"], strict=True)
    }


def _lists(store: Store) -> list[list[str] | None]:
    return [store.index["dev"], *(entry["names"] for entry in store.index["pools"].values())]
