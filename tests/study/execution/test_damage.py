"""What a run makes of damaged checkpoints: nothing is believed, nothing is lost."""

import hashlib
import io
import os
import pickle

import pytest
import torch

from study.execution import checkpoint
from study.record import RunDir, files
from tests.study.execution.tiny import LONG, cut, do, numbers


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


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


def a_link(path, tmp_path):
    path.rename(tmp_path / "elsewhere.pt")
    path.symlink_to(tmp_path / "elsewhere.pt")


def a_pipe(path, tmp_path):
    path.unlink()
    os.mkfifo(path)


def endless(path, tmp_path):
    with path.open("wb") as file:
        file.truncate(2**42)


def of_another_run(path, tmp_path):
    checkpoint.save(checkpoint.load(path) | {"run_id": "other"}, path, None)


@pytest.mark.parametrize(
    "damage, says",
    [
        (a_link, "last.pt must be a plain file, got a link to .*elsewhere.pt"),
        (a_pipe, "last.pt must be a plain file, got a named pipe"),
        (endless, "last.pt must be of at most 65536 MiB, got 4194304; no version"),
        (empty, "its checksum is wrong"),
    ],
)
def test_what_is_planted_for_a_checkpoint_is_not_read(half, tmp_path, damage, says):
    damage(half.last, tmp_path)
    with pytest.raises(checkpoint.CheckpointError, match=says):
        checkpoint.load(half.last)


@pytest.mark.slow
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
def test_a_damaged_checkpoint_is_not_used(kept_store, whole, half, tmp_path, damage, says):
    """The one before is; the run ends bit for bit where an undisturbed one does."""
    damage(half.last, tmp_path)
    _, rest = do(kept_store, half.path, **LONG)
    note, start = rest[:2]
    assert note.event == "note" and start.after_epoch == 2
    assert note.text == f"checkpoint last.pt is not used: {says}; continued after epoch 2"
    assert half.state() == "finished" and not (tmp_path / "evil").exists()
    assert numbers(rest) == whole[0][2:]
    best = torch.load(half.best, weights_only=True)
    assert all(torch.equal(best[name], whole[1][name]) for name in whole[1])
    assert {p.name for p in half.path.glob("*.pt")} == {"best.pt"}


@pytest.mark.slow
def test_a_checkpoint_ahead_of_its_journal_is_not_used(kept_store, whole, half):
    """A copy of a folder at work may hold an older journal than its checkpoint."""
    journal = half.path / files.JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(x for x in lines if '"epoch":3' not in x))
    _, rest = do(kept_store, half.path, **LONG)
    assert rest[0].text == (
        "checkpoint last.pt is not used: the journal lacks epochs before "
        "it; continued after epoch 2"
    )
    epochs = RunDir(half.path).journal().epochs
    assert [event.epoch for event in epochs] == list(range(1, len(epochs) + 1))
    assert numbers(rest) == whole[0][2:]


def test_both_checkpoints_damaged_begins_again(kept_store, whole, half, tmp_path):
    truncated(half.last, tmp_path)
    malicious(half.previous, tmp_path)
    _, rest = do(kept_store, half.path, **LONG)
    assert rest[0].text.endswith(
        "checkpoint previous.pt is not used: its checksum is wrong; begun again from nothing"
    )
    assert rest[1].after_epoch == 0 and half.state() == "finished"
    assert numbers(rest) == whole[0]


def test_a_good_checkpoint_is_never_replaced_by_a_damaged_one(kept_store, half, tmp_path):
    flipped(half.last, tmp_path)
    cut(kept_store, half.path, 1, **LONG)
    assert [checkpoint.load(p)["fit"]["epoch"] for p in (half.last, half.previous)] == [3, 2]


@pytest.mark.slow
def test_a_checkpoint_of_before_with_whole_confusions_is_continued(kept_store, whole, half):
    """What was written before counts were kept sparse: an (n, C, C) tensor."""
    state = checkpoint.load(half.last)
    best = state["best"]
    shape, cells, counts = (best["confusions"][part] for part in ("shape", "cells", "counts"))
    dense = torch.zeros(int(shape.prod()), dtype=torch.int64)
    dense[cells] = counts
    best["confusions"] = dense.reshape(shape.tolist())
    checkpoint.save(state, half.last, None)
    _, rest = do(kept_store, half.path, **LONG)
    assert half.state() == "finished" and numbers(rest)[-1] == whole[0][-1]
