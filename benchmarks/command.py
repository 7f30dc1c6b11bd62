"""Commands of `runs.py` in processes that need no imports of their own, what they said, and a
small finished study to give them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_study import ROOT

MOST_BYTES = 4 * 2**30  # of memory: who reads an endless file meets it
SMALL = "--matrix losses --only loss=bce --workers 1 --set epochs=1 --set width=4 --set crop_px=32"
SMALL += " --set batch_size=4 --set precision=fp32 --set threads=1 --set checkpoint_s=0"


@dataclass(frozen=True)
class Said:
    """How a command ended; `code` is None where it did not within its time."""

    code: int | None
    out: str
    err: str

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.out + self.err

    @property
    def clean(self) -> bool:
        """Ended rightly, refused in one line, or with a line on what was not sent."""
        refused = self.code == 2 and len(self.err.splitlines()) == 1
        unsent = self.code == 1 and "not sent: " in self.out
        return not self.traceback and (self.code == 0 or refused or unsent)


def command(*words: object, limit_s: float = 180) -> Said:
    """Run `runs.py` with these words in a fork of this process."""
    _import()
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch) / "out", Path(scratch) / "err"
        child = os.fork()
        if not child:
            _run([str(word) for word in words], out, err)
        deadline, status = time.monotonic() + limit_s, None
        while status is None and time.monotonic() < deadline:
            done, value = os.waitpid(child, os.WNOHANG)
            status = value if done else None
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if status is None:
            os.waitpid(child, 0)
        code = None if status is None else os.waitstatus_to_exitcode(status)
        texts = (path.read_bytes().decode(errors="replace") for path in (out, err))
        return Said(code, *texts)


def _import() -> None:
    """What every command imports, once."""
    import analysis.report  # noqa: F401  # in here: most benchmarks do without
    import runs  # noqa: F401
    from study.commands import check, grid, opening, report, sync  # noqa: F401


def _run(words: list[str], out: Path, err: Path) -> None:
    """In the child: streams, limits and errors as of a program of its own; does not return."""
    code = 99
    try:
        os.setsid()
        os.chdir(ROOT)
        os.environ["OMP_NUM_THREADS"] = "1"
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        for number, path in enumerate((Path(os.devnull), out, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
        sys.argv = ["runs.py", *words]
        import runs  # in here: see _import
        from study.commands.process import begin

        begin()
        code = runs.main(words)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def small(out: Path, data: Path, *more: str) -> list[str]:
    """The words of a small study of one arm."""
    return [*SMALL.split(), "--study", "s", "--data", str(data), "--out", str(out), *more]


def finished(out: Path, data: Path) -> Path:
    """That study, run and reported."""
    for words in (["--grid", *small(out, data, "--seeds", "1")], ["--report", *named(out)]):
        said = command(*words)
        if said.code:
            raise RuntimeError(f"the study must finish, got exit code {said.code}: {said.err}")
    return out


def named(out: Path) -> list[str]:
    return ["--study", "s", "--out", str(out)]


def files_of(folder: Path) -> Iterator[Path]:
    """Plain files, no link followed, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
