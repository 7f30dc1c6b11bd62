"""The names of the classes: classes.txt in the forms that annotators write; what is implausible.

docs/data.md lists the forms.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from seglib.data.plain import DataError, read_lines
from seglib.metrics import VOID

NUMBER = r"\d{1,3}"
RGB = rf"(?P<rgb>{NUMBER}[,;\s]+{NUMBER}[,;\s]+{NUMBER})"
FLOAT = r"\d*\.?\d+"
HEX = r"#(?P<hex>[0-9A-Fa-f]{6})"
LABEL_MAPS = tuple(
    map(
        re.compile,
        (
            rf"(?P<name>[^:]+):{RGB}(?::[^:]*:[^:]*)?",  # CVAT: name:r,g,b:parts:actions
            rf"{RGB}[,;\s]+(?P<name>\S.*)",  # CamVid: r g b name
            rf"(?P<name>\S.*?)[,;\s]+{RGB}(?:[,;\s]+[\d.]+)?",  # name,r,g,b
            rf"(?P<name>\S.*?)[,;:\s]+{HEX}",
            rf"{HEX}[,;:\s]+(?P<name>\S.*)",
        ),
    )
)
COLUMNS = set("id idx index no label name class class_name category color colour".split())
COLUMNS |= set("r g b red green blue".split())
NUMBERED = (
    re.compile(rf"[(\[]?(?P<label>{NUMBER})[.:,;)\]\s]\s*(?P<name>\S.*)"),  # 0: name; (0) name
    re.compile(rf"(?P<name>\S.*?)\s*[:,;=\s]\s*(?P<label>{NUMBER})"),  # background 0
)
NO_CLASS = {"void", "ignore", "ignored", "unlabeled", "unlabelled", "__ignore__"}
LOOK = "is the name of label 0 on the first line?"
RARE = 4  # background on fewer than this part of the commonest label's pixels


class ClassList(NamedTuple):
    """Class names in the order of their labels."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()  # on how they were read
    colours: tuple[str, ...] = ()  # hex, of a label map


def read_classes(path: Path) -> ClassList | None:
    """The classes that a file names; None where there is none.

    Raises: DataError.
    """
    if not os.path.lexists(path):
        return None
    lines = read_lines(path)
    if "" in lines:
        raise DataError(
            f"{path} must name one class a line, got an empty name on line {lines.index('') + 1}"
        )
    if long := next((line for line in lines if len(line) > 300), ""):
        raise DataError(f"{path} must name one class a line, got a line that begins {long[:60]!r}")
    names, notes, colours = _plain_names(lines[:10_000], path)
    if not 2 <= len(names) < VOID:
        words = [word for word in re.split(r"[,;\s]+", names[0]) if word] if len(names) == 1 else []
        advice = f" line of {len(words)} words; write one a line" if len(words) > 1 else ""
        raise DataError(f"{path} must name 2 to {VOID - 1} classes, got {len(names)}{advice}")
    _check_names(names, path)
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise DataError(f"{path} names {', '.join(twice)} twice; class names must differ")
    if "__ignore__" in names:
        raise DataError(
            f"{path} must hold __ignore__ as its first name alone, got it later; what is ignored "
            f"is {VOID} in masks and has no name"
        )
    told = tuple(f"classes.txt: {note}" for note in notes)
    return ClassList(tuple(names), told, tuple(colours[: len(names)]))


def _check_names(names: list[str], path: Path) -> None:
    """They must be names alone. Raises: DataError."""
    for mark, least in ((",", 2), (";", 1), ("\t", 1)):
        n_marks = names[0].count(mark)
        alike = all(name.count(mark) == n_marks and name[-1] != mark for name in names)
        if n_marks >= least and alike:
            raise DataError(
                f"{path} must hold plain names, got a table of {n_marks + 1} columns that begins "
                f"{names[0]!r}; keep the column of names, in the order of the labels"
            )
    for name in names:
        if not (name.isprintable() and len(name) <= 100 and any(c.isalnum() for c in name)):
            raise DataError(
                f"{path} must hold names of at most 100 printable characters, one of "
                f"them a letter or digit, got {name[:100]!r}"
            )
        if re.search(r"""^["'\[{]|["'\]},;]$|^[-*•] |^names:|^\w+:$""", name):
            raise DataError(
                f"{path} must hold plain names, one a line, got {name!r}; take quotes, brackets, "
                "dashes, commas and headings out"
            )
        if re.search(rf"[\s,;]{FLOAT}[\s,;]+{FLOAT}[\s,;]+{FLOAT}$", name):
            raise DataError(
                f"{path} must hold plain names, or colours of 0 to 255, got {name!r}; take the "
                "numbers out"
            )


