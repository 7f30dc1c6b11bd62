"""Tables of labels: which value or colour of a mask is which class, in the formats people have.

Per line: a name alone (its line number is the value), `value name`, `name,value`, `r g b name`,
`name,r,g,b`, `#rrggbb name`, or CVAT's `name:r,g,b:parts:actions`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from seglib.data.convert.source import File
from seglib.data.lists import DataError
from seglib.data.plain import read_lines
from seglib.drawing import voc_palette
from seglib.metrics import VOID

# Looked for in the source, in its root and beside the masks.
FILES = (
    "class_names.txt",
    "class_dict.csv",
    "labelmap.txt",
    "label_colors.txt",
    "_classes.csv",
    "classes.txt",
    "labels.txt",
    "codes.txt",
)
VOID_NAMES = {"__ignore__", "ignore", "ignored", "void", "unlabeled", "unlabelled"}
HEADER_WORDS = {"name", "class", "classes", "label", "id", "value", "pixel value", "r", "red"}
BYTE = r"(\d{1,3})"
GAP = r"\s*[,;\s]\s*"
# How a line can say (colour or value, name): form -> pattern with the groups in `_entry`.
FORMS = {
    "cvat": re.compile(r"^(?P<name>.+?):(?:(?P<rgb>\d+,\s*\d+,\s*\d+))?:[^:]*:[^:]*$"),
    "rgb last": re.compile(rf"^(?P<name>.+?){GAP}(?P<rgb>{BYTE}{GAP}{BYTE}{GAP}{BYTE})$"),
    "rgb first": re.compile(rf"^(?P<rgb>{BYTE}{GAP}{BYTE}{GAP}{BYTE}){GAP}(?P<name>.+)$"),
    "hex first": re.compile(rf"^#(?P<hex>[0-9a-fA-F]{{6}}){GAP}(?P<name>.+)$"),
    "hex last": re.compile(rf"^(?P<name>.+?){GAP}#(?P<hex>[0-9a-fA-F]{{6}})$"),
    "value first": re.compile(r"^(?P<value>\d{1,5})\s*[,;:\s]\s*(?P<name>.+)$"),
    "value last": re.compile(r"^(?P<name>.+?)\s*[,;:\t]\s*(?P<value>\d{1,5})$"),
}


@dataclass(frozen=True)
class Table:
    """Label table: `names[i]` is at `codes[i]`, a value, or 65536 r + 256 g + b of a colour."""

    path: Path
    names: tuple[str, ...]  # in the order of the file
    codes: tuple[int, ...]
    kind: str  # "names" (codes are line numbers), "values" or "colours"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the new set: without void, `background` first if there is one."""
        found = dict.fromkeys(name for name in self.names if not is_void(name))
        return tuple(sorted(found, key=lambda name: name != "background"))

    def labels(self) -> dict[int, int]:
        """Code -> label, void as 255."""
        place = {name: label for label, name in enumerate(self.classes)}
        pairs = zip(self.codes, self.names, strict=True)
        return {code: VOID if is_void(name) else place[name] for code, name in pairs}


def is_void(name: str) -> bool:
    return name.lower() in VOID_NAMES


def shown(code: int, kind: str) -> str:
    """A code as a person writes it."""
    return str(code) if kind != "colours" else f"{code >> 16} {code >> 8 & 255} {code & 255}"


def read_table(path: Path) -> Table:
    """Read a table of labels. Raises: DataError naming the line."""
    lines = [line for line in read_lines(path) if line and not _is_comment(line)]
    form = _form(path, lines)
    if form and not FORMS[form].match(lines[0]):
        lines = lines[1:]  # a header
    if not lines:
        raise DataError(f"{path} must name one class a line, got none")
    if form:
        entries = [_entry(path, form, line, row) for row, line in enumerate(lines)]
        kind = "values" if form.startswith("value") else "colours"
    else:
        # labelme numbers from -1 where __ignore__ comes first
        first = -1 if lines[0] == "__ignore__" else 0
        entries = [(first + row, clean(line)) for row, line in enumerate(lines)]
        kind = "names"
    table = Table(path, tuple(name for _, name in entries), tuple(c for c, _ in entries), kind)
    check(table)
    return table


