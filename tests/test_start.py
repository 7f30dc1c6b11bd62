"""What a command imports before it does anything: seconds that every call would pay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SLOW = ("torch", "torchvision", "optuna", "mlflow", "pandas", "scipy", "matplotlib", "sqlalchemy")
WHAT_IS_THERE = f"import sys; print(*(m for m in {SLOW} if m in sys.modules))"


def imported(code: str, cwd: Path = ROOT) -> set[str]:
    """The slow packages that a fresh process has imported after some code."""
    path = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"{code}\n{WHAT_IS_THERE}"]
    done = subprocess.run(command, cwd=cwd, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_check_sees_what_is_imported():
    assert imported("import scipy") == {"scipy"}
    assert "torch" in imported("from seglib.lazy import torch; torch.zeros(1)")


@pytest.mark.parametrize(
    "code",
    [
        "import runs",
        "import runs; from study.commands.parser import parse; parse(['--plan'], runs.MATRICES)",
        "import study.commands.report, study.commands.sync",
        "import seglib.losses, seglib.metrics, seglib.models, seglib.data, study.config",
        "import numpy, seglib.metrics as m; m.class_counts(numpy.eye(3, dtype=int))",
    ],
)
def test_nothing_slow_is_imported_before_it_is_needed(code):
    assert imported(code) == set()


def test_help_is_there_at_once():
    """User and system time, of a start of Python 0.1 s: the clock of a busy machine tells less."""
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, 'runs.py', '--help'], check=True, stdout=-3)\n"
        "print(sum(os.times()[2:4]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert float(done.stdout) < 1.0  # 0.4 s; with torch 4 s


def test_a_report_and_a_sync_need_no_torch(finished_study):
    """Their commands to the end, with what MLflow imports of its own accord."""
    out, name = str(finished_study.parent), finished_study.name
    for verb in ("--report", "--sync"):
        code = (
            f"import runs; assert runs.main(['{verb}', '--out', {out!r}, '--study', {name!r}]) == 0"
        )
        assert not imported(code) & {"torch", "torchvision", "optuna"}
