"""Faults of folders that someone else made or moved: links, pipes, devices; copies of `--out`.

Names of `python -m benchmarks.faults`; each returns a row of its table.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from benchmarks.command import Said, command, files_of, finished, named, small
from benchmarks.outside import Row
from study.tracking.place import local_folder

VERBS = ("sync", "report", "grid")
LONG_AGO = 1e9  # when secrets were last read; a read changes it, also where time is `relatime`


def links(root: Path, data: Path) -> Row:
    """Each file of a study's folder (the report's all at once) replaced, three ways.

    A link meets each command; a FIFO and /dev/zero meet one, each file another.
    """
    out = finished(root / "links", data)
    shutil.rmtree(out / "mlartifacts")
    _forget(out / "mlflow.db")
    inside = [p.relative_to(out / "s") for p in files_of(out / "s")]
    sets = [[p] for p in inside if p.parts[0] != "report"]
    sets.append([p for p in inside if p.parts[0] == "report"])
    count: Counter[str] = Counter()
    bad, n = [], 0
    for shift, way in enumerate((_secret, _fifo, _zero)):
        for index, names in enumerate(sets):
            place = root / "links-copy"
            shutil.copytree(out, place)
            secrets = [way(place / "s" / name, root / "secrets") for name in names]
            for verb in VERBS if way is _secret else [VERBS[(index + shift) % len(VERBS)]]:
                words = small(place, data, "--seeds", "1") if verb == "grid" else named(place)
                said, n = command(f"--{verb}", *words), n + 1
                found = _harm(said, place, [s for s in secrets if s])
                count.update(found)
                if found:
                    bad.append(f"{verb} {way.__name__[1:]} {names[0]}: {', '.join(found)}")
            shutil.rmtree(place)
            shutil.rmtree(root / "secrets", ignore_errors=True)
    kinds = ("read", "changed", "sent", "waited for", "no clean end")
    counted = ", ".join(f"{count[kind]} {kind}" for kind in kinds)
    how = f"{len(inside)} names x link to a secret, FIFO, /dev/zero; sync, report, grid"
    return "links in a study", how, n, "-", "-", counted + (f"; BAD: {bad}" if bad else "")


def _forget(path: Path) -> None:
    """Empty MLflow's tables: everything is to be sent again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (name,) in tables.fetchall():
            if name != "alembic_version" and not name.startswith("sqlite_"):
                database.execute(f'DELETE FROM "{name}"')


def _secret(path: Path, secrets: Path) -> tuple[Path, str]:
    """A link to a file elsewhere, of a content that would be taken; its path and digest."""
    secrets.mkdir(exist_ok=True)
    secret = secrets / f"{len(list(secrets.iterdir()))}-{path.name}"
    secret.write_bytes(path.read_bytes() + b"\n")
    path.unlink()
    path.symlink_to(secret)
    return secret, _digest(secret)


def _fifo(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _zero(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _digest(path: Path) -> str:
    """Of a file's content; it counts as not read."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    os.utime(path, (LONG_AGO, path.stat().st_mtime))
    return found


def _harm(said: Said, place: Path, secrets: list[tuple[Path, str]]) -> list[str]:
    """What a command did that it must not have done."""
    found = ["read" for secret, _ in secrets if secret.stat().st_atime > LONG_AGO]
    found += ["changed" for secret, digest in secrets if _digest(secret) != digest]
    artifacts, digests = place / "mlartifacts", {digest for _, digest in secrets}
    found += ["sent" for path in artifacts.rglob("*") if path.is_symlink()]
    found += ["sent" for path in files_of(artifacts) if _digest(path) in digests]
    found += ["waited for"] * (said.code is None)
    return found + ["no clean end"] * (said.code is not None and not said.clean)


def moved(root: Path, data: Path) -> Row:
    """`--out` copied, the original kept, then removed; one more seed in the copy."""
    out, said, new, foreign, n = finished(root / "original", data), [], 0, [], 0
    for name, make in (("kept", shutil.copytree), ("removed", os.rename)):
        copy = root / name
        make(out, copy)
        before = _state(out)
        for words in (
            ["--grid", *small(copy, data, "--seeds", "2")],
            ["--sync", *named(copy)],
            ["--report", *named(copy)],
        ):
            one, n = command(*words), n + 1
            said += [f"{name} {words[0]}: exit {one.code} {one.err[-200:]}"] * (one.code != 0)
        new += len(before.items() ^ _state(out).items())
        foreign += [f"{name}: {uri}" for uri in _unresolved(copy)]
    bad = f"; BAD: {said + foreign}" if said or foreign else ""
    return (
        *("output folder moved", "copied, original kept and removed; grid, sync, report", n),
        *(len(foreign), "-", f"{new} changes in the original, {len(foreign)} unresolved{bad}"),
    )


def _state(folder: Path) -> dict[Path, tuple[float, str]]:
    return {p: (p.stat().st_mtime, _digest(p)) for p in files_of(folder)}


def _unresolved(out: Path) -> list[str]:
    """Artifact addresses outside of `out`, or of a run of a seed that has none there."""
    with closing(sqlite3.connect(out / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT artifact_uri, EXISTS (SELECT * FROM tags t WHERE t.run_uuid = r.run_uuid AND "
            "t.key = 'role') FROM runs r UNION SELECT artifact_location, 0 FROM experiments "
            "WHERE name = 's'"
        ).fetchall()
    if sum(is_run for _, is_run in rows) != 2:
        return [f"2 runs must be there, got {rows}"]
    places = [(uri, local_folder(uri), is_run) for uri, is_run in rows]
    return [
        uri
        for uri, place, is_run in places
        if place is None
        or not place.is_relative_to(out.resolve())
        or (is_run and not list(files_of(place)))
    ]