def _is_comment(line: str) -> bool:
    return line.startswith("#") and not FORMS["hex first"].match(line)


def _form(path: Path, lines: list[str]) -> str:
    """The form that all lines have, but perhaps a header; "" where they are names alone."""
    best, n_best = "", 0
    for form, pattern in FORMS.items():
        matched = [bool(pattern.match(line)) for line in lines]
        if matched and (all(matched) or (all(matched[1:]) and matched[1:] and _is_header(lines))):
            return form
        if sum(matched) > n_best:
            best, n_best = form, sum(matched)
    if 2 * n_best > len(lines):
        odd = next(line for line in lines if not FORMS[best].match(line))
        raise DataError(
            f"{path} must have one form in all lines ({best.replace(' ', ', ')} in most), got "
            f"{odd[:80]!r}; mend that line"
        )
    return ""


def _is_header(lines: list[str]) -> bool:
    words = {word.strip().lower() for word in re.split(r"[,;:_\s]+", lines[0])}
    return bool(words & HEADER_WORDS)


def _entry(path: Path, form: str, line: str, row: int) -> tuple[int, str]:
    match = FORMS[form].match(line)
    assert match
    parts = match.groupdict()
    if parts.get("hex"):
        code = int(parts["hex"], 16)
    elif parts.get("value"):
        code = int(parts["value"])
    else:
        text = parts.get("rgb")
        rgb = [int(n) for n in re.findall(r"\d+", text)] if text else voc_palette()[row % 256]
        if max(rgb) > 255:
            raise DataError(f"{path} must hold colours of 0 to 255, got {line[:80]!r}")
        code = int(rgb[0]) << 16 | int(rgb[1]) << 8 | int(rgb[2])
    return code, clean(parts["name"])


def clean(text: str) -> str:
    name = text.strip().strip(",;\"'").strip()
    return "background" if name.lower() in ("_background_", "background") else name


def check(table: Table) -> None:
    n_classes = len(table.classes)
    if not 2 <= n_classes < VOID:
        raise DataError(
            f"{table.path} must name 2 to {VOID - 1} classes, got {n_classes}"
            f" ({', '.join(table.classes[:3])}); the background needs a name too"
        )
    code, n_code = Counter(table.codes).most_common(1)[0]
    if n_code > 1:
        raise DataError(
            f"{table.path} must name each value or colour once, got {shown(code, table.kind)} "
            f"{n_code} times; leave one"
        )
    name, n_name = Counter(table.names).most_common(1)[0]
    if n_name > 1 and table.kind == "names":
        raise DataError(f"{table.path} names {name} twice; class names must differ")
    if "__ignore__" in table.names[1:] and table.kind == "names":
        raise DataError(
            f"{table.path} must have __ignore__ on its first line or not at all; its value in "
            "the masks cannot be told otherwise: give --labels with lines 'value name'"
        )


def find_table(files: list[File]) -> Table | None:
    """The table of labels that lies in the source, or None.

    Raises: DataError where two say different things.
    """
    found = [read_table(f.path) for f in files if f.path.name.lower() in FILES]
    distinct: dict[tuple[tuple[str, ...], tuple[int, ...]], Table] = {}
    for table in found:
        distinct.setdefault((table.names, table.codes), table)
    tables = list(distinct.values())
    coded = [table for table in tables if table.kind != "names"]
    if len(coded) == 1 and all(t.classes == coded[0].classes for t in tables):
        tables = coded  # the others say only the names of the same classes
    if len(tables) > 1:
        raise DataError(
            f"{tables[0].path} and {tables[1].path} must agree on the classes, got "
            f"{', '.join(tables[0].names[:4])} and {', '.join(tables[1].names[:4])}; choose one: "
            "--labels FILE"
        )
    return tables[0] if tables else None
