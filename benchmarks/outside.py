"""Faults that come from outside: readers that go, kills while files are half-written, odd streams.

Names of `python -m benchmarks.faults`; each returns a row of its table.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.command import finished, named, small
from benchmarks.fault_study import ROOT, Study
from seglib.data.shapes import write_shapes

Row = tuple[object, ...]
SWEPT = "removed what killed processes had left"


def reader(study: Study, whole: Study, rng: random.Random) -> Row:
    """Standard output's reader gone, and SIGHUP, 6 random moments each."""
    bad: list[str] = []
    ends: Counter[int] = Counter()
    for i in range(12):
        hang_up = i % 2 == 1
        theirs, ours = os.pipe()
        process = study.start(stdout=ours, stderr=subprocess.PIPE)
        os.close(ours)
        while not _catches(process.pid, signal.SIGHUP):
            time.sleep(0.01)
        if i % 4 > 1:
            study.wait_for_events(process)
        time.sleep(rng.uniform(0, 3))
        if hang_up:
            process.send_signal(signal.SIGHUP)
        else:
            os.close(theirs)
        _, errors = process.communicate()
        if hang_up:
            os.close(theirs)
        ends[process.returncode] += 1
        said = len(errors.splitlines()) == 1 and "continue with: python runs.py" in errors
        if process.returncode != (130 if hang_up else 141) or not said:
            bad.append(f"{'SIGHUP' if hang_up else 'closed'} {process.returncode}: {errors[-300:]}")
    study.finish()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    codes = ", ".join(f"{n} x exit {code}" for code, n in sorted(ends.items()))
    said = "one line with the command each time" if not bad else f"BAD: {bad}"
    how = f"random moments, imports included; resumed {resumed} times"
    return (
        *("reader of stdout gone, SIGHUP", how, 12, lost),
        *(f"{again} epochs", f"{codes}; {said}; {outcome}"),
    )


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal (or is gone)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1) or "zombie" in "".join(lines[:3])


def leftovers(study: Study, whole: Study, rng: random.Random) -> Row:
    """kill -9 while images are decoded and while checkpoints are written, 3 times each."""
    n = said = left = 0
    tries: Counter[str] = Counter()
    for pattern in ["store/.*"] * 3 + ["s/runs/*/.last.pt.*.part"] * 3:
        while not (found := _killed_at(study, pattern, tries[pattern] > 20)):
            tries[pattern] += 1
        process = study.start()
        text = ""
        for line in process.stdout:
            text += line
            if "started" in line or SWEPT in line:
                break
        process.terminate()
        text += process.communicate()[0]
        n, said = n + 1, said + (SWEPT in text)
        left += sum(path.exists() for path in found)
    study.finish()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    how = f"while images are decoded, while checkpoints are written; resumed {resumed} times"
    return (
        *("kill -9 with files half-written", how, n, lost, f"{again} epochs"),
        f"{said} of {n} said at the next start, {left} left; {outcome}",
    )


def _killed_at(study: Study, pattern: str, give_up: bool) -> list[Path]:
    """Start the study, kill all of it once a name of the pattern is there; what is left of it."""
    if give_up:
        raise RuntimeError(f"a kill must leave {pattern}, got none in 20 tries")
    for path in study.out.glob("store/*"):  # decode again
        for file in path.glob("*"):
            file.unlink()
        path.rmdir()
    process = study.start(start_new_session=True)
    while not (seen := list(study.out.glob(pattern))) and process.poll() is None:
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for run in study.runs():
        while run.locked():
            time.sleep(0.05)
    return [path for path in seen if path.exists()]


@contextmanager
def _read_only() -> Iterator[Path]:
    """A folder in which nothing can be written: a file system of its own, else the kernel's."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", folder]
        mounted = subprocess.run(words, capture_output=True).returncode == 0
        try:
            yield Path(folder) if mounted else Path("/proc/sys")
        finally:
            if mounted:
                subprocess.run(["umount", folder], check=True)


def streams(root: Path, data: Path) -> Row:
    """Output to a full device, closed streams, a folder that cannot be written, a batch of one."""
    out, one = finished(root / "streams", data), root / "one"
    write_shapes(one, n_train=1, n_val=1, n_test=1)
    grid, report = ["--grid", *small(out, data, "--seeds", "1")], ["--report", *named(out)]
    alone = "--matrix default --only model=resnetunet --only init=scratch --only loss=bce".split()
    alone += ["--seeds", "1", "--data", str(one), "--out", str(root / "alone")]
    alone += "--set epochs=1 --set width=4 --set precision=fp32".split()
    bad, n = [], 0
    with _read_only() as place:
        for words, where, codes, n_lines in (
            (grid, ">/dev/full", {141}, 1),
            (report, ">/dev/full", {141}, 1),
            (grid, ">&-", {0}, 0),
            (report, ">&- 2>&-", {0}, 0),
            (["--grid", "--data", str(root / "none")], "2>/dev/full", {2}, 0),
            (["--grid", *small(place, data)], ">/dev/null", {2}, 1),
            (["--check", data, "--out", place / "x"], ">/dev/null", {2}, 1),
            (["--grid", *alone, "--set", "crop_px=32"], ">/dev/null", {2}, 1),
            (["--plan", *alone, "--set", "crop_px=8"], ">/dev/null", {2}, 1),
        ):
            line = [sys.executable, "runs.py", *map(str, words)]
            process = subprocess.run(
                ["bash", "-c", f'exec "$@" {where}', "bash", *line],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            said, n = process.stdout + process.stderr, n + 1
            wrong = process.returncode not in codes or len(said.splitlines()) != n_lines
            if wrong or "Traceback" in said:
                words = " ".join(map(str, words[:3]))
                bad.append(f"{words} {where}: exit {process.returncode}, {said[-300:]!r}")
    ends = "exit code and number of lines as documented each time" if not bad else f"BAD: {bad}"
    how = "/dev/full, closed, read-only folder, batch of one"
    return "streams and folders that take nothing", how, n, "-", "-", ends
