"""The database that MLflow writes to by default: it appears whole or not at all."""

from pathlib import Path

import mlflow
import pytest

from study.tracking.store import make_database


def test_mlflows_database_appears_whole(tmp_path, monkeypatch):
    """Its schema takes seconds: stopped half-way, the next command must be able to make it."""
    class Client:
        halfway = True

        def __init__(self, uri):
            self.path = Path(uri.removeprefix("sqlite:///"))

        def search_experiments(self, max_results):
            self.path.write_text("half")
            assert not (tmp_path / "mlflow.db").exists()
            if self.halfway:
                raise KeyboardInterrupt
            self.path.write_text("whole")

    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(KeyboardInterrupt):
        make_database(uri)
    assert not list(tmp_path.iterdir())
    Client.halfway = False
    make_database(uri)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]
