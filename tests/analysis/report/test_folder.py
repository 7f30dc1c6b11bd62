"""A folder of pages: swapped in whole, links untouched, the user's files kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.report import folder as module
from analysis.report.folder import MANIFEST, replace_folder

ONE = {"index.html": b"one", "tables/a.csv": b"1", "figures/f.png": b"png"}
TWO = {"index.html": b"two", "tables/b.csv": b"2"}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


@pytest.fixture(params=["exchange", "rename"])
def target(request, tmp_path, monkeypatch) -> Path:
    """Where pages go; once on a file system that cannot exchange names."""
    if request.param == "rename":
        monkeypatch.setattr(module, "_exchange", lambda one, other: False)
    return tmp_path / "study" / "report"


def test_the_new_files_are_all_there_and_the_old_ones_gone(target):
    replace_folder(target, ONE)
    assert tree(target) == ONE
    assert json.loads((target / MANIFEST).read_text())["files"] == sorted([*ONE, MANIFEST])
    replace_folder(target, TWO)
    assert tree(target) == TWO and not (target / "figures").exists()
    assert [path.name for path in target.parent.iterdir()] == ["report"]


def test_what_the_manifest_does_not_list_is_kept(target):
    replace_folder(target, ONE)
    (target / "notes.txt").write_text("mine")
    (target / "figures/mine.png").write_text("mine too")
    (target / "deep/er").mkdir(parents=True)
    (target / "deep/er/x").write_text("x")
    (target / "tables/b.csv").write_text("mine, where the next report has one")
    (target / "elsewhere").symlink_to("/nowhere")
    for _ in range(2):
        replace_folder(target, TWO)
        assert tree(target) == TWO | {
            "notes.txt": b"mine",
            "figures/mine.png": b"mine too",
            "deep/er/x": b"x",
            "tables-b.csv.kept": b"mine, where the next report has one",
        }
        assert os.readlink(target / "elsewhere") == "/nowhere"


def test_a_report_of_before_without_a_manifest_is_replaced(target):
    for name, content in {**ONE, "mine.txt": b"m"}.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    replace_folder(target, ONE | {"index.html": b"new"})
    assert tree(target) == ONE | {"index.html": b"new", "mine.txt": b"m"}


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"files": 3}', b'{"files": [["a"]]}', None])
def test_a_manifest_that_is_none_lists_nothing(target, bad):
    replace_folder(target, ONE)
    (target / "mine").write_text("m")
    (target / MANIFEST).unlink()
    if bad is None:
        os.mkfifo(target / MANIFEST)  # never waited for
    else:
        (target / MANIFEST).write_bytes(bad)
    replace_folder(target, TWO)
    found = tree(target)
    assert found["mine"] == b"m" and found["index.html"] == b"two"


@pytest.mark.parametrize("name", [".", "figures", "tables", "index.html", "tables/a.csv", MANIFEST])
@pytest.mark.parametrize("first", [True, False])
def test_links_are_replaced_and_their_targets_untouched(target, tmp_path, name, first):
    """The whole folder, a folder in it, a file in it; before the first report and after one."""
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    secret = outside / "f.png"
    secret.write_text("a holiday")
    if not first:
        replace_folder(target, ONE)
    link = target / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        subprocess.run(["rm", "-r", link], check=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside if name in (".", "figures", "tables") else secret)
    replace_folder(target, ONE)
    assert tree(target) == ONE and not any(path.is_symlink() for path in target.rglob("*"))
    assert not target.is_symlink()
    assert sorted(path.name for path in outside.iterdir()) == ["f.png", "sub"]
    assert secret.read_text() == "a holiday"


def test_hard_links_are_not_written_through(target, tmp_path):
    replace_folder(target, ONE)
    other = tmp_path / "other"
    os.link(target / "index.html", other)
    replace_folder(target, TWO)
    assert other.read_bytes() == b"one" and (target / "index.html").read_bytes() == b"two"


def test_a_file_of_the_users_in_the_way_is_refused(target):
    target.parent.mkdir(parents=True)
    target.write_text("mine")
    with pytest.raises(ValueError, match="must be a folder for pages, got something else"):
        replace_folder(target, ONE)
    assert target.read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_one(target, monkeypatch):
    replace_folder(target, ONE)
    with pytest.raises(TypeError):
        replace_folder(target, TWO | {"z": 3})
    assert tree(target) == ONE and len(list(target.parent.iterdir())) == 1


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_kept(target):
    target.parent.mkdir(parents=True)
    dead = subprocess.run(["sh", "-c", "echo $$"], text=True, stdout=subprocess.PIPE)
    names = [f".report.{pid}.part" for pid in (dead.stdout.strip(), os.getpid(), os.getppid())]
    for name in (*names, ".report.x.part", ".other.1.part"):
        (target.parent / name).mkdir()
        (target.parent / name / "f").write_text("x")
    moved = target.parent / f".report.{dead.stdout.strip()}.old"
    moved.mkdir()
    (moved / "mine").write_text("m")
    replace_folder(target, TWO)
    left = {path.name for path in target.parent.iterdir()}
    assert left == {"report", names[2], ".report.x.part", ".other.1.part"}
    assert tree(target) == TWO | {"mine": b"m"}  # what a dead one had moved aside is put back


KILLED = """
import os, sys
from pathlib import Path
from analysis.report import folder as module
if sys.argv[2] == "rename":
    module._exchange = lambda one, other: False
