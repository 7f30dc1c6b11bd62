"""The report as a whole: pages, tables, hostile names."""

import itertools
import math
import re
from collections import Counter

import pandas as pd
import pytest

from analysis import run
from analysis.records import read_study
from analysis.report import exits
from analysis.report.exits import csv_table, latex_table, markdown
from analysis.report.write import write_report
from study.record import files, read_npz
from tests.analysis.made import make
from tests.analysis.studies import BCE, DICE, cell, write_run, write_study

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script>|x"


def test_report_shows_n_failures_and_absences(report):
    for name in ("report.md", "index.html"):
        text = (report / name).read_text()
        assert "6 of 8 runs of declared arms finished (seeds 0, 1, 2)" in text
        assert "3 of 5 declared arms have a finished run" in text
        assert "unet-scratch-dice_bce seed 2" in text and "loss is nan in epoch 2" in text
        assert "ring (not in test)" in text
        assert "unet-scratch-bce (n=3)" in text and "unet-scratch-dice_bce (n=2)" in text
        assert "n or seeds differ between arms" in text
        assert "model = unet, init = pretrained" in text and "no encoder" in text
        assert "resnetunet-scratch-bce seed 5" in text
        assert "beef" in text and "f00d" in text and "abc123" in text
        assert "runs.py --grid --data shapes" in text
    row = next(
        s for s in (report / "report.md").read_text().splitlines() if "| bce | default | 3" in s
    )
    assert "| 0.633 | 0.153 | 0.500 | 0.800 |" in row


def test_report_is_one_file_that_fetches_nothing(report):
    page = (report / "index.html").read_text()
    assert not re.search(r"https?://|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")", page)
    assert set(re.findall(r'src="(.{5})', page)) == {"data:"} and "url(" not in page
    assert page.count("<img") == 6 == len(list((report / "figures").glob("*.png")))
    for link in re.findall(r"\]\((.*?)\)", (report / "report.md").read_text()):
        assert (report / link).is_file()
    header = (report / "tables" / "per_class.csv").read_text().splitlines()[0]
    assert "unet-scratch-bce (n=3)" in header


def test_hostile_names_stay_text(tmp_path):
    bad = cell("unet-scratch", HOSTILE)
    classes = (HOSTILE, "a$b$", "_hidden", "**bold**\nnew")
    root = write_study(tmp_path / "hostile", [bad, DICE], classes)
    write_run(root, bad, 0)
    write_run(root, DICE, 0, end="failed", error=HOSTILE)
    out = write_report(read_study(root), tmp_path / "out").parent
    page, text = (out / "index.html").read_text(), (out / "report.md").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;|x" in page
    assert "<script" not in text.split("```")[0]
    rows = [line for line in text.splitlines() if line.startswith("|") and "alert" in line]
    assert rows and all("alert(1)&lt;/script&gt;\\|x" in row for row in rows)
    summary = [line for line in text.splitlines() if line.startswith("| unet-scratch | ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in summary} == {14}
    assert markdown("a|b\n`c` [d](e) *f* & \\") == r"a\|b \`c\` \[d](e) \*f\* &amp; \\"


def test_study_without_runs_or_panel_still_reports(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    (root / "panel.npz").unlink()
    text = (write_report(read_study(root), tmp_path / "o").parent / "report.md").read_text()
    assert "0 of 0 runs" in text and "| not run |" in text and "no example images" in text
    assert "None." not in text and "No finished run has a dev curve." in text
    assert "Score at equal time needs two arms" in text
    assert "there is nothing to compare" in text and "declared no contrasts" in text


def test_latex_prints_names_as_they_are():
    table = pd.DataFrame({"a_b": ["50 % & <x>", "$^\\{~"], "n": [1.0, math.nan]})
    text = latex_table(table)
    assert r"a\_b & n" in text and r"50 \% \& \textless{}x\textgreater{} & 1.0000" in text
    assert r"\$\textasciicircum{}\textbackslash{}\{\textasciitilde{} & --" in text


def test_report_holds_the_answer_and_its_tables(tmp_path):
    root = make(
        tmp_path / "s",
        [(BCE, range(3), (0.9, 0.5, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.7), 0.01)],
    )
    page = write_report(read_study(root), tmp_path / "report")
    for text in (page.read_text(), (page.parent / "report.md").read_text()):
        assert "unet-scratch-dice_bce scores higher than unet-scratch-bce" in text
        assert "Planned contrasts" in text and "adjusted within each family" in text
    names = {p.stem for p in (page.parent / "tables").glob("*.csv")}
    assert {
        "contrasts",
        "class_differences",
        "frequency_groups",
        "frequency_slopes",
        "effects",
        "noise",
        "cost",
        "disagreement",
    } <= names
    figures = {p.stem for p in (page.parent / "figures").glob("*.png")}
    assert {"contrasts", "class_differences", "against_frequency", "confusions"} <= figures


def test_arrays_of_a_run_are_read_once(tmp_path, monkeypatch):
    root = write_study(tmp_path / "s", [BCE, DICE])
    for arm, seed in itertools.product((BCE, DICE), (0, 1)):
        write_run(root, arm, seed)
    read = Counter()

    def counted(path, *words, **more):
        read[path.parent.name, path.name] += 1
        return read_npz(path, *words, **more)

    monkeypatch.setattr(run, "read_npz", counted)
    write_report(read_study(root), tmp_path / "out")
    assert {n for (_, name), n in read.items() if name == files.CONFUSION} == {1}
    assert sum(name == files.CONFUSION for _, name in read) == 4


def test_categories_and_blocks_are_written_as_their_values_would_be(monkeypatch):
    monkeypatch.setattr(exits, "ROWS", 2)
    names = ["=a", "'=a", None, 'b,"c"', "=a"]
    table = pd.DataFrame({"x": pd.Categorical(names), "n": [1.5, -0.0, math.nan, 1e-20, 3]})
    text = csv_table(table)
    assert text == 'x,n\n\'=a,1.5\n\'=a,-0.0\n,\n"b,""c""",1e-20\n\'=a,3.0\n'
    assert text == csv_table(table.astype({"x": object}))
