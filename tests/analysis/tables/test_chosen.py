"""Arms without a run are counted in one line and stand in no table and no figure."""

import pandas as pd
import pytest

from analysis.answer import answer
from analysis.records import read_study
from analysis.report.write import write_report
from analysis.tables.chosen import chosen, never_chosen
from tests.analysis.studies import (
    BCE,
    CELLS,
    DICE,
    FAILING,
    NEVER,
    TUNED,
    contrast,
    write_run,
    write_study,
)

PAIRS = (contrast(DICE, BCE), contrast(NEVER, BCE, "init"), contrast(FAILING, DICE, "init"))


@pytest.fixture
def root(tmp_path):
    """--only network=unet-scratch, of which one arm has failed; the other network never begun."""
    root = write_study(tmp_path / "s", CELLS, contrasts=PAIRS)
    write_run(root, BCE, 0)
    write_run(root, DICE, 0, end="failed")
    return root


def test_arms_that_failed_or_are_partly_there_stay(root):
    study = read_study(root)
    assert never_chosen(study) == (TUNED.arm, NEVER.arm, FAILING.arm)
    shown = chosen(study)
    assert [cell.arm for cell in shown.cells] == [BCE.arm, DICE.arm]
    assert [(one.a, one.b) for one in answer(shown).contrasts] == [(DICE.arm, BCE.arm)]
    assert shown.runs == study.runs and shown.declaration.baseline == BCE.arm
    write_run(root, TUNED, 3, end="")  # begun, not finished
    assert TUNED.arm not in never_chosen(read_study(root))


def test_a_baseline_or_a_default_that_was_not_chosen(tmp_path):
    tuned = TUNED.having(default=BCE.arm)
    root = write_study(tmp_path / "s", [BCE, DICE, tuned], contrasts=(contrast(DICE, BCE),))
    write_run(root, DICE, 0)
    write_run(root, tuned, 0)
    shown = chosen(read_study(root))
    assert shown.declaration.baseline == "" and shown.cells[1].default is None
    text = (write_report(read_study(root), tmp_path / "report").parent / "report.md").read_text()
    assert "1 of 3 arms has no run and is left out of tables and figures, and with them" in text
    assert "No planned contrast (of 1) is of two arms that have a run." in text


@pytest.mark.slow
def test_the_report_counts_them_in_one_line(root, tmp_path):
    page = write_report(read_study(root), tmp_path / "report")
    text = (page.parent / "report.md").read_text()
    assert (
        "3 of 5 arms have no run and are left out of tables and figures, and with them 2 of 3 "
        "planned contrasts (named under Missing and failed runs)."
    ) in text
    names = f"so left out: {TUNED.arm}, {NEVER.arm}, {FAILING.arm}."
    assert names in text
    assert "not run" not in text.replace(names, "") and text.count(NEVER.arm) == 1
    for path in page.parent.glob("tables/*.csv"):
        assert NEVER.arm not in path.read_text(), path.name
    assert pd.read_csv(page.parent / "tables/contrasts.csv")["a"].tolist() == [DICE.arm]
    assert "| failed |" in text


def test_without_any_run_nothing_is_left_out(tmp_path):
    study = read_study(write_study(tmp_path / "s", CELLS))
    assert never_chosen(study) == () and chosen(study) is study
