"""The new data set: written beside its place, put there when it is whole."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from seglib.data.convert.lists import find_groups, make_lists
from seglib.data.convert.pictures import read_image
from seglib.data.convert.source import Labels, Source, few
from seglib.data.folder import open_folder
from seglib.data.lists import DataError
from seglib.drawing import palette
from seglib.metrics import VOID


@dataclass(frozen=True)
class Converted:
    """A data set that was written, and what to say of it."""

    folder: Path
    format: str
    classes: tuple[str, ...]
    n_images: int
    lines: tuple[str, ...]


def check_target(source: Path, target: Path) -> None:
    """Raises: DataError unless the target is new, or an empty folder, and apart from the source."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise DataError(f"--to must be a new folder, got {target}, which is something else")
    if target.is_dir() and any(target.iterdir()):
        raise DataError(f"--to must be a new or empty folder, got {target}, which holds files")
    inner, outer = target.resolve(), source.resolve()
    if outer == inner or outer in inner.parents or inner in outer.parents:
        raise DataError(f"--to must lie apart from the source {source}, got {target}")


@contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which becomes it; removed where anything is raised."""
    target = Path(os.path.abspath(target))  # "." has no name
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    part = target.parent / f".{target.name}.{os.getpid()}.part"
    part.mkdir()
    try:
        yield part
        os.rename(part, target)  # replaces an empty folder
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove what killed conversions to this folder left."""
    for old in target.parent.glob(f".{_literal(target.name)}.*.part"):
        number = old.name.removesuffix(".part").rpartition(".")[2]
        if number.isdigit() and not os.path.exists(f"/proc/{number}") and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def write(source: Source, target: Path, groups: str | None, tick: Callable[[], None]) -> Converted:
    """Write a data set in the VOC layout. Raises: DataError naming what does not fit."""
    names = [item.name for item in source.items]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise DataError(f"images must differ in their names, got {few(twice)} twice; rename one")
    group_of = find_groups(groups, source.groups, source.items)
    lists, notes = make_lists(source.items, group_of)
    pixels, how = np.zeros(VOID + 1, np.int64), Counter[str]()
    with fresh(target) as part:
        for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (part / folder).mkdir(parents=True)
        colours = palette(source.classes)
        for item in source.items:
            mask = source.read(item)
            image = read_image(item.image, (mask.shape[1], mask.shape[0]))
            (part / "JPEGImages" / f"{item.name}{image.suffix}").write_bytes(image.content)
            _save_mask(mask, colours, part / "SegmentationClass" / f"{item.name}.png")
            pixels += np.bincount(mask.ravel(), minlength=VOID + 1)
            how[image.how] += 1
            tick()
        for split, listed in lists.items():
            _save_lines(part / "ImageSets/Segmentation" / f"{split}.txt", listed)
        _save_lines(part / "classes.txt", source.classes)
        if group_of:
            lines = [f"{name} {group}" for name, group in group_of.items()]
            _save_lines(part / "groups.txt", lines)
        _read_back(part, target)
    return Converted(
        target,
        source.format,
        source.classes,
        len(names),
        (
            f"{source.format}: {len(names)} images with masks, {len(source.classes)} classes",
            *_label_lines(source.classes, pixels),
            *source.notes,
            *source.last_notes(),
            f"images: {_how_written(how)}",
            *notes,
            ", ".join(f"{split} {len(listed)}" for split, listed in lists.items()),
        ),
    )


def _save_mask(mask: Labels, colours: npt.NDArray[np.uint8], path: Path) -> None:
    picture = Image.fromarray(mask)
    picture.putpalette(colours.tobytes())
    picture.save(path)


def _save_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _read_back(part: Path, target: Path) -> None:
    """What was written opens as a data set does; an error names the target."""
    try:
        open_folder(part, name=target.name)
    except DataError as error:
        raise DataError(str(error).replace(str(part), str(target))) from None


def _label_lines(classes: Sequence[str], pixels: npt.NDArray[np.int64]) -> list[str]:
    total = max(1, int(pixels.sum()))
    shares = [f"{name} {pixels[i] / total:.1%}" for i, name in enumerate(classes) if pixels[i]]
    shares += [f"void {pixels[VOID] / total:.1%}"] if pixels[VOID] else []
    absent = [name for i, name in enumerate(classes) if not pixels[i]]
    return [
        f"pixels: {few(shares, 12)}",
        *([f"no pixel of: {few(absent, 12)}"] if absent else []),
    ]


def _how_written(how: Counter[str]) -> str:
    parts = [f"{how['']} copied byte for byte"] if how[""] else []
    again = {why: n for why, n in how.items() if why}
    if again:
        reasons = ", ".join(f"{n} {why}" for why, n in sorted(again.items()))
        parts.append(f"{sum(again.values())} saved again as PNG without loss ({reasons})")
    return "; ".join(parts)
