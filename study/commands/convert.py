"""--convert: images and masks as people have them, into a folder that a study reads."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from seglib.data.convert import convert as convert_folder
from study.commands.console import step
from study.commands.request import Request


def convert(request: Request, console: Console) -> int:
    """Write the folder, say what was done and what to run next."""
    assert request.to is not None  # Request refuses it
    with step(console, "converting") as progress:
        done = convert_folder(
            Path(request.data),
            request.to,
            format=request.format,
            labels=request.labels,
            groups=request.groups,
            progress=progress,
        )
    for line in (*done.lines, f"written: {done.folder}"):
        console.print(line)
    check = Request(verb="check", data=str(done.folder), out=request.out)
    console.print(f"next: {check.command()}")
    return 0
