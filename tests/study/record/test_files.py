"""Files: atomic, strict."""

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
