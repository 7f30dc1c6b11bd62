"""What a folder without class names is: Pascal VOC, by its content, or the user's own.

Never decided by a folder's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seglib.data.classes import ClassList
from seglib.data.pictures import as_labels, colours_of, labels_in, open_picture
from seglib.data.plain import DataError, read_plain
from seglib.drawing import VOC_CLASSES, voc_palette
from seglib.metrics import VOID

# year -> how its images are called: 007039; 2008_001235
NAMES = {"2007": re.compile(r"00\d{4}"), "2012": re.compile(r"20(0[7-9]|1[0-2])_\d{6}")}
MANY = 200  # masks of VOC among which no class is missing
HIGH = 11  # a label that own classes without names hardly reach: above half of VOC's
MOST = 64  # more labels without names are grey values rather than classes
OTHER_LISTS = ("class_names.txt", "labels.txt", "labelmap.txt", "label_map.txt", "class_dict.csv")


@dataclass(frozen=True)
class Palettes:
    """The labels that all masks show, with their colours."""

    # label -> its colours in their palettes, none in grey masks; void left out
    colours: Mapping[int, Sequence[str]]
    void: bool = False  # whether any mask shows it

    @property
    def labels(self) -> list[int]:
        return sorted(self.colours)

    @property
    def voc_colours(self) -> bool:
        """Whether no palette gives a label another colour than VOC's."""
        usual = [bytes(colour).hex() for colour in voc_palette()]
        return all(usual[label] == one for label, all_ in self.colours.items() for one in all_)


def year_of(names: Sequence[str]) -> str | None:
    """The VOC whose images are called so."""
    years = (year for year, form in NAMES.items() if all(map(form.fullmatch, names)))
    return next(years, None)


def looks_like_voc(shown: Palettes, n_masks: int) -> bool:
    """Whether labels and colours are VOC's: all of its range, no other colours; or, of few masks,
    such a part as a draw leaves, all in its palette and with its void, as own masks that only skip
    some labels are not. Own labels are 1, 2, ... without a gap."""
    labels, every = {*shown.labels} - {0}, {*range(1, len(VOC_CLASSES))}
    if not shown.voc_colours or not labels <= every:
        return False
    drawn = n_masks < MANY and max(labels, default=0) >= HIGH and len(labels) < max(labels)
    return labels == every or (drawn and shown.void and all(shown.colours.values()))


def recognise(
    root: Path, names: Sequence[str], masks: Sequence[Path], cache: Path | None
) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """The year of VOC or None, the classes, and a note, of a folder without class names.

    Raises: DataError where the masks do not show what the classes are.
    """
    shown = read_palettes(masks, cache)
    year = year_of(names)
    if year and looks_like_voc(shown, len(masks)):
        note = f"no classes.txt: Pascal VOC {year} by its names, labels and colours"
        return year, tuple(VOC_CLASSES), (note,)
    classes, note = numbered(root, shown.labels)
    return None, classes, (note,)


def numbered(root: Path, labels: Sequence[int]) -> tuple[tuple[str, ...], str]:
    """`class_0`, `class_1`, ... up to the largest label of masks without names, and a note.

    Raises: DataError where most labels between do not occur: then they are no plain class ids.
    """
    top = max(1, *labels, 1)
    if top >= MOST or (top > 3 and 2 * len(labels) < top + 1):
        shown = ", ".join(map(str, labels[:8])) + ", ..." * (len(labels) > 8)
        raise DataError(
            f"{root / 'classes.txt'} must name the classes, got no such file, and masks of labels "
            f"{shown}: label each class 0, 1, ... and write its name on that line"
        )
    other = next((name for name in OTHER_LISTS if (root / name).is_file()), "")
    found = f" (or copy {other} there, if it is that list)" if other else ""
    note = (
        f"no classes.txt: the labels are called class_0 to class_{top}; write their "
        f"names, one a line, into classes.txt{found}, `background` first if label 0 is what is left"
    )
    return tuple(f"class_{i}" for i in range(top + 1)), note


def read_palettes(masks: Sequence[Path], cache: Path | None) -> Palettes:
    """Look at every mask once; what was seen is kept in the folder `cache`.

    Raises: DataError naming a file that is no mask.
    """
    digest = hashlib.sha256(b"with void")
    for path in masks:
        info = path.stat()
        digest.update(
            f"{path.absolute()} {info.st_size} {info.st_mtime_ns}\n".encode(errors="replace")
        )
    file = cache and cache / f"labels-{digest.hexdigest()[:16]}.json"
    if file and (known := _read(file)):
        return known
    colours: dict[int, set[str]] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for found in threads.map(_seen, masks):
            for label, colour in found.items():
                colours.setdefault(label, set()).update({colour} - {""})
    content = {label: sorted(found) for label, found in sorted(colours.items())}
    if file:
        with suppress(OSError):  # looked at again the next time
            file.parent.mkdir(parents=True, exist_ok=True)
            work = file.with_name(f".{file.name}.{os.getpid()}")
            with work.open("x") as text:
                json.dump(content, text)
            work.replace(file)
    return _palettes(content)


def _palettes(colours: dict[int, list[str]]) -> Palettes:
    """Of what all masks show, void among it."""
    return Palettes({label: c for label, c in colours.items() if label != VOID}, VOID in colours)


def _seen(path: Path) -> dict[int, str]:
    """Label -> colour in the palette, "" in a grey mask."""
    opened = open_picture(path)
    as_labels(opened, path)
    labels = labels_in(opened)
    return dict.fromkeys(labels, "") | colours_of(opened, labels)


def _read(file: Path) -> Palettes | None:
    try:
        content = json.loads(read_plain(file, limit=2**20))
        found = {int(k): [str(v) for v in vs] for k, vs in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return _palettes(found) if all(0 <= label <= VOID for label in found) else None


def check_colours(path: Path, known: ClassList, shown: Palettes) -> None:
    """The colours of a label map must be those of the labels in the masks' palettes.

    Raises: DataError: then labels are not counted from the first line of the map.
    """
    owners = {colour: name for name, colour in zip(known.names, known.colours, strict=True)}
    for label, colours in shown.colours.items():
        for colour in colours:
            owner = owners.get(colour)
            if owner and label < len(known.names) and colour != known.colours[label]:
                raise DataError(
                    f"{path} must name the classes in the order of their labels, got "
                    f"{known.names[label]} as label {label}, which has the colour of {owner} in "
                    "the masks; write the names alone, one a line, in that order"
                )
