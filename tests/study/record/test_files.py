"""Files: atomic, strict."""

import zipfile

import numpy as np
import pytest

from study.record.files import (
    RecordError,
    atomic_write,
    clean,
    parse_json,
    read_npz,
    write_json,
    write_npz,
)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ä": 1})

    def broken(part):
        part.write_text("half")
        raise OSError("no more")

    with pytest.raises(OSError):
        atomic_write(path, broken)
    assert parse_json(path.read_bytes()) == {"ä": 1} and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    (tmp_path / ".b.json.1.part").write_text("left by a kill")
    clean(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "1" * 400, "[" * 100_000, "{"])
def test_json_of_finite_numbers_only(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_arrays_that_are_damaged_or_lacking_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.arange(3)})
    assert read_npz(path, "make it again")["x"].tolist() == [0, 1, 2]
    with pytest.raises(RecordError, match="must hold x and y, got no y; make it again"):
        read_npz(path, "make it again", "x", "y")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RecordError, match="must be a whole .npz file, got .*; make it again"):
        read_npz(path, "make it again")


def header(shape: str, descr: str = "<i4", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (53 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000, 1000, 1000)"),
        header("(1000000, 1000, 1000)", version=b"\x02\x00") + b"1234",
        header("(9,)") + b"1234",
        header("(0,)") + b"1234",
        header("(-1, -1)") + b"1234",
        header("(2,)", "|O") + b"x" * 16,
        header("(1,)")[:9],
        b"no array",
        b"",
    ],
)
def test_a_header_that_does_not_fit_its_bytes_is_refused_unread(tmp_path, content, monkeypatch):
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    if "|O" in str(content):
        monkeypatch.undo()  # its bytes are as many as it says: NumPy itself refuses it
    with pytest.raises(RecordError, match="must be a whole .npz file, got .*; make it again"):
        read_npz(tmp_path / "a.npz", "make it again")


def test_arrays_larger_than_they_can_be_are_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.zeros(10_000_000, np.uint8), "y": np.arange(3)})  # 10 kB on disk
    assert read_npz(path, "", at_most=10_000_024)["y"].tolist() == [0, 1, 2]
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(RecordError, match="got arrays of 10,000,024 bytes, and at most 10,000,023"):
        read_npz(path, "make it again", at_most=10_000_023)
