"""Owns reading `study.json`: what a study declared before its first run.

Must not know: runs, tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.journal import read_json

FORMAT = 1
SPLITS = ("fit", "dev", "test")
DATA_KEYS = ("name", "classes", "fingerprint", "n_images", "pixel_share", "image_share")
STUDY_KEYS = ("format", "name", "data", "recipe", "cells")


@dataclass(frozen=True)
class Cell:
    """One declared arm."""

    arm: str
    network: str
    cell_id: str | None  # None: declared, but its identity is not known yet
    values: Mapping[str, str]  # its value on each compared axis
    loss: str
    variant: str  # what tells it from the other arms of its network: the rest of its label


def read_declaration(study_dir: Path) -> dict[str, Any]:
    """The content of `study.json`, its outer shape checked."""
    path = study_dir / "study.json"
    if not path.is_file():
        siblings = sorted(p.parent.name for p in study_dir.parent.glob("*/study.json"))
        raise ValueError(
            f"study must be a directory with a study.json, got {study_dir} without one; "
            f"studies beside it: {', '.join(siblings) or 'none'}; run `python runs.py --grid` first"
        )
    declaration = read_json(path)
    missing = [key for key in STUDY_KEYS if key not in declaration]
    if missing:
        raise ValueError(f"{path} must have {', '.join(STUDY_KEYS)}, got no {', '.join(missing)}")
    if declaration["format"] != FORMAT:
        raise ValueError(
            f"{path}: format must be {FORMAT}, got {declaration['format']!r}; "
            "read it with the version of this project that wrote it"
        )
    for key, kind in (("data", dict), ("recipe", dict), ("cells", list)):
        if not isinstance(declaration[key], kind):
            raise ValueError(f"{path}: {key} must be a {kind.__name__}, got {declaration[key]!r}")
    if not declaration["cells"]:
        raise ValueError(f"{path}: cells must name at least one arm, got none")
    data = declaration["data"]
    missing = [key for key in DATA_KEYS if key not in data]
    if missing:
        raise ValueError(
            f"{path}: data must have {', '.join(DATA_KEYS)}, got no {', '.join(missing)}"
        )
    for key, kind in (
        ("classes", list),
        ("n_images", dict),
        ("pixel_share", dict),
        ("image_share", dict),
    ):
        if not isinstance(data[key], kind):
            raise ValueError(f"{path}: data.{key} must be a {kind.__name__}, got {data[key]!r}")
    for key in ("pixel_share", "image_share"):
        shares = {split: data[key].get(split) for split in SPLITS}
        lengths = {split: len(s) if isinstance(s, list) else 0 for split, s in shares.items()}
        if set(lengths.values()) != {len(data["classes"])}:
            raise ValueError(
                f"{path}: data.{key} must hold one share per class ({len(data['classes'])}) for "
                f"each of {', '.join(SPLITS)}, got {lengths}"
            )
        if not all(isinstance(x, (int, float)) and 0 <= x <= 1 for s in shares.values() for x in s):
            raise ValueError(f"{path}: data.{key} must hold shares in [0, 1], got {shares}")
    return declaration


def read_cells(declaration: Mapping[str, Any], path: Path) -> tuple[Cell, ...]:
    """The declared arms in order; `path` is named in errors."""
    try:
        cells = tuple(
            Cell(c["arm"], c["network"], c["cell_id"], dict(c["values"]), "", "")
            for c in declaration["cells"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: each cell must have arm, network, cell_id and values, got {error!r}"
        ) from error
    for cell in cells:
        if not all(isinstance(x, str) for x in (cell.arm, cell.network, cell.cell_id or "")):
            raise ValueError(f"{path}: arm, network and cell_id must be text, got {cell}")
    for what in ("arm", "cell_id"):
        given = [getattr(cell, what) for cell in cells if getattr(cell, what) is not None]
        twice = sorted({value for value in given if given.count(value) > 1})
        if twice:
            raise ValueError(f"{path}: {what} must be unique among the cells, got {twice} twice")
    # A study of one loss does not compare it: the loss then stands in the recipe.
    fixed = declaration["recipe"].get("loss", "")
    return tuple(
        replace(
            cell,
            loss=str(cell.values.get("loss", fixed)),
            variant=cell.arm.removeprefix(f"{cell.network}-"),
        )
        for cell in cells
    )


def extra_axes(cells: Sequence[Cell]) -> list[str]:
    """Axes beside network and loss that tell arms apart.

    The label where cells have one, else what varies among the untuned cells (tuned values differ by
    nature); tuning as soon as one arm is tuned.
    """
    untuned = [cell for cell in cells if cell.values.get("tuning", "default") == "default"]
    axes = dict.fromkeys(axis for cell in untuned for axis in cell.values)
    varied = [
        axis
        for axis in axes
        if axis not in ("model", "init", "loss", "tuning", "label")
        and len({str(cell.values.get(axis)) for cell in untuned}) > 1
    ]
    tuning = ["tuning"] if len(untuned) < len(cells) else []
    return (["label"] if "label" in axes else varied) + tuning