def _plain_names(lines: list[str], path: Path) -> tuple[list[str], list[str], list[str]]:
    """The names without what some annotators write around them, what was left out, and colours."""
    notes = []
    names = [re.split(r"\s#\s|\s//\s", line)[0].strip() for line in lines]
    names = [n for n in names if not n.startswith(("#", "//")) or re.match(rf"{HEX}\b", n)]
    if names != lines:
        notes.append("comments left out")
    if (
        names
        and {*re.split(r"[,;\s_]+", names[0].casefold())} <= COLUMNS
        and re.search(r"[,;\s]", names[0])
    ):
        names = names[1:]
    colours = []
    if pairs := _label_map(names, path):
        names, colours = [name for name, _ in pairs], [colour for _, colour in pairs]
        notes.append("a label map: labels are counted from its first line, colours are not shown")
    if found := _numbered(names):
        names = found
        notes.append("the numbers beside the names are the labels and left out")
    if names[:1] == ["__ignore__"]:
        names, colours = names[1:], colours[1:]
        notes.append(f"labelme's __ignore__ left out (it is {VOID} in masks)")
    if names[:1] == ["_background_"]:
        names = ["background", *names[1:]]
        notes.append("labelme's _background_ read as background")
    return names, notes, colours


def _label_map(names: list[str], path: Path) -> list[tuple[str, str]]:
    """The name and colour (hex) of each line; none where the lines are no label map."""
    for form in LABEL_MAPS:
        found = [form.fullmatch(name) for name in names]
        n_found = sum(match is not None for match in found)
        if n_found == len(names):
            return [(match["name"].strip(), _hex(match)) for match in found if match]
        if n_found > len(names) / 2:
            odd = names[found.index(None)]
            raise DataError(
                f"{path} must have a name and a colour on every line or on none, got {odd!r} "
                f"beside {next(m.string for m in found if m)!r}; write names alone, one a line"
            )
    return []


def _hex(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if parts.get("hex"):
        return parts["hex"].lower()
    return "".join(f"{int(part):02x}" for part in re.split(r"[,;\s]+", parts["rgb"]))


def _numbered(names: list[str]) -> list[str]:
    """The names of lines such as `0 background`, where they are labels 0, 1, ... in order; a last
    one of 255 is void and no class."""
    for form in NUMBERED:
        matches = [form.fullmatch(name) for name in names]
        found = [match for match in matches if match]
        if len(found) < len(names):
            continue
        if len(found) > 1 and int(found[-1]["label"]) == VOID:
            found = found[:-1]
        plain = [match["name"] for match in found]
        counted = [int(match["label"]) for match in found] == list(range(len(found)))
        if counted and len({*plain}) == len(plain) > 1:
            return plain
    return []


def implausible_classes(
    names: Sequence[str], pixel_counts: Sequence[int], *, given: bool = True
) -> tuple[str, ...]:
    """What is odd about class names, given the pixels of each label in all masks; a line each.

    Args:
        given: whether the names are classes.txt's; of others it is said only which are not seen.
    """
    counts = [int(n) for n in pixel_counts]
    return tuple([*_unseen(names, counts, given), *(_implausible(names, counts) if given else ())])


def _unseen(names: Sequence[str], counts: list[int], given: bool) -> Iterator[str]:
    if unseen := [name for name, n in zip(names, counts, strict=True) if not n]:
        yield (
            f"{len(names)} classes are named, the masks show {len(names) - len(unseen)}: "
            * given
            + f"no mask shows {', '.join(unseen[:5])}{', ...' * (len(unseen) > 5)}, nothing to "
            "learn and no score" + f"; {LOOK}" * given
        )


def _implausible(names: Sequence[str], counts: list[int]) -> Iterator[str]:
    top = max(range(len(counts)), key=counts.__getitem__)
    if names[0] == "background" and RARE * counts[0] < counts[top]:
        shares = [counts[label] / max(1, sum(counts)) for label in (0, top)]
        yield (
            f"background (label 0) has {shares[0]:.1%} of the pixels, {names[top]} (label {top}) "
            f"{shares[1]:.1%}: {LOOK}"
        )
    for label, name in enumerate(names):
        bare = name.casefold().strip("_ ")
        if bare == "background" and (label or name != "background"):
            yield (
                f"{name} is the name of label {label}: it counts as a class like the others; only "
                "`background` on the first line is what is left"
            )
        if bare in NO_CLASS:
            yield f"{name} (label {label}) is scored as a class; void must be {VOID} in masks"
    if twins := sorted({n for n in names if [m.casefold() for m in names].count(n.casefold()) > 1}):
        yield f"class names that differ in capital letters only: {', '.join(twins)}"
    if all(form[:1].isdigit() for form in names):
        yield f"all class names begin with a number ({names[0]}): labels count from 0, {LOOK}"
