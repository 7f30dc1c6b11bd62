"""What a run makes of a full disk, too little memory, a broken model, a clock set back."""

import errno

import numpy as np
import pytest
import torch

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.execution import parts, results
from study.execution import run as runner
from study.execution.executor import Job, LocalExecutor
from study.execution.failure import CRASH, TRACEBACK, told
from study.execution.memory import less_memory
from study.record import RunDir, files
from study.record.journal import Note
from tests.helpers import write_folder
from tests.study.execution.tiny import LONG, config, do, numbers


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["checkpoint", "results", "journal"])
def test_a_full_disk_ends_the_run_and_loses_nothing(kept_store, whole, half, monkeypatch, where):
    journal = half.path / files.JOURNAL
    before = journal.read_bytes()
    with monkeypatch.context() as patch:
        if where == "checkpoint":
            patch.setattr(torch, "save", full)
        elif where == "results":
            patch.setattr(results, "write_npz", full)
        else:
            patch.setattr(RunDir, "append", full)
        state, events = do(kept_store, half.path, **LONG)
    assert state == "failed" and events[-1].event == "failed" and events[-1].disk_full
    assert events[-1].error == "disk full: the run could not be written"
    assert not list(half.path.glob(".*.part"))
    if where == "journal":
        assert half.state() == "dead" and journal.read_bytes() == before
    else:
        assert half.state() == "failed"
    _, rest = do(kept_store, half.path, **LONG)  # with room again
    assert half.state() == "finished" and numbers(rest)[-1] == whole[0][-1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(int)),
    ],
)
def test_too_little_memory_says_what_to_try(kept_store, tmp_path, monkeypatch, error):
    def raise_(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(runner, "initial_model", raise_)
        _, events = do(kept_store, tmp_path / "1")
        assert events[-1].error.startswith(
            "out of memory; try --set batch_size=2, or --set accumulate=2 for batches of 4 in 2 "
            "parts; either in a new --study, or fewer --workers in this one ("
        )
    monkeypatch.setattr("seglib.predict.normalise", raise_)
    _, events = do(kept_store, tmp_path / "2")
    assert events[-1].error.startswith("out of memory; it was predicting whole images: try ")


def test_no_memory_for_one_image(kept_store):
    assert less_memory(config(kept_store, batch_size=1)).startswith("try a smaller --set crop_px")
    nine = less_memory(config(kept_store, batch_size=9, accumulate=9))
    assert nine.startswith("try --set batch_size=3; either in a new --study")


def test_a_clock_set_back_confuses_nothing(kept_store, tmp_path, monkeypatch):
    now = iter(range(10_000, 0, -100))
    append = RunDir.append
    monkeypatch.setattr(
        RunDir, "append", lambda self, event: append(self, event.having(time=float(next(now))))
    )
    run_dir = RunDir(tmp_path / "1")
    _, rest = do(kept_store, run_dir.path)
    assert run_dir.state() == "finished" and 0 < rest[-1].duration_s < 100
    RunDir(run_dir.path).append(Note(text="from another process"))
    times = [event.time for event in run_dir.journal().events]
    assert (
        set(times) == {10_000.0} and len(times) > 4 and next(now) < 9_600
    )  # the clock was read, and is behind


def test_an_exception_in_a_model(kept_store, tmp_path, monkeypatch):
    class Broken(torch.nn.Conv2d):
        def forward(self, images):
            raise KeyError("no such layer")

    monkeypatch.setattr(parts, "build_network", lambda config, n_classes: Broken(3, n_classes, 1))
    state, events = do(kept_store, tmp_path / "1")
    assert state == "failed" and events[-1].error.startswith("KeyError: 'no such layer'; ")
    assert "in forward" in events[-1].traceback


def test_a_batch_larger_than_the_data_and_a_class_never_seen(tmp_path):
    folder = write_folder(
        tmp_path / "few",
        {"train": 2, "val": 2, "test": 2},
        classes=("background", "square", "stripe", "never"),
    )
    few = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    state, events = do(few, tmp_path / "1", batch_size=64, accumulate=4, loss="focal_tversky")
    assert state == "finished", events[-1]
    assert events[-1].metrics["test/iou/never"] is None
    assert np.isfinite(events[-1].metrics["test/miou"])


@pytest.mark.parametrize(
    "error, said",
    [
        (ZeroDivisionError("float division by zero"), "ZeroDivisionError: float division by zero"),
        (RuntimeError("first line\nsecond"), "RuntimeError: first line"),
        (SystemError("bad call"), "SystemError: bad call"),
        (KeyError("x"), "KeyError: 'x'"),
        (AssertionError(), "AssertionError"),
        (SystemExit(3), "SystemExit: 3"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (OSError(errno.EIO, "Input/output error"), "OSError: Input/output error"),
        (PermissionError(errno.EACCES, "no", "/x/y"), "PermissionError: Permission denied: /x/y"),
    ],
)
def test_what_nobody_foresaw_says_where_its_traceback_lies(
    kept_store, tmp_path, monkeypatch, error, said
):
    def raise_(*args):
        raise error

    path = tmp_path / config(kept_store).run_id
    with monkeypatch.context() as patch:
        patch.setattr(runner, "initial_model", raise_)
        state, events = do(kept_store, path)
    assert state == "failed" and "\n" not in events[-1].error and "Errno" not in events[-1].error
    assert events[-1].error.startswith(f"{said}; the traceback is in {path / TRACEBACK}: run the ")
    assert "in raise_" in (path / TRACEBACK).read_text() == events[-1].traceback
    assert do(kept_store, path)[0] == "finished" and not (path / TRACEBACK).exists()


def test_an_error_is_never_a_bare_number():
    assert told(OSError(errno.ENOSPC, "x")) == "disk full: the run could not be written"
    assert told(OSError("no number")) == "OSError: no number"


def test_a_traceback_is_not_written_through_a_link(kept_store, tmp_path, monkeypatch):
    path = tmp_path / config(kept_store).run_id
    (tmp_path / "mine").write_text("precious")
    path.mkdir()
    (path / TRACEBACK).symlink_to(tmp_path / "mine")
    monkeypatch.setattr(runner, "initial_model", lambda *_: 1 / 0)
    assert do(kept_store, path)[0] == "failed"
    assert (tmp_path / "mine").read_text() == "precious"
    assert not (path / TRACEBACK).is_symlink()


def test_a_clock_that_stands_still_stops_nothing(kept_store, tmp_path, monkeypatch):
    for clock in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(f"time.{clock}", lambda: 1000.0)
    state, events = do(kept_store, tmp_path / "1")
    assert state == "finished"
    assert events[-1].duration_s == 0.0
    assert not any("train/images_per_s" in e.metrics for e in events if e.event == "epoch")


NETS = """
import os, signal
from torch import nn

class Ends(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.c = nn.Conv2d(3, n_classes, 1)
    def forward(self, x):
        {does}
        return self.c(x)

def make(n_classes):
    return Ends(n_classes)
make.multiple = 8
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "does, said",
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11 (SIGSEGV); what it was doing is in"),
        ("os.abort()", "signal 6 (SIGABRT); what it was doing is in"),
        ("os._exit(3)", "worker ended with exit code 3; run the same command again"),
        ("raise SystemExit(3)", "SystemExit: 3; the traceback is in"),
        ("raise MemoryError", "out of memory; try --set"),
    ],
)
def test_however_a_worker_ends_it_is_one_line(kept_store, tmp_path, monkeypatch, does, said):
    name = f"ending_nets_{len(does)}"  # a module is imported once a process
    (tmp_path / f"{name}.py").write_text(NETS.format(does=does))
    monkeypatch.syspath_prepend(tmp_path)
    values = {"model": f"{name}:make", "loss": "bce", "width": None, "encoder": None}
    one = config(kept_store, **values)
    job = Job(one, "a", tmp_path / one.run_id)
    *_, last = [message.event for message in LocalExecutor(1).run([job])]
    assert said in last.error and "\n" not in last.error, last.error
    if "doing is in" in said:
        assert "in forward" in (job.path / CRASH).read_text()
    else:
        assert not (job.path / CRASH).exists() or "_exit" in does
