"""One driver a study at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout

from study.record import files
from study.record.files import write_text
from study.record.inside import check_file, lock, read_bytes
from study.study import Study, StudyError


@contextmanager
def study_lock(study: Study) -> Iterator[None]:
    """One driver a study; a second is refused with one line. What was refused leaves no folder."""
    study.path.mkdir(parents=True, exist_ok=True)
    owner, held = study.path / files.DRIVER_PID, study.path / files.DRIVER_LOCK
    try:
        with lock(held, 0):
            write_text(owner, str(os.getpid()))
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    if {path.name for path in study.path.iterdir()} == {owner.name, held.name}:
                        for path in (owner, held):
                            path.unlink()
                        study.path.rmdir()
    except Timeout:
        who = read_bytes(owner, 100).decode(errors="replace") if check_file(owner) else "?"
        who = who if who.isdecimal() else "?"
        raise StudyError(
            f"study {study.name} is being run by process {who}; wait for it or use another --study"
        ) from None
