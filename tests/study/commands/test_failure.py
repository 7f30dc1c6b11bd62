"""Whatever goes wrong: one line on stderr, a documented exit code, the traceback in a file."""

import errno
import os
import re
import threading

import numpy as np
import pytest

import runs
from study.commands import check, failure, place
from study.commands.failure import fail


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def throw(error):
    raise error


UNFORESEEN = {
    "memory": (lambda: throw(MemoryError()), r"out of memory \(no more was said\); give fewer"),
    "array": (
        lambda: np.empty((1 << 40, 1 << 10)),
        r"out of memory \(Unable to allocate .*--set max",
    ),
    "clock": (lambda: 1 / 0, "not foreseen: ZeroDivisionError: division by zero; finished runs"),
    "library": (lambda: np.zeros(2) + np.zeros(3), "not foreseen: ValueError: operands could not"),
    "called wrongly": (lambda: int("x"), "not foreseen: ValueError: invalid literal"),
    "bare errno": (lambda: throw(OSError(errno.EINVAL, "Invalid argument")), "not foreseen: OSErr"),
    "no text": (lambda: throw(AssertionError()), "not foreseen: AssertionError; finished"),
    "deep": (lambda: (f := lambda: f())(), "not foreseen: RecursionError: maximum"),
    "lines": (lambda: throw(RuntimeError("a:\n  b\x1b[31m")), r"RuntimeError: a: b\\x1b\[31m;"),
    "password": (lambda: throw(RuntimeError("no x://me:pw@host")), r"no x://\*\*\*@host;"),
}


@pytest.mark.parametrize("call, line", UNFORESEEN.values(), ids=UNFORESEEN)
def test_not_foreseen(tmp_path, capfd, call, line):
    assert fail(raised(call), tmp_path) == 3
    error = capfd.readouterr().err
    assert re.search(line, error) and error.startswith("runs.py: ") and error.count("\n") == 1
    (kept,) = tmp_path.glob("traceback-*.txt")
    assert f"traceback: {kept}\n" in error and kept.stat().st_mode & 0o777 == 0o600
    assert "Traceback (most recent call last)" in kept.read_text() and "pw@" not in kept.read_text()


@pytest.mark.parametrize("number", sorted(failure.REMEDIES))
def test_what_the_system_refuses_names_the_file_and_a_remedy(tmp_path, capfd, number):
    assert fail(OSError(number, os.strerror(number), "/some/fi\nle"), tmp_path) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "Errno" not in error and not list(tmp_path.iterdir())
    wanted = f"/some/fi le must be usable, got: {os.strerror(number)}; {failure.REMEDIES[number]}"
    assert wanted in error


def test_a_refusal_of_ours_is_its_own_line(tmp_path, capfd):
    def refuse():
        place.check_name("a b")

    assert fail(raised(refuse), tmp_path) == 2
    assert capfd.readouterr().err.startswith("runs.py: --study must be letters")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["missing", "file"])
def test_a_traceback_finds_a_place(tmp_path, capfd, monkeypatch, out):
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    for there in ("tmp", "file"):
        with monkeypatch.context() as patch:
            patch.setattr(failure.tempfile, "tempdir", str(tmp_path / there))
            assert fail(raised(lambda: 1 / 0), tmp_path / out) == 3
    assert len(list((tmp_path / "tmp").glob("traceback-*"))) == 1
    assert "its traceback could not be written anywhere" in capfd.readouterr().err


@pytest.mark.parametrize("call, line", UNFORESEEN.values(), ids=UNFORESEEN)
def test_a_verb_that_fails(tmp_path, capfd, monkeypatch, call, line):
    monkeypatch.setattr(check, "check", lambda *_: call())
    assert runs.main(["--check", "shapes", "--out", str(tmp_path)]) == 3
    error = capfd.readouterr().err
    assert re.search(line, error) and error.count("\n") == 1
    assert len(list(tmp_path.glob("traceback-*.txt"))) == 1


def test_a_thread_that_fails(tmp_path, capfd, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(failure.tempfile, "tempdir", str(tmp_path))
        patch.setattr(threading, "excepthook", failure.in_thread)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    error = capfd.readouterr().err
    assert "ZeroDivisionError" in error and error.count("\n") == 1


def test_links_in_a_circle_are_named(tmp_path, capsys):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert fail(raised((loop / "a").resolve)) == 2
    said = capsys.readouterr().err
    assert f"{loop}/a must be usable, got: Too many levels" in said
    assert "mend the links, which lead in a circle" in said and said.count("\n") == 1
