"""What someone else may have planted in a study's folder: never followed or waited for."""

import contextlib
import os
import signal
import socket

import pytest

from study.config import RunConfig
from study.record import RecordError, RunDir, TuningPlace, read_declaration, read_npz, run_dirs
from study.record.files import atomic_write, clean, write_json
from study.record.inside import MOST_BYTES, lock, open_file, read_bytes
from study.record.journal import Note
from tests.helpers import BASE_RUN

RECORD = RunConfig(**BASE_RUN).record("unet-scratch-bce")
NOTE = Note(text="a")


@contextlib.contextmanager
def in_time(seconds=5):
    """A test that waits for a pipe fails."""

    def late(number, frame):
        raise TimeoutError("waited")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def endless(path):
    with path.open("wb") as file:
        file.truncate(2**30)


def vast(path):
    with path.open("wb") as file:
        file.truncate(2**40)


def bind(path):
    here = os.open(path.parent, os.O_RDONLY)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


PLANTED = {
    "a link to '/etc/passwd'": lambda path: path.symlink_to("/etc/passwd"),
    "a link to '/dev/zero'": lambda path: path.symlink_to("/dev/zero"),
    "a link to '/nowhere'": lambda path: path.symlink_to("/nowhere"),
    "a link to '/tmp'": lambda path: path.symlink_to("/tmp"),
    "a named pipe": os.mkfifo,
    "a socket": bind,
    "a folder": os.mkdir,
    "at most 256 MiB, got 1024;": endless,
    "at most 65536 MiB, got 1048576;": vast,
}


def read_all(path):
    run = RunDir(path.parent)
    readers = {
        "study.json": lambda: read_declaration(path.parent),
        "config.json": run.record,
        "journal.jsonl": run.journal,
        "panel.npz": lambda: read_npz(path, "make it again"),
        "lock": run.locked,
        "driver.lock": lambda: lock(path, 0).__enter__(),
        "0123456789abcdef.json": TuningPlace(path.parents[1], "a", "0123456789abcdef").read,
    }
    return readers[path.name]()


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize(
    "name",
    ["study.json", "config.json", "journal.jsonl", "panel.npz", "lock", "driver.lock"]
    + ["0123456789abcdef.json"],
)
def test_what_is_planted_for_a_file_is_refused_in_one_line(tmp_path, name, what):
    if what.startswith("at most 256") and name.endswith((".npz", "lock")):
        return  # what is in a lock is not read; arrays have bounds of their own
    path = tmp_path / "tuning" / name
    path.parent.mkdir()
    PLANTED[what](path)
    with in_time(), pytest.raises(RecordError) as error:
        read_all(path)
    assert what in str(error.value) and str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", PLANTED)
def test_nothing_is_added_to_what_is_planted_for_a_journal(tmp_path, what):
    run = RunDir(tmp_path / RECORD.run_id)
    run.create(RECORD)
    PLANTED[what](run.path / "journal.jsonl")
    for act in (lambda: run.append(NOTE), run.state):
        with in_time(), pytest.raises(RecordError, match=what):
            act()


