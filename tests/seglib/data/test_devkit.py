"""VOC 2007 and 2012 from a devkit, from archives, by an injected download; nothing skipped."""

import gzip
import hashlib
import re
import shutil
import tarfile
from pathlib import Path
from urllib.error import URLError

import pytest

from seglib.data import devkit
from seglib.data.build import build_store
from seglib.data.devkit import is_dev, open_voc
from seglib.data.lists import DataError
from seglib.drawing import VOC_CLASSES
from study.presets import FOLDER, VOC2007, VOC2012, data_name, open_data
from tests.helpers import write_folder

CONTENT = {
    "2007": {"train": 6, "val": 4},
    "2007-test": {"test": 4},
    "2012": {"train": 20, "val": 5},
}


@pytest.fixture
def archives(tmp_path, monkeypatch) -> Path:
    """Small archives in the real layout and under the real names, with their own md5."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for key, lists in CONTENT.items():
        root = write_folder(tmp_path / f"made-{key}", lists, classes=VOC_CLASSES[:3])
        (root / "classes.txt").unlink()
        entry = dict(devkit.ARCHIVES[key])
        path = shelf / entry["filename"]
        with tarfile.open(path, "w") as tar:
            tar.add(root, arcname=f"VOCdevkit/VOC{key[:4]}")
        entry["md5"] = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(devkit.ARCHIVES, key, entry)
    return shelf


def refuse(*args, **kwargs):
    raise AssertionError("nothing may be downloaded")


def test_the_table_is_torchvisions():
    names = {e["filename"]: e["md5"] for e in devkit.ARCHIVES.values()}
    assert names == {
        "VOCtrainval_06-Nov-2007.tar": "c52e279531787c972589f7e41ab4ae64",
        "VOCtest_06-Nov-2007.tar": "b6e924de25625d8de591ea690078ad9f",
        "VOCtrainval_11-May-2012.tar": "6cd6e144f989b92b3379bac3b3de84fd",
    }


def test_2007_by_download_then_from_disk(archives, tmp_path):
    asked = []

    def download(url, folder, filename, md5):
        asked.append((url.rsplit("/", 1)[-1], filename, md5))
        shutil.copy(archives / filename, folder)

    folder = open_voc("2007", tmp_path / "voc", download=download)
    assert [name for _, name, _ in asked] == [
        "VOCtrainval_06-Nov-2007.tar",
        "VOCtest_06-Nov-2007.tar",
    ]
    assert folder.name == "voc2007" and folder.classes == tuple(VOC_CLASSES)
    assert (len(folder.development), len(folder.dev), len(folder.test)) == (10, 4, 4)
    again = open_voc("2007", tmp_path / "voc", download=refuse)  # the devkit is there now
    assert again == folder
    store = build_store(folder, tmp_path / "store", max_side=None)
    fit, dev = store.development(split_seed=0, dev_share=0.2)
    assert (len(fit), len(dev), len(store.test())) == (6, 4, 4)


def test_2012_from_dropped_archive_splits_by_name(archives, tmp_path):
    (tmp_path / "voc").mkdir()
    shutil.copy(archives / "VOCtrainval_11-May-2012.tar", tmp_path / "voc")
    folder = open_voc("2012", tmp_path / "voc", download=refuse)
    assert len(folder.development) == 20 and len(folder.test) == 5
    assert folder.dev == tuple(name for name in folder.development if is_dev(name))
    assert all(name.startswith("val") for name in folder.test)
    names = [f"2012_{i:06d}" for i in range(5000)]
    assert 0.18 < sum(map(is_dev, names)) / 5000 < 0.22
    assert [name for name in names[:20] if is_dev(name)] == [  # the rule is fixed for ever
        "2012_000006",
        "2012_000011",
        "2012_000012",
        "2012_000015",
    ]


def test_errors_name_file_place_and_md5(archives, tmp_path):
    def offline(*args, **kwargs):
        raise URLError("no network")

    with pytest.raises(
        DataError,
        match=r"could not download .*VOCtrainval_11-May-2012.tar .*put "
        r"VOCtrainval_11-May-2012.tar \(md5 [0-9a-f]{32}\) into",
    ):
        open_voc("2012", tmp_path / "a", download=offline)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/VOCtrainval_11-May-2012.tar").write_bytes(b"half of it")
    with pytest.raises(DataError, match="must have md5 [0-9a-f]{32}, got [0-9a-f]{32}; put"):
        open_voc("2012", tmp_path / "b", download=refuse)
    assert not (tmp_path / "b/VOCdevkit").exists()


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


TOP = "VOCdevkit/VOC2012"
HOSTILE = {
    "upwards": ([member("../../outside.txt")], "plain files and folders, got '../../outside.txt'"),
    "upwards within": ([member(f"{TOP}/../../../outside")], "plain files and folders, got 'VOC"),
    "absolute": ([member("/tmp/outside.txt")], "plain files and folders, got '/tmp/outside.txt'"),
    "a link out": ([member(f"{TOP}/a", tarfile.SYMTYPE, "/etc")], "a link to '/etc'"),
    "a link in": ([member(f"{TOP}/a", tarfile.SYMTYPE, "b")], "a link to 'b'"),
    "a hard link": ([member(f"{TOP}/a", tarfile.LNKTYPE, "/etc/passwd")], "a link to '/etc/passw"),
    "a device": ([member(f"{TOP}/a", tarfile.CHRTYPE)], "plain files and folders, got 'VOCdevkit"),
    "a pipe": ([member(f"{TOP}/a", tarfile.FIFOTYPE)], "plain files and folders, got 'VOCdevkit"),
    "too many": ([member(f"{TOP}/{i}") for i in range(30)], "at most 25 files and 0 GB, got more"),
    "too large": ([member(f"{TOP}/a", size=2000)], "at most 25 files and 0 GB, got more"),
}


@pytest.mark.parametrize("members, message", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(tmp_path, monkeypatch, members, message):
    """Even with the right md5: nothing of them is left on disk."""
    monkeypatch.setattr(devkit, "MAX_MEMBERS", 25)
    monkeypatch.setattr(devkit, "MAX_BYTES", 1000)
    evil = tmp_path / "VOCtrainval_11-May-2012.tar"
    with tarfile.open(evil, "w") as tar:
        for info in members:
            tar.addfile(info)  # a size without content: the archive ends early
    entry = dict(devkit.ARCHIVES["2012"], md5=hashlib.md5(evil.read_bytes()).hexdigest())
    monkeypatch.setitem(devkit.ARCHIVES, "2012", entry)
    with pytest.raises(DataError, match=re.escape(message)):
        open_voc("2012", tmp_path, download=refuse)
    assert [path.name for path in tmp_path.iterdir()] == [evil.name]


def test_a_damaged_archive_is_refused(archives, tmp_path, monkeypatch):
    path = archives / "VOCtrainval_11-May-2012.tar"
    for content in (path.read_bytes()[:3000], gzip.compress(path.read_bytes()), b""):
        path.write_bytes(content)
        entry = dict(devkit.ARCHIVES["2012"], md5=hashlib.md5(content).hexdigest())
        monkeypatch.setitem(devkit.ARCHIVES, "2012", entry)
        with pytest.raises(DataError, match="must be a readable tar archive"):
            open_voc("2012", archives, download=refuse)
        assert not (archives / "VOCdevkit").exists()


def test_names_and_presets(archives, tmp_path, monkeypatch):
    assert data_name("voc", "cpu") == "voc2007" and data_name("voc", "cuda") == "voc2012"
    shutil.copytree(archives, tmp_path / "out/data/voc")
    folder, preset = open_data("voc", tmp_path / "out", "cpu")
    assert folder.name == "voc2007" and preset is VOC2007
    root = tmp_path / "out/data/voc"
    folder, preset = open_data("voc2012", tmp_path / "out", "cpu")
    assert folder.dev and preset is VOC2012
    own, preset = open_data(str(root / "VOCdevkit/VOC2012"), tmp_path / "out", "cpu")
    assert own.name == "VOC2012" and own.dev is None and preset is FOLDER  # names not VOC's
    with pytest.raises(DataError, match="one year of a VOC devkit, got .*VOC2007, .*VOC2012"):
        open_data(str(root), tmp_path / "out", "cpu")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voc2007").mkdir()
    folder, _ = open_data("voc2007", tmp_path / "out", "cpu")
    assert folder.year == "2007"  # what is asked for by name is no folder, and says so
    assert folder.notes == (
        "voc2007 is the data set of that name; the folder here is --data ./voc2007",
    )
