"""What a run makes of damaged checkpoints, a full disk, too little memory, other libraries."""

import errno
import hashlib
import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.config import RunConfig
from study.execution import checkpoint, preflight
from study.execution import run as runner
from study.execution.executor import Job
from study.execution.run import DriftError, drift, run
from study.record import rundir
from study.record.rundir import JournalError, RunDir
from study.study import StudyError
from tests.conftest import write_folder
from tests.study.execution.test_run import config, do, numbers

LONG = {"epochs": 5, "checkpoint_s": 0.0}


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("faults")
    folder = write_folder(root / "tiny", {"train": 8, "val": 4, "test": 4})
    return build_store(open_folder(folder), root / "store", max_side=None)


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """A run that nothing disturbs: its numbers and its best weights."""
    path = tmp_path_factory.mktemp("whole")
    _, rows = do(store, path, **LONG)
    return numbers(rows), torch.load(path / "best.pt", weights_only=True)


@pytest.fixture(scope="module")
def stopped(store, tmp_path_factory):
    """The same run stopped after 3 epochs; a checkpoint was written after each."""
    path, seen = tmp_path_factory.mktemp("stopped"), []
    state = run(
        config(store, **LONG),
        RunDir(path),
        arm="a",
        emit=seen.append,
        should_stop=lambda: sum(row["event"] == "epoch" for row in seen) >= 3,
    )
    assert state == "dead" == RunDir(path).state()
    return path


@pytest.fixture
def half(stopped, tmp_path):
    """A copy of it to damage."""
    return RunDir(shutil.copytree(stopped, tmp_path / "half"))


def truncated(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-1000])


def flipped(path, tmp_path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path, tmp_path):
    path.write_bytes(b"")


def malicious(path, tmp_path):
    path.write_bytes(pickle.dumps(Evil(tmp_path / "evil")))


def malicious_with_checksum(path, tmp_path):
    file = io.BytesIO()
    torch.save({"run_id": Evil(tmp_path / "evil")}, file)
    path.write_bytes(file.getvalue() + hashlib.sha256(file.getvalue()).digest())


def of_another_run(path, tmp_path):
    checkpoint.save(checkpoint.load(path) | {"run_id": "other"}, path, None)


@pytest.mark.parametrize(
    "damage, says",
    [
        (truncated, "its checksum is wrong"),
        (flipped, "its checksum is wrong"),
        (empty, "its checksum is wrong"),
        (malicious, "its checksum is wrong"),
        (malicious_with_checksum, "it holds more than tensors and plain values"),
        (of_another_run, "it belongs to run other"),
    ],
)
def test_a_damaged_checkpoint_is_not_used(store, whole, half, tmp_path, damage, says):
    """The one before is; the run ends bit for bit where an undisturbed one does."""
    damage(half.last, tmp_path)
    _, rest = do(store, half.path, **LONG)
    note, start = rest[:2]
    assert note["event"] == "note" and start["after_epoch"] == 2
    assert note["text"] == f"checkpoint last.pt is not used: {says}; continued after epoch 2"
    assert half.state() == "finished" and not (tmp_path / "evil").exists()
    assert numbers(rest) == whole[0][2:]
    best = torch.load(half.best, weights_only=True)
    assert all(torch.equal(best[name], whole[1][name]) for name in whole[1])
    assert {p.name for p in half.path.glob("*.pt")} == {"best.pt"}


def test_a_checkpoint_ahead_of_its_journal_is_not_used(store, whole, half):
    """A copy of a folder at work may hold an older journal than its checkpoint."""
    lines = half.journal.read_text().splitlines(keepends=True)
    half.journal.write_text("".join(x for x in lines if '"epoch": 3' not in x))
    _, rest = do(store, half.path, **LONG)
    assert rest[0]["text"] == (
        "checkpoint last.pt is not used: the journal lacks epochs before "
        "it; continued after epoch 2"
    )
    assert [row["epoch"] for row in half.epochs()] == list(range(1, len(half.epochs()) + 1))
    assert numbers(rest) == whole[0][2:]


@pytest.mark.parametrize("word", ["start", "environment", "torch", "time"])
def test_a_damaged_start_is_a_journal_error(half, word):
    lines = half.journal.read_text().splitlines(keepends=True)
    half.journal.write_text(lines[0].replace(f'"{word}"', f'"{word[::-1]}"') + "".join(lines[1:]))
    with pytest.raises(JournalError, match="damaged"):
        drift(RunConfig(**half.record()["config"]), half)


def test_both_checkpoints_damaged_begins_again(store, whole, half, tmp_path):
    truncated(half.last, tmp_path)
    malicious(half.previous, tmp_path)
    _, rest = do(store, half.path, **LONG)
    assert rest[0]["text"].endswith(
        "checkpoint previous.pt is not used: its checksum is wrong; begun again from nothing"
    )
    assert rest[1]["after_epoch"] == 0 and half.state() == "finished"
    assert numbers(rest) == whole[0]