def tree(folder):
    return {p.relative_to(folder): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


@pytest.mark.parametrize("level", ["runs", "run"])
def test_no_run_is_read_written_or_cleaned_through_a_link_to_a_folder(tmp_path, level):
    theirs, run_id = tmp_path / "theirs", RECORD.run_id
    inner = theirs / run_id if level == "runs" else theirs
    made = RunDir(inner if level == "runs" else tmp_path / "o" / run_id)
    made.create(RECORD)
    if level == "run":
        (tmp_path / "o" / run_id).rename(theirs)
    for name in ("last.pt", ".a.1.part", "journal.jsonl"):
        (inner / name).write_bytes(b"")
    before, runs = tree(theirs), tmp_path / "s" / "runs"
    runs.parent.mkdir()
    if level == "runs":
        runs.symlink_to(theirs)
    else:
        runs.mkdir()
        (runs / run_id).symlink_to(theirs)
    run = RunDir(runs / run_id)
    acts = [run.record, run.journal, run.state, run.locked, run.clean, run.drop_checkpoints]
    acts += [lambda: run.create(RECORD), lambda: run.append(NOTE), lambda: run.lock().__enter__()]
    for act in acts:
        with pytest.raises(RecordError, match=f"must be a folder, got a link to '{theirs}'"):
            act()
    with pytest.raises(RecordError, match="must be a folder, got a link"):
        [one.record() for one in run_dirs(runs)]
    assert tree(theirs) == before


def test_out_and_the_study_itself_may_be_links(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "s").symlink_to(tmp_path / "disk")
    run = RunDir(tmp_path / "s" / "runs" / RECORD.run_id)
    run.create(RECORD)
    with run.lock():
        run.append(NOTE)
    assert run.record() == RECORD and run.state() == "dead" and run_dirs(tmp_path / "s" / "runs")


def test_a_write_replaces_a_link_and_never_what_it_leads_to(tmp_path):
    secret, path = tmp_path / "secret", tmp_path / "s" / "a.json"
    secret.write_text("mine")
    path.parent.mkdir()
    for planted in (path, path.with_name(f".a.json.{os.getpid()}.part")):
        planted.symlink_to(secret)
        write_json(path, {"a": 1})
        assert secret.read_text() == "mine" and not path.is_symlink()
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
    (path.parent / "b.json").mkdir()
    with pytest.raises(RecordError, match=r"b.json must be a plain file, got a folder"):
        write_json(path.parent / "b.json", {})
    os.mkfifo(path.parent / "c.json")
    with in_time():
        write_json(path.parent / "c.json", {})


def test_cleaning_removes_half_written_files_alone(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mine")
    place = tmp_path / "run"
    place.mkdir()
    (place / ".a.json.12.part").symlink_to(secret)
    (place / ".last.pt.3.part").write_text("half")
    (place / ".c.4.part").mkdir()
    for kept in ("part", ".mine.part", "a.1.part"):
        (place / kept).write_text("kept")
    clean(place)
    assert sorted(p.name for p in place.iterdir()) == [
        ".c.4.part",
        ".mine.part",
        "a.1.part",
        "part",
    ]
    assert secret.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")
def test_nothing_is_added_to_a_hard_link_of_another_user(tmp_path):
    theirs, path = tmp_path / "theirs", tmp_path / "journal.jsonl"
    theirs.write_text("mine")
    os.link(theirs, path)
    open_file(path, "ab+").close()  # our own: an artifact that is sent is one
    os.chown(theirs, 12345, -1)
    with pytest.raises(RecordError, match="got a hard link to one of user 12345"):
        open_file(path, "ab+")
    assert read_bytes(path) == b"mine" and theirs.read_text() == "mine"


def test_a_run_that_something_else_stands_for_does_not_vanish(tmp_path):
    """What leads nowhere, or to no run, was passed over: the run was "not run"."""
    runs = tmp_path / "runs"
    (runs / "notes").mkdir(parents=True)
    (runs / ".DS_Store").write_text("a")
    assert run_dirs(runs) == [] and run_dirs(tmp_path / "none") == []
    for plant in ("a link to '/tmp'", "a link to '/nowhere'", "a named pipe"):
        PLANTED[plant](runs / RECORD.run_id)
        with pytest.raises(RecordError, match=f"{RECORD.run_id} must be a folder, got {plant}"):
            run_dirs(runs)
        (runs / RECORD.run_id).unlink()
    run = RunDir(runs / RECORD.run_id)
    run.create(RECORD)
    run.config.unlink()
    run.config.symlink_to("/nowhere")
    with pytest.raises(RecordError, match="config.json must be a plain file, got a link"):
        [one.record() for one in run_dirs(runs)]


def test_the_bound_is_of_what_is_left(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert read_bytes(path, 3) == b"abc"
    with pytest.raises(RecordError, match="at most 0 MiB"):
        read_bytes(path, 2)
    assert MOST_BYTES == 2**28


def test_a_failed_write_leaves_no_part(tmp_path):
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "a", lambda part: 1 / 0)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_a_hard_link_to_something_else_gets_no_line(tmp_path):
    theirs, run = tmp_path / "bashrc", RunDir(tmp_path / RECORD.run_id)
    run.create(RECORD)
    for text in ("alias ls=rm", "alias ls=rm\n"):
        theirs.write_text(text)
        os.link(theirs, run.path / "journal.jsonl")
        with pytest.raises(RecordError, match="must be a journal, got a hard link to something"):
            run.append(NOTE)
        assert theirs.read_text() == text
        (run.path / "journal.jsonl").unlink()
        run = RunDir(run.path)
    run.append(NOTE)
    os.link(run.path / "journal.jsonl", tmp_path / "artifact")
    run.append(NOTE)
    assert len(run.journal().events) == 2
