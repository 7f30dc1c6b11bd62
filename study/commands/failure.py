"""What an error looks like: one line on standard error, whatever it is; never a traceback.

A refusal of ours says all itself. What the system refused gets its path and a remedy. Anything
else was not foreseen: the line says where its traceback lies.
"""

from __future__ import annotations

import dis
import errno
import os
import tempfile
import traceback
from pathlib import Path

from study.commands.streams import complain
from study.commands.words import one_line
from study.errors import shown

REFUSED, UNFORESEEN = 2, 3  # exit codes
OURS = ("seglib", "study", "analysis", "runs", "__main__")
INSTALL = "pip install -c constraints.txt -e ."
AGAIN = "run the same command again"
ROOM = f"make room and {AGAIN}"
REMEDIES = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EACCES: "give this user the right to it, or another --out",
    errno.EPERM: "give this user the right to it, or another --out",
    errno.EROFS: "give an --out that can be written",
    errno.ENOENT: f"put it back and {AGAIN}",
    errno.EISDIR: "move the folder away",
    errno.ENOTDIR: "move away what lies where a folder should be",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "mend the links, which lead in a circle",
    errno.EMFILE: f"raise `ulimit -n` or give fewer --workers, and {AGAIN}",
    errno.ENFILE: f"close other programs and {AGAIN}",
    errno.EIO: f"look after the disk and {AGAIN}",
}


def fail(error: BaseException, out: Path | None = None) -> int:
    """Say what went wrong in one line; returns the exit code.

    Args: out: where the traceback of what was not foreseen is put, else the temporary folder.
    """
    if text := _refusal(error):
        complain(one_line(text))
        return REFUSED
    first = one_line(shown(str(error)))[:300]
    kept = _keep(error, out)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        what = f"out of memory ({first or 'no more was said'}); give fewer --workers, or a smaller"
        complain(f"{what} --set max_side in a new --study; {kept}")
    else:
        what = f"{type(error).__name__}: {first}" if first else type(error).__name__
        complain(
            f"not foreseen: {what}; finished runs are kept: {AGAIN}, and if it comes back, "
            f"report it with its traceback; {kept}"
        )
    return UNFORESEEN


def _refusal(error: BaseException) -> str:
    """The line of an error that says itself what is wrong and what to do; "" for any other."""
    cause = error.__context__
    if isinstance(error, ImportError):
        return f"the packages must be installed, got: {one_line(str(error))}; run: {INSTALL}"
    if (
        isinstance(error, RuntimeError)
        and isinstance(cause, OSError)
        and cause.errno == errno.ELOOP
    ):
        error = cause  # Path.resolve raises it over the system's
    if isinstance(error, OSError) and error.errno in REMEDIES:
        reason, remedy = os.strerror(error.errno), REMEDIES[error.errno]
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)} must be usable, got: {reason}; {remedy}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            return f"{reason}; {remedy}"
    foreseen = isinstance(error, (ValueError, OSError)) and _raised_by_us(error)
    return str(error) if foreseen else ""


def _raised_by_us(error: BaseException) -> bool:
    """Whether a `raise` of ours made it: not a library, nor something that we called wrongly."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next:
        trace = trace.tb_next
    frame = trace.tb_frame
    name = str(frame.f_globals.get("__name__", "")).split(".")[0]
    step = dis.opname[frame.f_code.co_code[trace.tb_lasti]]
    return step == "RAISE_VARARGS" and name in OURS


def _keep(error: BaseException, out: Path | None) -> str:
    """Write the traceback to a new file that only this user reads; where it is, in words."""
    text = shown("".join(traceback.format_exception(error)))
    for folder in (out if out and out.is_dir() else None, None):
        try:
            number, name = tempfile.mkstemp(".txt", "traceback-", folder)
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return f"traceback: {one_line(name)}"
        except OSError:
            continue
    return "its traceback could not be written anywhere"


def in_thread(args: object) -> None:
    """What a thread, or a destructor, did not catch: kept, and said in a line."""
    error = getattr(args, "exc_value", None)
    if error is not None and not isinstance(error, SystemExit):
        fail(error)
