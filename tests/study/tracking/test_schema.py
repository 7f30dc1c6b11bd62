"""A database that is not MLflow's, or of another version, is found before the start."""

import shutil
import sqlite3
from contextlib import closing

import mlflow.store.db.utils as theirs
import pytest

import runs
from study.tracking import schema
from study.tracking.store import TrackingError, probe, tracking_uri


def alter(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def mine(tmp_path, out, clean):
    """A database of MLflow's in an output folder."""
    with (
        closing(sqlite3.connect(out / "mlflow.db")) as one,
        closing(sqlite3.connect(tmp_path / "mlflow.db")) as other,
    ):
        one.backup(other)
    return tmp_path


def test_the_installed_version_is_known():
    known, own = schema.versions()
    assert own == theirs._get_latest_schema_revision() and own in known and len(known) > 60


@pytest.mark.parametrize(
    "statements, message",
    [
        (["UPDATE alembic_version SET version_num = '451aebb31d03'"], "older.*mlflow db upgrade"),
        (["UPDATE alembic_version SET version_num = 'ffffffffffff'"], "newer.*pip install -U"),
        (["DELETE FROM alembic_version"], "without a version, half made"),
        (["DROP TABLE alembic_version"], "without a version, half made"),
        (["DROP TABLE experiments"], "must be MLflow's, got tables"),
    ],
)
def test_a_database_of_another_version_is_said_before_the_start(mine, statements, message, capsys):
    probe(tracking_uri(mine))
    alter(mine / "mlflow.db", *statements)
    before = (mine / "mlflow.db").read_bytes()
    with pytest.raises(TrackingError, match=message):
        probe(tracking_uri(mine))
    assert (mine / "mlflow.db").read_bytes() == before
    assert runs.main(["--grid", "--study", "s", "--out", str(mine)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [one.name for one in mine.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    "tables, message",
    [
        (("studies", "trials", "study_directions", "version_info"), "got Optuna's; give MLflow a"),
        (("customers", "orders"), "got tables customers, orders"),
        ((), "got none; delete it"),
    ],
)
def test_a_database_of_someone_elses_is_not_touched(tmp_path, tables, message):
    path = tmp_path / "mlflow.db"
    alter(path, "CREATE TABLE a (b)", *(f"CREATE TABLE {name} (a)" for name in tables))
    alter(path, "DROP TABLE a")
    before = path.read_bytes()
    with pytest.raises(TrackingError, match=message):
        probe(tracking_uri(tmp_path))
    assert path.read_bytes() == before


def test_the_command_that_upgrades_can_be_pasted(mine, monkeypatch):
    folder = mine / "it's a ?"
    folder.mkdir()
    shutil.move(mine / "mlflow.db", folder)
    alter(folder / "mlflow.db", "UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(TrackingError) as error:
        probe(tracking_uri(folder))
    assert str(error.value).endswith(
        f"""mlflow db upgrade 'sqlite+pysqlite:///{mine}/it'"'"'s a %3F/mlflow.db'"""
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db".replace("?", "%3F"))
    with pytest.raises(TrackingError, match=r'mlflow db upgrade "\$MLFLOW_TRACKING_URI"$'):
        probe(tracking_uri(mine))


def test_what_is_wrong_with_a_database_on_a_server():
    """As for a file; an empty one is fine, since MLflow makes its tables there."""
    known, own = schema.versions()
    assert schema.wrong(set(), [], "") == schema.wrong({"alembic_version"}, [], "") == ""
    assert schema.wrong(schema.OURS, [own], "") == ""
    assert "each a database of its own" in schema.wrong(
        schema.OURS | schema.OPTUNAS, ["v3.0.0.a"], ""
    )
