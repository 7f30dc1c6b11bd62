"""Shared fixtures: a tiny folder, its store, a real study; nothing of the user's is touched."""

import os
import shutil
from pathlib import Path

import pytest

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.store import Store
from tests.helpers import run_command, write_folder


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
    for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The images of the real study."""
    return write_folder(tmp_path_factory.mktemp("data") / "tiny", {"train": 8, "val": 4, "test": 4})


@pytest.fixture(scope="session")
def out(tmp_path_factory) -> Path:
    """Where the real study is; tests of commands add others beside it."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="session")
def _real(out, data, tmp_path_factory) -> tuple[Path, Path]:
    """The losses matrix, 2 seeds, through the real command, once; and a copy of it as it was."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    words = ("--grid", "--matrix", "losses", "--study", "s", "--seeds", 2)
    assert run_command(*words, out=out, data=data) == 0
    return out / "s", shutil.copytree(out / "s", tmp_path_factory.mktemp("copy") / "s")


@pytest.fixture(scope="session")
def grid(_real) -> Path:
    """The real study where commands work on it: they add arms, reports."""
    return _real[0]


@pytest.fixture(scope="session")
def finished_study(_real) -> Path:
    """The real study as `--grid` left it, to read: 3 arms of 2 seeds, all finished."""
    return _real[1]
