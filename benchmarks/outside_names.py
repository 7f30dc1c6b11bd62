"""Names that are code elsewhere, in a data set and a matrix, on their way out.

A name of `python -m benchmarks.faults`; returns a row of its table.
"""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

from benchmarks.command import Said, command, small
from benchmarks.outside import Row
from benchmarks.outside_data import voc
from study.matrix import Matrix

BASE = {"model": "unet", "init": "scratch", "loss": "bce"}
HOSTILE = (
    "\x1b]0;own\x07\x1b[31mred",
    "\u202egpj.exe",
    "\x9b31mred",
    "=1+2",
    "@SUM(1)",
    "<script>alert(1)",
    "<img src=x onerror=alert(1)>",
    "`id`$(id)|[x](javascript:x)",
)
PLACES = ("class", "group", "image", "label")
SEEN_LETTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _named(root: Path, text: str, places: tuple[str, ...]) -> Path:
    """A data set that has the text as the names of these places."""
    classes = ["background", text if "class" in places else "box", "stripe"]
    counts = {"train": 4, "val": 2, "test": 2}
    root = voc(root, counts, classes, prefix=text if "image" in places else "")
    group = text.replace(" ", "_") if "group" in places else "g"
    lines = [f"{p.stem} {group}{p.stem[-8:]}\n" for p in (root / "JPEGImages").iterdir()]
    (root / "groups.txt").write_text("".join(lines), encoding="utf-8")
    return root


def _label(text: str) -> bool:
    """Have a matrix `hostile` whose arms are called so; False where that is refused."""
    import runs  # in here: benchmarks of other faults do without

    levels = {text: {"rotation_deg": 0}, "weak": {"rotation_deg": 5}}
    axes = {name: (value,) for name, value in BASE.items()} | {"turned": levels}
    try:
        runs.MATRICES["hostile"] = Matrix(axes=axes, baseline=BASE | {"turned": "weak"})
    except ValueError:
        return False
    return True


def names(root: Path, _: Path) -> Row:
    """Each hostile string as class, group, image and arm, through --grid and --report."""
    n = refused = 0
    bad, wrong = [], dict.fromkeys(("terminal", "csv", "html", "ends"), 0)
    for number, text in enumerate(HOSTILE):
        place = root / f"names-{number}"
        taken = ["label"] * _label(text)
        for one in PLACES[:-1]:
            data = _named(place / one, text, (one,))
            said = command("--check", data, "--out", place / "out")
            n += 1
            taken += [one] * (said.code == 0)
            wrong["terminal"] += _controls(said, bad, f"--check {text!r} as {one}")
            wrong["ends"] += not said.clean
        refused += len(PLACES) - len(taken)
        data, out = _named(place / "all", text, tuple(taken)), place / "out"
        matrix = "hostile" if "label" in taken else "losses"
        words = [w for w in small(out, data, "--seeds", "1", "--matrix", matrix)]
        for verb, more in (("--grid", words), ("--report", ["--study", "s", "--out", str(out)])):
            said, n = command(verb, *more), n + 1
            wrong["terminal"] += _controls(said, bad, f"{verb} {text!r}")
            if said.code != 0 or said.traceback:
                wrong["ends"] += 1
                bad.append(f"{verb} {text!r} as {taken}: exit {said.code}, {said.err[-200:]!r}")
        report = out / "s/report"
        wrong["csv"] += sum(map(formulas, report.glob("tables/*.csv")))
        wrong["html"] += sum(map(scripts, out.rglob("index.html")))
    counted = (
        f"{wrong['terminal']} control characters, {wrong['csv']} formulas, {wrong['html']} "
        f"scripts, {wrong['ends']} other ends than 0 or a line"
    )
    how = f"{len(HOSTILE)} strings x class, group, image, arm ({refused} refused)"
    return "hostile names", how, n, "-", "-", counted + (f"; BAD: {bad}" if bad else "")


def _controls(said: Said, bad: list[str], where: str) -> int:
    found = len(SEEN_LETTERS.findall(said.out + said.err))
    if found or said.traceback:
        bad.append(f"{where}: {(said.out + said.err)[-200:]!r}")
    return found


def formulas(path: Path) -> int:
    """Cells of a CSV file that a spreadsheet would compute."""
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return sum(cell[:1] in set("=+-@\t\r") and not _number(cell) for cell in cells if cell)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "-"
    return True


class _Scripts(HTMLParser):
    """Counts what a browser would run of the strings above."""

    n, _inside = 0, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"
        self.n += sum(
            name.startswith("on") or (value or "").strip().lower().startswith("javascript:")
            for name, value in attrs
        )

    def handle_data(self, data: str) -> None:
        self.n += self._inside and "alert(1)" in data
        self._inside = False


def scripts(path: Path) -> int:
    parser = _Scripts()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.n