for n in range(300):
    target = Path(sys.argv[1]) / str(n) / "report"
    module.replace_folder(target, {"index.html": b"one", "figures/f.png": b"png"})
    (target / "mine.txt").write_text("m")
    pid = os.fork()
    if pid == 0:
        count = 0
        def hook(event, args):
            global count
            if event.startswith(("open", "os.", "shutil.", "ctypes.")):
                count += 1
                if count > n:
                    os._exit(9)
        sys.addaudithook(hook)
        module.replace_folder(target, {"index.html": b"two", "tables/b.csv": b"2"})
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
"""


@pytest.mark.parametrize("kind", ["exchange", "rename"])
def test_a_kill_at_any_operation_leaves_the_old_or_the_new(tmp_path, kind):
    """The process ends without any clean-up before its n-th operation on files."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), kind]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True)
    mine, one = {"mine.txt": b"m"}, {"index.html": b"one", "figures/f.png": b"png"}
    found = [
        tree(path / "report") for path in sorted(tmp_path.iterdir(), key=lambda p: int(p.name))
    ]
    old, new, neither = (found.count(state) for state in (one | mine, TWO | mine, {}))
    assert old + new + neither == len(found) and old > 10 and new > 3
    assert neither == (0 if kind == "exchange" else 1)  # where names cannot be exchanged
    for path in tmp_path.iterdir():
        replace_folder(path / "report", TWO)
        assert tree(path / "report") == TWO | mine  # mended, whatever the kill left
        assert [left.name for left in path.iterdir()] == ["report"]


def test_a_folder_of_the_users_where_a_file_of_ours_must_be(target):
    replace_folder(target, {"a": b"1"})
    (target / "index.html/deep").mkdir(parents=True)
    (target / "index.html/deep/x").write_text("x")
    replace_folder(target, TWO)
    assert tree(target) == TWO | {"index.html-deep-x.kept": b"x"}


def test_a_file_can_write_itself_and_one_that_fails_changes_nothing(tmp_path):
    target = tmp_path / "report"
    replace_folder(target, {"a": b"1", "rows/b": lambda file: file.writelines([b"2", b"3"])})
    assert (target / "rows/b").read_bytes() == b"23"

    def fails(file):
        file.write(b"half")
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        replace_folder(target, {"a": b"new", "rows/b": fails})
    assert (target / "a").read_bytes() == b"1" and (target / "rows/b").read_bytes() == b"23"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
