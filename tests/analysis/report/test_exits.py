"""One hostile string, as every name there is, through every exit."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from analysis.figures.contact import contact_sheet
from analysis.records import read_study
from analysis.report.check import write_check
from analysis.report.exits import csv_cell, csv_table, html, latex_table, markdown, one_line, tex
from analysis.report.write import write_report
from seglib.drawing import sheet
from study.record import Contrast, files, write_npz
from tests.analysis.report.inspections import facts, sample
from tests.analysis.studies import BCE, DICE, write_run, write_study

NASTY = (
    "=cmd()|'/C calc'!A0;=x\t\"q\" \\ | <script>alert(1)</script> $\\input{/etc/passwd}$ %#_{}~^&"
    "\n# *b* `c` _d_ ![i](//e.example/x) https://e.example www.e.example "
    "\r\x1b[31m\x1b]0;t\x07\u202e\x00"
)
SEEN = one_line(NASTY)  # as it is to be read
TAGS = {
    *"html head meta link title style body header h1 p ul li nav a main section".split(),
    *"h2 div table thead tr th tbody td figure img figcaption pre code strong".split(),
}


def hostile(tmp_path, text: str):
    """A study in which everything that has a name has this one, a number before or behind it."""
    classes = tuple(f"{text}{i}" for i in range(4))
    root = write_study(tmp_path / "plain", [BCE, DICE], classes)
    arrays = dict(np.load(root / files.PANEL))
    arrays["names"] = np.array([f"{text}0", f"{text}1"])
    write_npz(root / files.PANEL, {**arrays, "names": arrays["names"].astype(str)})
    for seed in (0, 1):
        write_run(root, BCE, seed, (0.9, 0.6, 0.2 + 0.1 * seed))
        write_run(root, DICE, seed, (0.9, 0.5, 0.3), environment={"device": text})
    write_run(root, DICE, 2, end="failed", error=text)
    study = read_study(root)
    names = {BCE.arm: f"{text}a", DICE.arm: f"{text}b"}
    cells = tuple(
        cell.model_copy(update={"arm": names[cell.arm], "network": text, "label": text})
        for cell in study.cells
    )
    pair = Contrast(name=text, family=text, a=names[DICE.arm], b=names[BCE.arm])
    update = {"name": text, "cells": cells, "contrasts": (pair,), "baseline": names[BCE.arm]}
    runs = tuple(replace(run, arm=names[run.arm], network=text) for run in study.runs)
    return replace(study, declaration=study.declaration.model_copy(update=update), runs=runs)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("hostile")
    return write_report(hostile(tmp_path, NASTY), tmp_path / "report").parent


class Page(HTMLParser):
    """Its tags and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


def harmless(text: str) -> bool:
    """No control character and no change of direction is in a file."""
    return not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\ud800-\udfff]", text
    )


@pytest.mark.slow
def test_html(out):
    text = (out / "index.html").read_text()
    page = Page(text)
    assert page.tags <= TAGS and not any(name.startswith("on") for name in page.attributes)
    assert harmless(text) and " ".join(page.text.split()).count(SEEN) > 20


@pytest.mark.slow
def test_markdown(out):
    text = (out / "report.md").read_text()
    assert harmless(text)
    page = Page(MarkdownIt("commonmark").enable("table").render(text))
    assert page.tags <= TAGS and "a" not in page.tags
    assert page.text.count(SEEN) > 20
    assert set(re.findall(r"!\[[^]]*\]\((.*?)\)", text)) <= {
        f"figures/{path.name}" for path in out.glob("figures/*.png")
    }
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    plain = text.split("```")[0] + text.split("```")[2]
    assert not re.search(r"(?<!\\)\$|https?:/|www\.", plain)


@pytest.mark.slow
def test_csv(out):
    for path in out.glob("tables/*.csv"):
        text = path.read_text()
        assert harmless(text), path.name
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1, path.name
        for cell in (cell for row in rows for cell in row):
            assert not re.match(r"[=+@\t\r]|-(?![\d.])", cell), (path.name, cell)
        for line in text.split("\n"):  # where ";" ends a cell
            assert not re.search(r";\s*[=+@]", re.sub(r'"(?:[^"]|"")*"', "", line)), path.name
    first = {row[0] for row in csv.reader(io.StringIO((out / "tables/summary.csv").read_text()))}
    assert first == {"arm", f"'{SEEN}a", f"'{SEEN}b"}


