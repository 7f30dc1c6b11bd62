"""Which files a report is made of: what its manifest lists, and nothing else of its folder."""

from __future__ import annotations

import typing
from pathlib import Path

from pydantic import AfterValidator

from study.record import files
from study.record.files import OnDisk, read_model
from study.record.inside import RecordError, check_file, check_folders

WAY_OUT = "run --report again"


def _inside(name: str) -> str:
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in name or len(name) > 1000:
        raise ValueError(f"files must be names inside of the report, got {name[:60]!r}")
    return name


class Manifest(OnDisk):
    """The files of a report, relative to its folder, the manifest among them."""

    files: tuple[typing.Annotated[str, AfterValidator(_inside)], ...]


def pages(report: Path) -> dict[str, Path]:
    """The files of a report by what they are called among artifacts; none without a report.

    Raises: RecordError where no manifest tells, or one of them, or a folder on the way to it, is
        a link or no plain file.
    """
    check_folders(report)
    if not report.is_dir():
        return {}
    path = report / files.MANIFEST
    if not check_file(path):
        raise RecordError(
            f"{report} must have a {files.MANIFEST} of the files to send, got none; {WAY_OUT}"
        )
    found = {}
    for name in dict.fromkeys((*read_model(path, Manifest, WAY_OUT).files, files.MANIFEST)):
        check_folders(*(report / part for part in reversed(Path(name).parents)))
        if check_file(report / name):
            found[f"{report.name}/{name}"] = report / name
    return found
