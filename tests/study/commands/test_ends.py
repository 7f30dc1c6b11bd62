"""Real processes whose output nobody reads, or whose terminal goes away, while runs are under way;
and what can be wrong before the first line of ours."""

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.record import RunDir
from study.tracking.store import connect
from tests.helpers import flags, mlflow_runs, run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PYTHON = [sys.executable, "runs.py"]


def words(out, data, study, epochs):
    line = f"--grid --matrix losses --study {study} --seeds 1 --only loss=bce --workers 1"
    place = ["--data", str(data), "--out", str(out)]
    return [
        *line.split(),
        *place,
        *flags(epochs=epochs, n_evaluations=epochs),
    ]


def begun(folder):
    """The run of a study, once it has trained an epoch."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for journal in folder.glob("runs/*/journal.jsonl"):
            if b'"epoch"' in journal.read_bytes():
                return RunDir(journal.parent)
        time.sleep(0.05)
    raise AssertionError("no run has begun")


def check_stopped_in_order(run, out, study):
    """The journal has its end, MLflow too, nothing goes on."""
    deadline = time.monotonic() + 5
    while run.locked() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.state() == "dead" and run.journal().events[-1].event == "stopped"
    connect(f"sqlite:///{out}/mlflow.db")  # which keeps the warnings of its libraries away
    _, all_runs = mlflow_runs(out, study)
    (status,) = [r.info.status for r in all_runs if "role" in r.data.tags]
    assert status == "KILLED"


@pytest.mark.parametrize("number", [None, signal.SIGHUP], ids=["reader gone", "SIGHUP"])
def test_stopped_in_order(tmp_path, data, number):
    study, line = "s", words(tmp_path, data, "s", 1500)
    process = subprocess.Popen(
        [*PYTHON, *line], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run = begun(tmp_path / study)
    if number:
        process.send_signal(number)
    else:
        process.stdout.close()
    try:
        _, error = process.communicate(timeout=120)
    finally:
        process.kill()
    why = "interrupted, the terminal is" if number else "stopped, the reader of standard output is"
    assert process.returncode == (130 if number else 141)
    assert error.startswith(f"runs.py: {why} gone") and error.count("\n") == 1
    check_stopped_in_order(run, tmp_path, study)
    again = shlex.split(error.partition("continue with: python runs.py ")[2])
    assert "--study" in again and sorted(again) == sorted(line)  # the same, in another order


def test_a_closed_terminal(tmp_path, data):
    """Its whole process group gets SIGHUP, and what is written to it fails."""
    line = words(tmp_path, data, "s", 1500)
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [*PYTHON, *line])
    run = begun(tmp_path / "s")
    os.close(screen)
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert os.waitstatus_to_exitcode(ended[1]) == 130
    check_stopped_in_order(run, tmp_path, "s")


def test_nohup_goes_on(tmp_path, data):
    """SIGHUP that is ignored stays so, closed streams hold nothing up, and no file gets fd 1."""
    line = shlex.join([*PYTHON, *words(tmp_path, data, "s", 6)])
    process = subprocess.Popen(["bash", "-c", f"trap '' HUP; exec {line} >&- 2>&- <&-"], cwd=ROOT)
    begun(tmp_path / "s")
    process.send_signal(signal.SIGHUP)
    try:
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    assert run_command("--report", "--study", "s", out=tmp_path) == 0


@pytest.mark.parametrize(
    "command, code, line",
    [
        ("--plan {0} >/dev/full", 141, "stopped, standard output must be writable, got: No space"),
        ("--plan {0} >&-", 0, ""),
        ("--plan --out /proc 2>/dev/full", 2, ""),
        ("--plan {0} 2>&1 | true", 141, ""),
        ("--help | head -1", 0, ""),
        ("--plan --data $'a\\xff'", 2, "--data must be some text in UTF-8, got 'a\\udcff'"),
        ("--plan --data $'\\x1b]0;t\\a\\n'", 2, r"VOC layout, got \x1b]0;t\x07"),
    ],
)
def test_streams_that_are_not_there(tmp_path, data, command, code, line):
    given = f"--matrix losses --only loss=bce --data {data} --out {tmp_path} {shlex.join(flags())}"
    whole = f"{shlex.join(PYTHON)} {command.format(given)}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", whole], cwd=ROOT, capture_output=True, timeout=120)
    error = done.stderr.decode()
    assert done.returncode == code, error
    assert line in error and error.count("\n") == bool(line) and "Traceback" not in error
    assert error.replace("\n", "").isprintable()


MISTAKES = {  # found at the import, and at the use
    'axes={"model": "unet"}': "axis model must list its values, got 'unet'",
    'cells=({"model": "unet", "loss": "bce"},)': "cannot be read: a cell must have init, got",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_matrix_names_the_matrix(tmp_path, mistake):
    mine = f'MATRICES = {{\n    "mine": Matrix(\n        {mistake}\n    ),'
    (tmp_path / "runs.py").write_text((ROOT / "runs.py").read_text().replace("MATRICES = {", mine))
    done = subprocess.run(
        [*PYTHON, "--plan", "--matrix", "mine", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "matrix mine" in done.stderr and MISTAKES[mistake] in done.stderr


def test_no_warning_reaches_the_terminal(tmp_path):
    """Of Python, of a library that logs, of what cannot be raised; `-W` brings them back."""
    body = (
        "from study.commands.process import begin; begin()\n"
        "import warnings, logging, os, subprocess, sys\n"
        "warnings.warn('w'); logging.getLogger('lib').warning('l')\n"
        "class A:\n    def __del__(self): 1 / 0\n"
        "A()\n"
        "subprocess.run([sys.executable, '-c', 'import warnings; warnings.warn(1)'])\n"
    )
    for more, silent in (([], True), (["-W", "default"], False)):
        done = subprocess.run(
            [sys.executable, *more, "-c", body], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0 and (done.stderr == "") == silent


def test_packages_that_are_not_there(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    done = subprocess.run(
        [*PYTHON, "--plan"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "the packages must be installed, got: No module named torch; run: pip" in done.stderr