def test_a_good_checkpoint_is_never_replaced_by_a_damaged_one(store, half, tmp_path):
    flipped(half.last, tmp_path)
    seen = []
    run(
        config(store, **LONG),
        half,
        arm="a",
        emit=seen.append,
        should_stop=lambda: any(row["event"] == "epoch" for row in seen),
    )
    assert [checkpoint.load(p)["fit"]["epoch"] for p in (half.last, half.previous)] == [3, 2]


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["checkpoint", "results", "journal"])
def test_a_full_disk_ends_the_run_and_loses_nothing(store, whole, half, monkeypatch, where):
    before = half.journal.read_bytes()
    with monkeypatch.context() as patch:
        if where == "checkpoint":
            patch.setattr(torch, "save", full)
        elif where == "results":
            patch.setattr(runner, "write_npz", full)
        else:
            patch.setattr(RunDir, "append", full)
        state, rows = do(store, half.path, **LONG)
    assert state == "failed" and rows[-1]["event"] == "failed" and rows[-1]["disk_full"]
    assert rows[-1]["error"] == "disk full: the run could not be written"
    assert not list(half.path.glob(".*.part"))
    if where == "journal":
        assert half.state() == "dead" and half.journal.read_bytes() == before
    else:
        assert half.state() == "failed"
    _, rest = do(store, half.path, **LONG)  # with room again
    assert half.state() == "finished" and numbers(rest)[-1] == whole[0][-1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_too_little_memory_says_what_to_try(store, tmp_path, monkeypatch, error):
    def raise_(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(runner, "initial_model", raise_)
        _, rows = do(store, tmp_path / "1")
        assert rows[-1]["error"].startswith(
            "out of memory; try --set batch_size=2, or --set accumulate=2 for batches of 4 in 2 "
            "parts; either in a new --study, or fewer --workers in this one ("
        )
    monkeypatch.setattr("seglib.predict.normalise", raise_)
    _, rows = do(store, tmp_path / "2")
    assert rows[-1]["error"].startswith("out of memory; it was predicting whole images: try ")


def test_no_memory_for_one_image(store):
    assert config(store, batch_size=1).less_memory().startswith("try a smaller --set crop_px")
    nine = config(store, batch_size=9, accumulate=9).less_memory()
    assert nine.startswith("try --set batch_size=3; either in a new --study")


@pytest.mark.parametrize(
    "change, says",
    [
        ("torch", "torch 1.13 (now "),
        ("numpy", "numpy 1 (now "),
        ("schema", "run format 1 (now 2)"),
        ("lr", "lr 0.5 (now 0.001)"),
    ],
)
def test_a_half_done_run_of_another_world_is_not_continued(store, half, change, says):
    wanted = config(store, **LONG)
    assert drift(wanted, half) == []
    if change == "lr":
        record = half.record()
        record["config"]["lr"] = 0.5
        half.config.write_text(json.dumps(record))
    else:
        rows = half.rows()
        start = next(row for row in rows if row["event"] == "start")
        start["environment"] |= {change: "1.13.1"}
        if change == "schema":
            del start["schema"]
        half.journal.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = half.journal.read_bytes()
    with pytest.raises(DriftError, match="use --study NEWNAME"):
        run(wanted, half, arm="a")
    assert half.journal.read_bytes() == before
    with pytest.raises(StudyError) as error:
        preflight.check_drift("study s", [Job(wanted, "a", half.path)] * 2, "--study NEWNAME")
    assert "a seed 0 (half), a seed 0 (half); use --study NEWNAME, or move" in str(error.value)
    assert says in str(error.value)
    half.append("finished")
    assert drift(wanted, half) == []  # finished runs are untouched


def test_a_run_without_an_epoch_is_begun_again_anywhere(store, tmp_path):
    run_dir = RunDir(tmp_path / "1")
    run_dir.create(config(store).record("a"))
    run_dir.append("start", environment={"torch": "1.13.1", "numpy": "1.26.0"})
    assert drift(config(store), run_dir) == []


def test_a_clock_set_back_confuses_nothing(store, tmp_path, monkeypatch):
    now = iter(range(10_000, 0, -100))
    monkeypatch.setattr(rundir.time, "time", lambda: float(next(now)))
    run_dir = RunDir(tmp_path / "1")
    _, rest = do(store, run_dir.path)
    assert run_dir.state() == "finished" and 0 < rest[-1]["duration_s"] < 100
    RunDir(run_dir.path).append("note", text="from another process")
    times = [row["time"] for row in run_dir.rows()]
    assert times == [10_000.0] * 5 and next(now) < 9_600  # the clock was read, and is behind


def test_an_exception_in_a_model(store, tmp_path, monkeypatch):
    class Broken(torch.nn.Conv2d):
        def forward(self, images):
            raise KeyError("no such layer")

    monkeypatch.setattr(runner, "build_network", lambda config, n_classes: Broken(3, n_classes, 1))
    state, rows = do(store, tmp_path / "1")
    assert state == "failed" and rows[-1]["error"] == "KeyError: 'no such layer'"
    assert "in forward" in rows[-1]["traceback"]


def test_a_batch_larger_than_the_data_and_a_class_never_seen(tmp_path):
    folder = write_folder(
        tmp_path / "few",
        {"train": 2, "val": 2, "test": 2},
        classes=("background", "square", "stripe", "never"),
    )
    few = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    state, rows = do(few, tmp_path / "1", batch_size=64, accumulate=4, loss="focal_tversky")
    assert state == "finished", rows[-1]
    assert rows[-1]["metrics"]["test/iou/never"] is None
    assert np.isfinite(rows[-1]["metrics"]["test/miou"])


def test_mlflows_database_appears_whole(tmp_path, monkeypatch):
    """Its schema takes seconds: stopped half-way, the next command must be able to make it."""
    import mlflow

    from study.tracking.projection import make_database

    class Client:
        halfway = True

        def __init__(self, uri):
            self.path = Path(uri.removeprefix("sqlite:///"))

        def search_experiments(self, max_results):
            self.path.write_text("half")
            assert not (tmp_path / "mlflow.db").exists()
            if self.halfway:
                raise KeyboardInterrupt
            self.path.write_text("whole")

    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(KeyboardInterrupt):
        make_database(uri)
    assert not list(tmp_path.iterdir())
    Client.halfway = False
    make_database(uri)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]
