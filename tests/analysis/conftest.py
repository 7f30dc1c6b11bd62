"""One study of every state a run can be in, and its report."""

from pathlib import Path

import pytest

from analysis.records import read_study
from analysis.report.write import write_report
from tests.analysis.studies import BCE, CELLS, DICE, FAILING, TUNED, cell, write_run, write_study

OTHER = cell("resnetunet-scratch", "bce")  # never declared


@pytest.fixture(scope="session")
def study_dir(tmp_path_factory) -> Path:
    """bce: 3 seeds; dice_bce: 2 of 3 (one failed); tuned: 1; one arm never run, one only failed."""
    root = write_study(tmp_path_factory.mktemp("outputs") / "tiny", CELLS)
    for seed, ious in enumerate([(0.9, 0.6, 0.0), (0.9, 0.6, 0.3), (0.9, 0.6, 0.9)]):
        write_run(root, BCE, seed, ious)  # test mIoU 0.5, 0.6, 0.8
    write_run(root, DICE, 0, (0.7, 0.7, 0.7))
    write_run(root, DICE, 1, (0.8, 0.8, 0.8), environment={"device": "cuda"})
    write_run(root, DICE, 2, end="failed", error="loss is nan\nin epoch 2")
    write_run(root, TUNED, 0, (0.4, 0.4, 0.4))
    write_run(root, FAILING, 0, end="failed")
    write_run(root, BCE.having(cell_id="01d0"), 0, (0.1, 0.1, 0.1), config={"epochs": 1})
    write_run(root, OTHER, 5, (0.2, 0.2, 0.2))
    write_run(root, BCE, 7, (0.0, 0.0, 0.0), config={"role": "trial"})
    return root


@pytest.fixture(scope="session")
def study(study_dir):
    return read_study(study_dir)


@pytest.fixture(scope="session")
def report(study, tmp_path_factory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report")).parent
