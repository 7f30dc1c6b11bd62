"""What commands use of the analysis: light to import, folders in, pages and numbers out."""

import subprocess
import sys

import numpy as np
import pytest

import analysis
from study.record import Sample, files
from tests.analysis.report.inspections import facts
from tests.analysis.studies import BCE, CELLS, NEVER, write_run, write_study


def test_importing_it_is_light():
    heavy = ("pandas", "scipy", "matplotlib", "jinja2", "torch")
    code = f"import analysis, sys; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.slow
def test_a_study_is_summed_up_and_reported_from_its_folder(tmp_path):
    root = write_study(tmp_path / "s", CELLS)
    for seed in (0, 1):
        write_run(root, BCE, seed)
    found = analysis.aggregate_arms(root, [BCE.arm, NEVER.arm])
    assert found[BCE.arm]["n"] == 2 and found[NEVER.arm] == {"n": 0}
    assert found[BCE.arm]["test/miou/mean"] == pytest.approx(0.6)
    rows = analysis.summary(root)
    assert [row["n"] for row in rows] == [2, 0, 0, 0, 0]
    assert rows[0]["status"] == "finished" and rows[0]["minutes per run mean"] == 2.0
    page = analysis.report_study(root, root / files.REPORT, ["read from afar"], tmp_path / "there")
    assert page == root / "report/index.html"
    text = page.with_name("report.md").read_text()
    assert "Note: read from afar" in text and f"--study there --out {tmp_path}" in text


@pytest.mark.slow
def test_a_data_check_takes_the_sample_images_as_they_come(tmp_path):
    image, mask = np.full((40, 40, 3), 100, np.uint8), np.ones((40, 40), np.uint8)
    sheet = [Sample("fit", "a", image, mask, "all one")]
    page, lines = analysis.check_data(facts(), sheet, tmp_path / "check")
    assert "Framed: the mask looks suspicious" in page.read_text()
    assert lines[0] == "shapes & <b>: 3 classes, class 0 is background"
