"""Shared fixtures: a tiny VOC-layout folder and its store; nothing of the user's is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.store import Store
from tests.helpers import write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny", {"train": 8, "val": 4, "test": 4})


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    return build_store(open_folder(folder), tmp_path / "store", max_side=None)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch, tmp_path_factory):
    """No test writes to the user's cache or reaches a tracking server of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
