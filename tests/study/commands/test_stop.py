"""Stopped, killed, and continued."""

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import runs
from study.record import RunDir
from tests.helpers import flags, mlflow_runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stop_and_continue(out, data, number, capfd):
    """Ctrl-C, or kill -9 of the driver: workers end too, and --grid continues the run."""
    name, n_epochs = f"c{int(number)}", 150
    words = f"--grid --matrix losses --study {name} --seeds 1 --only loss=bce".split()
    words += ["--data", str(data), "--out", str(out)]
    words += flags(epochs=n_epochs, checkpoint_s=0, threads=1)
    process = subprocess.Popen(
        [sys.executable, "runs.py", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    journal = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal and b'"epoch"' in journal.read_bytes()):
        journal = next((out / name).glob("runs/*/journal.jsonl"), None)
        time.sleep(0.05)
    run = RunDir(journal.parent)
    assert run.state() == "running"
    assert runs.main(words) == 2  # a second driver
    assert f"is being run by process {process.pid}" in capfd.readouterr().err
    process.send_signal(number)
    text, _ = process.communicate(timeout=20)
    if number == signal.SIGINT:
        assert process.returncode == 130 and "continue with: python runs.py --grid" in text
    deadline = time.monotonic() + 10
    while run.locked() and time.monotonic() < deadline:
        time.sleep(0.1)
    done = len(run.journal().epochs)
    assert run.state() == "dead" and 1 <= done < n_epochs
    assert runs.main(words) == 0
    written = run.journal()
    assert run.state() == "finished" and [e.attempt for e in written.starts] == [1, 2]
    assert [event.epoch for event in written.epochs] == list(range(1, n_epochs + 1))
    client, all_runs = mlflow_runs(out, name)
    child = next(r for r in all_runs if "role" in r.data.tags)
    steps = [m.step for m in client.get_metric_history(child.info.run_id, "train/loss")]
    assert child.info.status == "FINISHED" and sorted(steps) == list(range(1, n_epochs + 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "line, module", [("--plan --study 'a b'", "pydantic"), ("--grid --only loss=bce", "torch")]
)
def test_ctrl_c_during_the_imports(number, line, module):
    words = [sys.executable, "-X", "importtime", "runs.py", *shlex.split(line)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for shown in process.stderr:
        if module in shown:
            break
    process.send_signal(number)
    text, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in errors
    assert text == f"interrupted; continue with: python runs.py {line}\n"
