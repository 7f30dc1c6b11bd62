"""What the writer wrote is what the analysis reads: one real study, no file written by hand."""

import math

import numpy as np
import pytest

from analysis.records import read_study
from analysis.report.write import write_report
from analysis.tables.signs import signs
from seglib.metrics import mean_iou
from study.record import read_declaration, run_dirs

pytestmark = pytest.mark.slow


def test_every_run_is_read_as_it_was_written(finished_study):
    study = read_study(finished_study)
    assert study.declaration == read_declaration(finished_study)
    assert [(run.arm, run.seed) for run in study.runs] == [
        (cell.arm, seed) for cell in study.cells for seed in (0, 1)
    ]
    written = {one.run_id: one for one in run_dirs(finished_study / "runs")}
    for run in study.finished():
        journal = written[run.run_id].journal()
        numbers = {k: math.nan if v is None else v for k, v in journal.last.metrics.items()}
        assert dict(run.result) == pytest.approx(numbers, nan_ok=True)
        assert run.history["epoch"].tolist() == [event.epoch for event in journal.epochs] == [1, 2]
        assert run.best_epoch == journal.last.best_epoch
        assert run.environment == journal.starts[-1].environment
        names, counts = run.test_names, run.test_counts
        assert len(names) == study.declaration.data.n_images["test"] == len(counts)
        assert mean_iou(counts) == pytest.approx(run.result["test/miou"])
        maps = run.panel()
        assert [m.shape for m in maps] == [m.shape for m in study.panel().masks]
        assert all(m.dtype == np.uint8 for m in maps)


def test_a_run_was_told_what_the_report_tells_of_it(finished_study):
    study = read_study(finished_study)
    told = {
        run_dir.run_id: [e.text for e in run_dir.journal().events if e.event == "note"]
        for run_dir in run_dirs(finished_study / "runs")
    }
    table = signs(study).groupby("run")["what"].apply(list)
    assert {run.name: told[run.run_id] for run in study.runs if told[run.run_id]} == dict(table)
    assert len(table)  # after two epochs some run lacks a class


def test_it_is_reported_whole(finished_study, tmp_path):
    page = write_report(read_study(finished_study), tmp_path / "report")
    text = page.with_name("report.md").read_text()
    assert "6 of 6 runs of declared arms finished (seeds 0, 1)" in text
    assert all(f"| {cell.loss} | " in text for cell in read_declaration(finished_study).cells)
