"""Data sets that mislead: made here, or by a folder of scripts.

A name of `python -m benchmarks.faults`; returns a row of its table.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.command import command
from benchmarks.fault_study import ROOT
from benchmarks.outside import Row


def voc(
    root: Path,
    counts: dict[str, int],
    classes: list[str],
    size: tuple[int, int] = (48, 64),
    prefix: str = "",
) -> Path:
    """A data set in VOC's layout: one box of each label on noise."""
    rng = np.random.default_rng(0)
    lists = root / "ImageSets/Segmentation"
    for folder in (lists, root / "JPEGImages", root / "SegmentationClass"):
        folder.mkdir(parents=True)
    if classes:
        (root / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    for split, n in counts.items():
        names = [f"{prefix}{split}_{i:02d}" for i in range(n)]
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        for name in names:
            mask = np.zeros(size, np.uint8)
            for label in range(1, len(classes) or 3):
                y, x = (int(rng.integers(0, side * 2 // 3)) for side in size)
                mask[y : y + size[0] // 3, x : x + size[1] // 3] = label
            image = rng.integers(0, 60, (*size, 3)) + mask[..., None] * 60
            Image.fromarray(image.astype(np.uint8)).save(root / "JPEGImages" / f"{name}.png")
            Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
    return root


def _rgb16(root: Path) -> Path:
    voc(root, {"train": 4, "test": 2}, ["background", "box", "stripe"])
    rows = np.random.default_rng(0).integers(0, 4096, (48, 64, 3)).astype(">u2")
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for kind, part in ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")):
        png += (
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        )
    for path in (root / "JPEGImages").iterdir():
        path.write_bytes(png)
    return root


def _test_masks_255(root: Path) -> Path:
    voc(root, {"train": 6, "test": 2}, ["background", "crack"])
    for path in (root / "SegmentationClass").glob("test_*"):
        Image.fromarray(np.asarray(Image.open(path)) * np.uint8(255)).save(path)
    return root


def _groups_uneven(root: Path) -> Path:
    voc(root, {"train": 30, "test": 2}, ["background", "box", "stripe"])
    lines = [f"train_{i:02d} {'park' if i < 27 else 'city'}\n" for i in range(30)]
    (root / "groups.txt").write_text("".join(lines) + "test_00 lake\ntest_01 lake\n")
    return root


def _voc_folder_name(root: Path) -> Path:
    return voc(root / "VOCdevkit/VOC2007", {"train": 4, "val": 2, "test": 2}, [])


def _thin_lines(root: Path) -> Path:
    voc(root, {"train": 3, "test": 2}, ["background", "crack"], size=(2048, 2048))
    for path in (root / "SegmentationClass").iterdir():
        mask = np.zeros((2048, 2048), np.uint8)
        mask[::64] = 1
        Image.fromarray(mask).save(path)
    return root


# Data that mislead, the exit codes that are right, and the word that must be said.
MADE: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "rgb16": (_rgb16, 2, "16-bit RGB"),
    "test_masks_255": (_test_masks_255, 2, "0/255 masks.*test_0"),
    "groups_uneven": (_groups_uneven, 0, "dev: 3 images(.|\n)*far from the 6 wanted"),
    "voc_folder_name": (_voc_folder_name, 0, "no classes.txt(.|\n)*class_0 to class_2"),
    "thin_lines": (_thin_lines, 2, "max_side=(none|2048)"),
}


def data(root: Path, cases: Path | None) -> Row:
    """`--check` of data that mislead: refused or noted with the right word; or scripts."""
    if cases:
        return _cases(root, cases)
    bad, right = [], 0
    for name, (make, code, word) in MADE.items():
        said = command("--check", make(root / name), "--out", root / "checked")
        ok = said.code == code and re.search(word, said.out + said.err) and said.clean
        right += bool(ok)
        if not ok:
            bad.append(f"{name}: exit {said.code}, {(said.out + said.err)[-300:]!r}")
    counted = f"{right} of {len(MADE)} refused or noted with the right word"
    how = f"{', '.join(MADE)}: --check"
    return "misleading data", how, len(MADE), "-", "-", counted + (f"; BAD: {bad}" if bad else "")


def _cases(root: Path, cases: Path) -> Row:
    """Each script makes its input and prints commands, which are run as they are printed."""
    bin_, here = root / "bin", root / "cases"
    for folder in (bin_, here):
        folder.mkdir()
    (bin_ / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin_ / "python").chmod(0o755)
    (here / "runs.py").symlink_to(ROOT / "runs.py")
    environment = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    scripts_, n, ends, bad = sorted(cases.glob("*.py")), 0, [], []
    for script in scripts_:
        make = subprocess.run(
            [sys.executable, script, here / script.stem], capture_output=True, text=True, check=True
        )
        words = MADE[script.stem][2] if script.stem in MADE else ""
        for line in make.stdout.splitlines():
            try:
                made = subprocess.run(
                    ["bash", "-c", line],
                    cwd=here,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=300,
                )
            except subprocess.TimeoutExpired:
                bad.append(f"{script.stem}: {line}: more than 5 minutes")
                continue
            said, n = made.stdout + made.stderr, n + 1
            ends.append(f"{script.stem} {made.returncode}")
            print(f"# {line}\n# exit {made.returncode}: {said[-600:]}", file=sys.stderr, flush=True)
            if "Traceback" in said or "Warning" in said or not re.search(words, said):
                bad.append(f"{script.stem}: {line}: {said[-300:]!r}")
    how = f"{len(scripts_)} scripts, {n} commands; exit codes {', '.join(ends)}"
    counted = f"{len(bad)} with a traceback, a warning or without their word"
    return "cases", how, n, "-", "-", counted + (f"; BAD: {bad}" if bad else "")
