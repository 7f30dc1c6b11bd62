"""What killed processes left: removed when their process is gone, and then alone."""

import os
import subprocess
import sys

import pytest

from study.record.leftovers import sweep


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def places(out, pid):
    """A leftover in every place that one can be in: files, then folders."""
    made = [f".mlflow.db.{pid}.part", f".mlflow.db.{pid}.part-wal", f"s/.study.json.{pid}.part"]
    made += [f"s/runs/0123456789abcdef/.last.pt.{pid}.part", f"tuning/.a.json.{pid}.part"]
    made += [f"tuning/a/.history.png.{pid}.part", f"tuning/a/b/.config.json.{pid}.part"]
    folders = [f"store/.shapes-0123.{pid}", f"data/.shapes-v1.{pid}-ab_12cde"]
    folders += [f"data/voc/.VOC.tar.{pid}"]
    (out / "s").mkdir(parents=True, exist_ok=True)
    (out / "s" / "study.json").touch()
    for name in made:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"x" * 1000)
    for name in folders:
        (out / name / "deep").mkdir(parents=True)
        (out / name / "deep" / "fit.bin").write_bytes(b"x" * 1_000_000)
    return [out / name for name in made + folders]


def test_leftovers_of_the_dead_are_swept_and_said(tmp_path, dead):
    left = places(tmp_path, dead)
    line = sweep(tmp_path)
    assert not [path for path in left if path.exists()]
    assert f"had left in {tmp_path}, 3.0 MB: " in line and line.endswith(" and 7 more")
    assert (tmp_path / "s" / "study.json").exists() and "\n" not in line
    assert sweep(tmp_path) == sweep(tmp_path / "none") == ""


def test_what_a_living_process_writes_stays(tmp_path):
    left = places(tmp_path, os.getpid())
    assert sweep(tmp_path) == "" and all(path.exists() for path in left)


def test_a_number_that_another_process_has_now_protects_nothing(tmp_path):
    left = places(tmp_path, os.getpid())
    for path in left:
        os.utime(path, (1e9, 1e9))  # before this process began
    assert "and 7 more" in sweep(tmp_path) and not any(path.exists() for path in left)


def test_a_process_that_is_no_longer_but_not_buried_is_gone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".a.{process.pid}.part").touch()
    assert sweep(tmp_path)
    process.wait()


def test_nothing_else_is_touched(tmp_path, dead):
    mine = [".a.part", f"a.{dead}.part", f".a.{dead}.part.txt", f".a.{dead}", f"x/.a.{dead}.part"]
    mine += [f"data/.notes.{dead}.txt", f"store/a.{dead}", ".a.12345678901.part"]
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / f".b.{dead}.part").mkdir()  # none of ours is a folder there
    theirs = tmp_path / "theirs"
    (theirs / "runs").mkdir(parents=True)
    (theirs / "runs" / f".a.{dead}.part").write_text("mine")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.json").touch()
    (tmp_path / "s" / "runs").symlink_to(theirs / "runs")
    (tmp_path / "store" / f".link.{dead}").symlink_to(theirs)
    (tmp_path / "tuning").symlink_to(theirs)
    assert sweep(tmp_path) == ""
    assert all((tmp_path / name).read_text() == "mine" for name in mine)
    assert (theirs / "runs" / f".a.{dead}.part").exists()


def test_a_link_called_like_a_leftover_is_removed_itself(tmp_path, dead):
    (tmp_path / "secret").write_text("mine")
    (tmp_path / f".a.{dead}.part").symlink_to(tmp_path / "secret")
    assert sweep(tmp_path) and (tmp_path / "secret").read_text() == "mine"
    assert not (tmp_path / f".a.{dead}.part").is_symlink()
