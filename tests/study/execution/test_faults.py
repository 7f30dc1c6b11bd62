"""What a run makes of a full disk, too little memory, a broken model, a clock set back."""

import errno

import numpy as np
import pytest
import torch

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.execution import parts, results
from study.execution import run as runner
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
    assert times == [10_000.0] * 5 and next(now) < 9_600  # the clock was read, and is behind


def test_an_exception_in_a_model(kept_store, tmp_path, monkeypatch):
    class Broken(torch.nn.Conv2d):
        def forward(self, images):
            raise KeyError("no such layer")

    monkeypatch.setattr(parts, "build_network", lambda config, n_classes: Broken(3, n_classes, 1))
    state, events = do(kept_store, tmp_path / "1")
    assert state == "failed" and events[-1].error == "KeyError: 'no such layer'"
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
