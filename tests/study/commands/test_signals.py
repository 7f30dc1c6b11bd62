"""Ctrl-C and SIGTERM: in order, at once, and at the latest after a while."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, time
from study.commands import signals as interrupt
class Executor:
    stopped = False
    def interrupt(self):
        self.stopped = True
executor, interrupt.LAST_S = Executor(), {last_s}
with interrupt.interruptible("COMMAND"):
    {body}
"""
ORDERLY = """
    with interrupt.stop_on_signal(executor.interrupt):
        os.kill(os.getpid(), signal.{signal})
        assert executor.stopped
    print("stopped in order")
"""
OUTSIDE = """
    try:
        os.kill(os.getpid(), signal.{signal})
    except KeyboardInterrupt:
        print("raised")
"""
TWICE = """
    with interrupt.stop_on_signal(executor.interrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.{signal})  # at once: the same wish
        time.sleep(0.5)
        os.kill(os.getpid(), signal.{signal})
        print("still here")
"""
LATE = """
    with interrupt.stop_on_signal(executor.interrupt):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(20)
        print("still here")
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "body, last_s, text, code",
    [
        (ORDERLY, 9, "stopped in order\n", 0),
        (OUTSIDE, 9, "raised\n", 0),
        (TWICE, 9, "", 130),
        (LATE, 0.2, "interrupted; continue with: COMMAND\n", 130),
    ],
    ids=["in order", "outside", "twice", "late"],
)
def test_signals(signal, body, last_s, text, code):
    script = SCRIPT.format(
        last_s=last_s, body=body.format(signal=signal).lstrip("\n ").replace("\n    ", "\n    ")
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert (done.stdout, done.returncode, done.stderr) == (text, code, "")
    assert time.monotonic() - began < 10
