"""Where a study's artifacts lie: in its own output folder, also when that was copied or moved.

MLflow keeps absolute addresses: the database of a copy names the original's folders. They are made
right in the output folder's own database; in one that is shared nothing is changed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from study.addresses import MLFLOWS, sqlite_url
from study.tracking.place import local_folder
from study.tracking.store import TrackingError, connect, database, tracking_uri

FOLDER = "mlartifacts"  # of all studies, in the output folder
# Where MLflow keeps addresses: table, column.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def settle(out: Path) -> list[str]:
    """Have this output folder's own database name its own artifacts.

    Returns: a line where the folder was copied or moved.
    Raises: TrackingError when the database cannot be changed.
    """
    uri, out = tracking_uri(out), out.resolve()
    path = database(uri)
    own = path is not None and uri == sqlite_url(out / "mlflow.db") and path.is_file()
    try:
        return _rewrite(path, out) if path is not None and own else []
    except sqlite3.Error as error:
        raise TrackingError(
            f"tracking database {path} must be a writable SQLite file, got: {error}; make it so, "
            "or end what holds it"
        ) from None


def check(out: Path, name: str) -> None:
    """Raise TrackingError where the artifacts of study `name` would go to another folder, or where
    theirs is none."""
    uri = tracking_uri(out)
    for place in (
        (out / FOLDER, out / FOLDER / name) if uri.startswith(("sqlite", *MLFLOWS)) else ()
    ):
        if os.path.lexists(place) and not place.is_dir():
            raise TrackingError(
                f"{place} must be a folder for artifacts, got something else of that name; move it "
                "away"
            )
    check_place(_place(uri, database(uri), name), out / FOLDER / name, name)


def check_place(location: str, wanted: Path, name: str) -> None:
    """Raise TrackingError where an experiment keeps artifacts in a folder that is another."""
    folder = local_folder(location) if location else None
    if folder is None or folder.resolve() == wanted.resolve() or _same(folder, wanted):
        return
    raise TrackingError(
        f"artifacts of study {name} must go to {wanted}, but this MLflow database has them in "
        f"{folder}; run with that --out, or take a new name with --study NEWNAME"
    )


def _place(uri: str, path: Path | None, name: str) -> str:
    """Where an experiment's artifacts go, "" while there is none or where a server has them."""
    if path is None:
        if not uri.startswith(MLFLOWS):
            return ""
        found = connect(uri).get_experiment_by_name(name)
        return str(found.artifact_location) if found else ""
    if not path.exists():
        return ""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
        rows = connection.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", [name]
        )
        return next((str(row[0] or "") for row in rows), "")


def _rewrite(path: Path, out: Path) -> list[str]:
    """Put this folder in place of the one where the database was made."""
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
        before = {
            place.parents[1]
            for name, location in rows
            if (place := local_folder(location or "")) is not None
            and (place.name, place.parent.name) == (name, FOLDER)
            and place.parents[1] != out
        }
        before = {folder for folder in before if not _same(folder, out)}
        if not before:
            return []
        connection.execute("BEGIN IMMEDIATE")
        for folder in before:
            old, new = (f"{one.as_uri()}/{FOLDER}/" for one in (folder, out))
            for table, column in ADDRESSES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old), old),
                )
        connection.execute("COMMIT")
    origin = ", ".join(map(str, sorted(before)))
    return [
        f"this output folder was copied or moved from {origin}: MLflow now has "
        f"its artifacts in {out / FOLDER}; --sync sends those that are not there"
    ]


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder, e.g. mounted at two places."""
    try:
        return one.samefile(other)
    except OSError:
        return False