@pytest.mark.slow
def test_latex(out):
    for path in out.glob("tables/*.tex"):
        text = path.read_text()
        body = re.sub(
            r"\\(?:begin|end)\{tabular\}(?:\{[lr]*\})?|\\(?:top|mid|bottom)rule", "", text
        )
        known = r"\\(?:text\w+\{\}|symbol\{\d+\}|[&%$#_{}])|\{(?:\[|\*)\}|-\{\}-|\\\\\n"
        body = re.sub(known, "", body)
        assert harmless(text) and not re.search(r"[\\$%#_{}~^\"`]", body), path.name
        assert not re.search(r"\\\\\s*(?:\[|\*)", text)


@pytest.mark.slow
def test_file_names_come_from_no_name(out, tmp_path):
    plain = write_report(hostile(tmp_path, "x"), tmp_path / "report").parent
    listed = [sorted(str(path.relative_to(one)) for path in one.rglob("*")) for one in (out, plain)]
    assert listed[0] == listed[1]


def test_the_page_of_a_check_and_the_sheets(tmp_path):
    sheet_of = [sample([1], name=NASTY, note=NASTY), sample([2, 255], name="b")]
    classes = ("background", NASTY, "c")
    found = facts(
        name=NASTY,
        classes=classes,
        path=NASTY,
        notes=(NASTY,),
        groups={"fit": {NASTY: 8}, "dev": {}},
        suspicious=[{"name": NASTY, "split": "fit", "what": NASTY}],
    )
    page = write_check(found, sheet_of, tmp_path / "check")
    text = page.read_text()
    assert Page(text).tags <= TAGS and harmless(text)
    table = list(csv.reader(io.StringIO((page.parent / "frequencies.csv").read_text())))
    assert {len(row) for row in table} == {4} and table[4][0] == f"'{SEEN}"
    assert contact_sheet(sheet_of, classes, True).width > 600
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    assert sheet({"truth": [mask]}, classes).width > 100


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r=1", "'=1"),
        (" =1", "'=1"),
        ("\u3000=1", "'=1"),
        ("＝1", "'＝1"),
        ("-", "'-"),
        ("--", "'--"),
        ("\ufeff=1", "\\ufeff=1"),
        ("\x00=1", "\\u0000=1"),
        ("-0.5", "-0.5"),
        ("+5.2", "+5.2"),
        ("-1e-5", "-1e-5"),
        ("resnetunet-bce", "resnetunet-bce"),
        ("a=b", "a=b"),
        (-0.5, -0.5),
        (None, None),
    ],
)
def test_cells_of_csv(value, cell):
    assert csv_cell(value) == cell


def test_numbers_of_csv_stay_numbers():
    table = pd.DataFrame({"=a": ["x", None, "=y"], "b": [-1.5, np.nan, 2.0], "n": [1, 2, 3]})
    assert csv_table(table) == "'=a,b,n\nx,-1.5,1\n,,2\n'=y,2.0,3\n"
    assert csv_table(pd.DataFrame({"a": ["x;=1"], "b": [-1.5]})) == '"a","b"\n"x;=1",-1.5\n'


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "+ a",
        "# a",
        "1. a",
        "2) a",
        "---",
        "===",
        "> a",
        "* a",
        "    a",
        "~~~",
        "```",
        "a  \nb",
    ],
)
def test_no_text_of_markdown_begins_a_block(text):
    parser = MarkdownIt("commonmark")
    shown = " ".join(text.split()).replace(">", "&gt;")
    assert parser.render(markdown(text)) == f"<p>{shown}</p>\n"
    assert parser.render("- " + markdown(text)) == f"<ul>\n<li>{shown}</li>\n</ul>\n"


@pytest.mark.parametrize(
    "text", ["-0.3", "+5.2 (1 to 2)", "dice_bce", "a-b", "3 seeds", "95 % x", "1.5 to 2"]
)
def test_markdown_leaves_numbers_and_arms_alone(text):
    assert markdown(text) == text


def test_names_from_the_right_stay_apart():
    assert html("شق +5.2") == "\u2068شق\u2069 +5.2" == markdown("شق +5.2")
    assert html("شق كبير, 3 (دة)") == "\u2068شق كبير\u2069, 3 (\u2068دة\u2069)"
    assert html("می\u200cخواهم") == "\u2068می\u2069\u200c\u2068خواهم\u2069"
    assert html("\u202ea") == "\\u202ea" and html(3) == 3


def test_latex_rows_begin_with_no_option():
    table = pd.DataFrame({"[a]": ["[1cm]", "*", "a--b"], "b": [1, 2, 3]})
    text = latex_table(table)
    assert "{[}1cm] & 1" in text and "{*} & 2" in text and "a-{}-b & 3" in text
    assert tex('"`') == r"\symbol{34}\symbol{96}"
