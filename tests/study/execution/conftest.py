"""A run that nothing disturbs, and the same stopped half-way; made once a module."""

import shutil

import pytest
import torch

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.record import RunDir
from tests.helpers import write_folder
from tests.study.execution.tiny import LONG, config, cut, do, numbers


@pytest.fixture(scope="module")
def kept_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("faults")
    folder = write_folder(root / "tiny", {"train": 8, "val": 4, "test": 4})
    return build_store(open_folder(folder), root / "store", max_side=None)


@pytest.fixture(scope="module")
def whole(kept_store, tmp_path_factory):
    """A run that nothing disturbs: its numbers and its best weights."""
    path = tmp_path_factory.mktemp("whole")
    _, events = do(kept_store, path, **LONG)
    return numbers(events), torch.load(path / "best.pt", weights_only=True)


@pytest.fixture(scope="module")
def stopped(kept_store, tmp_path_factory):
    """The same run stopped after 3 epochs; a checkpoint was written after each."""
    path = tmp_path_factory.mktemp("stopped") / config(kept_store, **LONG).run_id
    state, _ = cut(kept_store, path, 3, **LONG)
    assert state == "dead" == RunDir(path).state()
    return path


@pytest.fixture
def half(stopped, tmp_path):
    """A copy of it to damage."""
    return RunDir(shutil.copytree(stopped, tmp_path / stopped.name))
