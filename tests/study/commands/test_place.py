"""Where a study can lie, and what it can be called."""

import pytest

from study.commands.place import RESERVED, check_name, check_out, safe_name
from study.values import ConfigError


@pytest.mark.parametrize(
    "name",
    [
        *sorted(RESERVED),
        *("STORE", "Mlflow.DB", "Runs", "Default"),
        *("", ".", "..", ".hidden", "-x", "a.", "a..", "a/b", "../a", "a b", "a\n", "a\x1b", "a:b"),
        *("a" * 201, "ß" * 101, "网" * 67, "a" * 256),
    ],
)
def test_refused_names(name):
    with pytest.raises(ConfigError, match="--study must"):
        check_name(name)
    if name:
        check_name(safe_name(name))  # what is made from it can be


@pytest.mark.parametrize("name", ["s", "a-b_c.d", "Größe", "网络", "stores", "a" * 200, "1-2-"])
def test_good_names_stay(name):
    check_name(name)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "text, name",
    [
        ("default-my data", "default-my-data"),
        ("losses-a/b\\c:d*?", "losses-a-b-c-d"),
        ("default-Gro\u0308ße", "default-Größe"),
        ("my matrix-shapes", "my-matrix-shapes"),
        ("default-\u202egpj", "default--gpj"),
        ("!!!", "unnamed-data"),
        ("store", "store-data"),
    ],
)
def test_names_made_safe(text, name):
    assert safe_name(text) == name


def test_an_out_that_can_be_written_is_not_made(tmp_path):
    check_out(tmp_path / "a" / "b c?#%")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").mkdir()
    check_out(tmp_path / "there")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    "out, reason",
    [
        ("file", "it is no folder"),
        ("file/below", "it is no folder"),
        ("dangling", "it is no folder"),
        ("/proc", "nothing can be written there"),
        ("/proc/x/y", "nothing can be written there"),
        ("/dev/null", "it is no folder"),
        ("x" * 300, "File name too long"),
        ("loop", "too many|levels of symbolic links|no folder"),
    ],
)
def test_an_out_that_cannot_be(tmp_path, out, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing" / "there")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match=f"--out must be a folder.*{reason}"):
        check_out(tmp_path / out)
