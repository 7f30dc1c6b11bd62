"""Data as people have it -> a folder in the VOC layout, which is the one format of a study.

    from seglib.data.convert import convert
    convert(Path("source"), Path("new-folder"))

Nothing is guessed: what could be read in two ways is refused, with the next step. The source is
only read. Knows nothing of the command line; what COCO's polygons need is an extra, `convert`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seglib.data.convert.annotations import FORMATS as COCO_FORMATS
from seglib.data.convert.annotations import might_be_coco, read_coco
from seglib.data.convert.coco import open_coco
from seglib.data.convert.folders import place
from seglib.data.convert.masks import MASK_FOLDERS, open_masks, voc_format
from seglib.data.convert.source import File, Source, list_files
from seglib.data.convert.write import Converted, check_target, write
from seglib.data.lists import DataError

FORMATS = ("pairs", "voc", "labelme", "cvat", *COCO_FORMATS)

__all__ = ["FORMATS", "Converted", "convert"]


def convert(
    source: Path,
    target: Path,
    *,
    format: str | None = None,
    labels: Path | None = None,
    groups: str | None = None,
    progress: Callable[[int, int], None] = lambda done, n: None,
) -> Converted:
    """Write the images and masks of `source` into a new folder `target`.

    Args:
        format: one of FORMATS, needed only where several fit.
        labels: a table of labels (`seglib.data.convert.labels`); else one found in the source.
        groups: a file "<name> <group>" a line, or a regular expression whose first group in a
            name is its group.
        progress: called with (files read, files to read).
    Returns: what was written, and lines that say how.
    Raises: DataError (a ValueError) naming what is there and the next step; nothing is left.
    """
    source, target = Path(source), Path(target)
    if format is not None and format not in FORMATS:
        raise DataError(f"--format must be one of {', '.join(FORMATS)}, got {format}")
    done = [0, 0]

    def expect(n: int) -> Callable[[], None]:
        """That many files more; the returned function counts one."""
        done[1] += n

        def tick() -> None:
            done[0] += 1
            progress(done[0], done[1])

        return tick

    files = _below(list_files(source))
    check_target(source, target)
    understood = _open(files, source, format, labels, expect)
    return write(understood, target, groups, expect(len(understood.items)))


def _below(files: list[File]) -> list[File]:
    """The files, seen from the one folder that holds all data (of an unpacked archive)."""
    while True:
        data = [f for f in files if f.path.suffix.lower() not in (".txt", ".csv")]
        if not data or not all(f.folders for f in data) or len({f.folders[0] for f in data}) > 1:
            return files
        top = data[0].folders[:1]
        if top[0] in MASK_FOLDERS:
            return files
        files = [File(f.path, f.folders[1:]) if f.folders[:1] == top else f for f in files]


def _open(
    files: list[File],
    source: Path,
    format: str | None,
    labels: Path | None,
    expect: Callable[[int], Callable[[], None]],
) -> Source:
    """The one format that fits. Raises: DataError where none does, or several."""
    found: list[str] = []
    candidates = [f for f in files if might_be_coco(f)] if format in (None, *COCO_FORMATS) else []
    coco = read_coco(candidates, expect(len(candidates)))
    found += [name for name in COCO_FORMATS if any(c.format == name for c in coco)]
    if voc := voc_format(files):
        found.append(voc)
    elif _has_masks(files, bool(coco)):
        found.append("pairs")
    if coco and not found:
        both = any(a.get(key) for a in coco[0].annotations for key in COCO_FORMATS.values())
        got = "polygons and segments in one file" if both else "no segmentation, as of boxes alone"
        raise DataError(f"{coco[0].file.path} must hold masks, got {got}; export it with masks")
    chosen = [format] if format else found
    if len(chosen) != 1:
        kinds = sorted({f.path.suffix.lower() for f in files})
        got = " and ".join(found) or f"none of them (files: {', '.join(kinds) or 'none'})"
        step = "choose one: --format NAME" if found else "docs/convert.md shows each"
        raise DataError(
            f"{source} must hold one of the formats {', '.join(FORMATS)}, got {got}; {step}"
        )
    name = chosen[0]
    if name in COCO_FORMATS:
        if name not in found:
            raise DataError(f"{source} must hold JSON of {name} for --format {name}, got none")
        if labels:
            raise DataError(f"--labels is not for {name}: its file names the categories")
        return open_coco(name, files, coco)
    if name in ("voc", "labelme", "cvat") and name != voc:
        raise DataError(f"{source} must lie in the layout of {name}, got {voc or 'another'}")
    return open_masks(name, files, labels, expect)


def _has_masks(files: list[File], beside_coco: bool) -> bool:
    """Whether masks lie in folders of their own, or anything could be paired by its suffix."""
    pictures = [f for f in files if f.is_picture]
    if beside_coco:  # whose masks lie in panoptic_*, whose files in annotations/
        pictures = [
            f
            for f in pictures
            if not any("panoptic" in x.lower() or x.lower() == "annotations" for x in f.folders)
        ]
        return any(place(f).role == "mask" for f in pictures)
    return bool(pictures)
