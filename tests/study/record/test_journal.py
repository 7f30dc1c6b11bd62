"""The journal: read whole or not at all, once, and only as far as it is new."""

import json

import pytest

from study.record import Journal, JournalError, RunDir
from study.record.journal import Epoch, Failed, Finished, Note, Start


def start(attempt=1):
    return Start(attempt=attempt, after_epoch=0, n_parameters=1, environment={"torch": "2.15.0"})


def epoch(number, loss=1.0):
    return Epoch(epoch=number, metrics={"train/loss": loss})


def file_of(run):
    return run.path / "journal.jsonl"


def test_journal_survives_a_cut_line(tmp_path):
    run = RunDir(tmp_path)
    assert run.state() == "new"
    run.append(start())
    run.append(epoch(1))
    assert run.state() == "dead"
    with file_of(run).open("ab") as file:
        file.write(b'{"event": "epo')
    assert run.state() == "dead" and len(run.journal().events) == 2
    run.append(start(2))
    run.append(epoch(1, 9.0))
    run.append(epoch(2, 0.5))
    for reader in (run, RunDir(tmp_path)):  # the one that wrote it, and one that comes new
        assert [e.metrics["train/loss"] for e in reader.journal().epochs] == [1.0, 0.5]
    with run.lock():
        assert run.state() == "running"
    run.append(Failed(error="x"))
    assert run.state() == RunDir(tmp_path).state() == "failed"


@pytest.mark.parametrize("cut", [b'{"event": "epoch", "time": 1.', b'{"ev', b"{"])
def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path, cut):
    run, whole = RunDir(tmp_path), epoch(2).model_dump_json().encode() + b"\n"
    run.append(start())
    run.append(epoch(1))
    reader = RunDir(tmp_path)
    for end in range(1, len(whole)):
        with file_of(run).open("ab") as file:
            file.write(whole[end - 1 : end])
        assert len(reader.journal().epochs) <= 2
    with file_of(run).open("ab") as file:
        file.write(b"\n")
    assert [e.epoch for e in reader.journal().epochs] == [1, 2]
    with file_of(run).open("ab") as file:
        file.write(cut)
    assert [e.epoch for e in reader.journal().epochs] == [1, 2]
    RunDir(tmp_path).append(start(2))
    assert [e.attempt for e in reader.journal().starts] == [1, 2]


def test_damaged_journal_is_refused(tmp_path):
    run = RunDir(tmp_path)
    run.append(start())
    with file_of(run).open("ab") as file:
        file.write(b"rubbish\n")
    run.append(epoch(1))
    for _ in range(2):  # not only the first time
        with pytest.raises(JournalError, match="line 2 must be an event in JSON"):
            run.journal()


@pytest.mark.parametrize(
    "line",
    [
        {"event": "epoch", "epoch": 1, "metrics": {}},  # without its time
        {"event": "start", "time": 1.0, "attempt": 1, "after_epoch": 0, "schema": 2},  # of before
        {"event": "epoch", "time": 1.0, "epoch": "1", "metrics": {}},
        {"event": "epoch", "time": 1.0, "epoch": 1, "metrics": {"a": "b"}},
        {"event": "unheard", "time": 1.0},
        {"event": "note", "time": 1.0, "text": "a", "more": 1},
    ],
)
def test_a_whole_line_of_another_format_is_refused(tmp_path, line):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(JournalError, match="line 1 must be an event in JSON, got .*run it again"):
        Journal(path).refresh()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" * 400])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    path = tmp_path / "journal.jsonl"
    text = '{"event": "epoch", "time": 1.0, "epoch": 1, "metrics": {"a": %s}}\n'
    path.write_text(text % number + epoch(2).model_dump_json() + "\n")
    with pytest.raises(JournalError):
        Journal(path).refresh()
    with pytest.raises(ValueError):
        epoch(1, float("nan"))


def test_a_stray_carriage_return_hides_nothing(tmp_path):
    run = RunDir(tmp_path)
    run.append(start())
    damaged = epoch(1).model_dump_json().encode().replace(b'"epoch"', b'"epo\rch"')
    with file_of(run).open("ab") as file:
        file.write(damaged + b"\n")
    run.append(epoch(2))
    with pytest.raises(JournalError, match="line 2 must be an event in JSON"):
        RunDir(tmp_path).journal()


def test_a_reader_at_any_byte_sees_whole_events_alone(tmp_path):
    run, path = RunDir(tmp_path / "w"), tmp_path / "r" / "journal.jsonl"
    (tmp_path / "w").mkdir()
    path.parent.mkdir()
    for event in (start(), Note(text="ä\u2028\r\n"), epoch(1), start(2), epoch(2)):
        run.append(event)
    content, events = file_of(run).read_bytes(), run.journal().events
    reader = Journal(path)
    for n_bytes in range(len(content) + 1):
        path.write_bytes(content[:n_bytes])
        found = reader.refresh().events
        assert found == Journal(path).refresh().events == events[: len(found)]
    assert reader.events == events


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    run, reader = RunDir(tmp_path), RunDir(tmp_path)
    taken = []
    monkeypatch.setattr(Journal, "_take", lambda self, line: taken.append(line))
    for number in range(20):
        with file_of(run).open("ab") as file:
            file.write(epoch(number).model_dump_json().encode() + b"\n")
        reader.journal()
    assert len(taken) == 20


def test_what_is_written_is_what_is_read(tmp_path):
    run = RunDir(tmp_path)
    written = [run.append(e) for e in (start(), epoch(1), epoch(2))]
    written.append(
        run.append(
            Finished(
                best_epoch=2,
                duration_s=1.5,
                peak_memory_mb=3,
                metrics={"dev/miou": 0.25, "test/iou/ä": None},
                contract={"void": "never scored"},
            )
        )
    )
    assert RunDir(tmp_path).journal().events == written
    assert run.state() == "finished"
