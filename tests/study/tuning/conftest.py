"""Optuna's memory in place of its database."""

from collections import defaultdict

import optuna
import pytest

from study.tuning import database

OPEN_STORAGE = database.open_storage


@pytest.fixture(autouse=True)
def storages(monkeypatch):
    """Optuna's memory in place of a database, kept as long as the test; `real` turns it off."""
    kept = defaultdict(optuna.storages.InMemoryStorage)
    monkeypatch.setattr(database, "open_storage", kept.__getitem__)


@pytest.fixture
def real(monkeypatch, storages):
    monkeypatch.setattr(database, "open_storage", OPEN_STORAGE)
