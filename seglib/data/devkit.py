"""Pascal VOC 2007 and 2012: found as a devkit, unpacked from the official archives, or downloaded.

Names, addresses and md5 sums are torchvision's (`VOCSegmentation`). An archive is checked before it
is opened and unpacked with tarfile's `data` filter; the lists are put in place last, so that an
interrupted unpacking is not taken for a devkit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.error import URLError

from torchvision.datasets.utils import download_url
from torchvision.datasets.voc import DATASET_YEAR_DICT

from seglib.data.folder import Folder, open_folder
from seglib.data.lists import DataError

# year -> archive -> a list that shows that it has been unpacked
YEARS = {"2007": {"2007": "val", "2007-test": "test"}, "2012": {"2012": "val"}}
ARCHIVES: dict[str, dict[str, str]] = {
    key: {k: DATASET_YEAR_DICT[key][k] for k in ("url", "filename", "md5")}
    for year in YEARS.values()
    for key in year
}
DEV_ONE_IN = 5  # of VOC2012's train images, by the sha256 of the name

# an archive of more is not VOC's (2012: 2 GB in 40,000 files)
MAX_MEMBERS, MAX_BYTES = 200_000, 10 * 10**9

Download = Callable[..., None]


def open_voc(year: str, folder: Path, *, download: Download = download_url) -> Folder:
    """VOC `year` under `folder`: its VOCdevkit, else its archives there, else a download.

    2007: train / val / test are fit / dev / test. 2012: see `divided`.
    Args:
        download: called as download(url, folder, filename, md5=md5); injected in tests.
    Raises: DataError naming the file, where to put it and its md5.
    """
    root = folder / "VOCdevkit" / f"VOC{year}"
    for key, listing in YEARS[year].items():
        if not (root / "ImageSets/Segmentation" / f"{listing}.txt").exists():
            _unpack(_archive(key, folder, download), folder)
    return divided(open_folder(root, name=f"voc{year}", year=year))


def divided(folder: Folder) -> Folder:
    """VOC2012 of two lists: val is the test; one in five train images, by the sha256 of the name,
    is dev. The rule looks at nothing else, so every machine and version makes the same split.
    Other folders as they are."""
    if folder.year != "2012" or folder.dev is not None:
        return folder
    dev = tuple(name for name in folder.development if is_dev(name))
    return dataclasses.replace(folder, dev=dev)


def is_dev(name: str) -> bool:
    """Whether a VOC2012 train image belongs to dev."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % DEV_ONE_IN == 0


def _archive(key: str, folder: Path, download: Download) -> Path:
    """The checked archive file, downloaded if it is not there."""
    entry = ARCHIVES[key]
    path = folder / entry["filename"]
    where = f"put {entry['filename']} (md5 {entry['md5']}) into {folder}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            download(entry["url"], folder, entry["filename"], md5=entry["md5"])
        except (URLError, OSError, RuntimeError) as error:
            path.unlink(missing_ok=True)
            raise DataError(f"could not download {entry['url']} ({error}); {where}") from None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != entry["md5"]:
        raise DataError(f"{path} must have md5 {entry['md5']}, got {found}; {where} again")
    return path


def _unpack(archive: Path, folder: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise DataError(
            f"unpacking {archive} safely needs Python 3.11.4 or newer, got "
            f"{platform.python_version()}"
        )
    work = folder / f".{archive.name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        with tarfile.open(archive, "r:") as tar:  # not packed, as VOC's are
            _check_members(tar, archive)
            tar.extractall(work, filter="data")
        files = [path for path in work.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda p: p.suffix == ".txt"):  # lists last
            target = folder / path.relative_to(work)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    except tarfile.TarError as error:
        raise DataError(f"{archive} must be a readable tar archive: {error}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_members(tar: tarfile.TarFile, archive: Path) -> None:
    """Plain files and folders below the archive's top, of a bounded number and size, or DataError.

    tarfile's `data` filter alone would let links inside the archive through, quietly take the slash
    off absolute paths, and unpack any amount.
    """
    n_bytes = 0
    for number, member in enumerate(tar, start=1):
        path = PurePosixPath(member.name)
        n_bytes += member.size
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise DataError(
                f"{archive} must hold plain files and folders, got {member.name!r}"
                + (f", a link to {member.linkname!r}" if member.linkname else "")
            )
        if number > MAX_MEMBERS or n_bytes > MAX_BYTES:
            raise DataError(
                f"{archive} must hold at most {MAX_MEMBERS} files and "
                f"{MAX_BYTES / 1e9:.0f} GB, got more"
            )
