"""Half-written stores of killed processes are removed, those of living ones are not."""

import os
import signal
import subprocess
import sys

import pytest

from seglib.data.folder import open_folder
from seglib.data.leftovers import hold, sweep
from study.execution.preflight import prepare_store


def left(root, name, lock=False):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "development.bin").write_bytes(bytes(1000))
    if lock:
        (folder / "lock").touch()
    return folder


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_no_process_writes_is_removed(tmp_path, gone):
    left(tmp_path, f".a-1.{gone}")
    left(tmp_path, f".b.{os.getpid()}", lock=True)  # another process had this number
    kept = [
        left(tmp_path, f".c.{os.getpid()}"),
        left(tmp_path, ".hidden"),
        left(tmp_path, "a-store.1"),
        left(tmp_path, ".d.part"),
    ]
    held = left(tmp_path, f".e.{gone}")
    lock = hold(held)
    elsewhere = left(tmp_path / "elsewhere", "data")
    (tmp_path / f".link.{gone}").symlink_to(elsewhere)
    (tmp_path / f".file.{gone}").write_text("")
    assert sweep(tmp_path) == (2, 2000)
    assert all(path.exists() for path in (*kept, held, elsewhere / "development.bin"))
    os.close(lock)
    assert sweep(tmp_path) == (1, 1000) and sweep(tmp_path) == (0, 0)
    assert sweep(tmp_path / "nothing") == (0, 0)


KILLED = """
import os, signal, sys
from pathlib import Path
from seglib.data import build, open_folder
build.json.dumps = lambda _: os.kill(os.getpid(), signal.SIGKILL)
build.build_store(open_folder(Path(sys.argv[1])), Path(sys.argv[2]), max_side=None)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_what_the_next_start_removes(folder, tmp_path):
    root, notes = tmp_path / "store", []
    words = [sys.executable, "-c", KILLED, str(folder), str(root)]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    assert len([path for path in root.iterdir() if path.name.startswith(".")]) == 1
    prepare_store(open_folder(folder), tmp_path, None, note=notes.append)
    assert [path.name[0] for path in root.iterdir()] == ["t"]
    assert not (next(root.iterdir()) / "lock").exists()
    assert len(notes) == 1
    assert notes[0].startswith("removed 1 half-written store of killed processes from ")
    assert notes[0].endswith("0.1 MB")
