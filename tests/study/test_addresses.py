"""Addresses of MLflow and Optuna: what cannot be reached is refused before anything is opened."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from study.addresses import (
    AddressError,
    database_address,
    sqlite_path,
    sqlite_url,
    tables_of,
    tracking_address,
)
from study.tracking.store import tracking_uri
from study.tuning.database import storage_url

BOTH = (
    ("", "begins with its scheme"),
    ("sqlite://", "a file that stays"),
    ("sqlite:///", "a file that stays"),
    ("sqlite:///:memory:", "a file that stays"),
    ("sqlite:///file:x?mode=memory&uri=true", "without options"),
    ("sqlite:///file::memory:", "a file that stays"),
    ("sqlite://outputs/mlflow.db", "a file that stays"),
    ("sqlite:/outputs/mlflow.db", "a file that stays"),
    ("sqlite:///outputs/", "a file that stays"),
    ("sqlite:///x.db?timeout=3", "without options.*leave out"),
    ("sqlite:////nonexistent/x.db", "in a folder that exists.*make the folder /nonexistent"),
    ("sqlite:///nonexistent/x.db", "in a folder that exists"),
    ("outputs/mlflow.db", "scheme.*sqlite:///outputs/mlflow.db"),
    ("mlflow.db", "scheme.*sqlite:///mlflow.db"),
    ("outputs", "scheme"),
    ("localhost", "scheme"),
    ("postgresql+foo://me:secret@host/db", "a driver that SQLAlchemy has.*postgresql://..."),
    ("postgresql+foo+bar://me:secret@host/db", "SQLAlchemy|like"),
    ("postgres://me:secret@host/db", "write postgresql://"),
    ("mysql://me:secret@host/db", "installed, got mysqldb.*pip install mysqlclient"),
    ("mysql+pymysql://me:secret@host/db", "installed, got pymysql.*pip install pymysql"),
    ("mssql+pyodbc://me:secret@host/db", "installed, got pyodbc"),
    ("postgresql+psycopg2://me:secret@host/db", "installed.*psycopg2-binary"),
    ("postgresql+psycopg2://me:secret@host:port/db", "like postgresql.*%40"),
    (
        "postgresql://me:se/cret@host:5432/db",
        "like postg.*%40|got psycopg .*postgres",
    ),
    ("ftp://host/x", "begin with|driver"),
    ("host=db user=me password=secret", "scheme"),
)
MLFLOW = (
    ("localhost:5000", "scheme.*http://localhost:5000"),
    ("127.0.0.1:5000/prefix", "scheme.*http://127.0.0.1:5000/prefix"),
    ("me:secret@localhost:5000", "scheme.*http://localhost:5000"),
    ("http:/localhost:5000", "http://HOST:PORT"),
    ("http://", "http://HOST:PORT"),
    ("http://:5000", "http://HOST:PORT"),
    ("http://localhost:port", "http://HOST:PORT"),
    ("http://localhost:99999", "http://HOST:PORT"),
    ("http://localhost:5000?x=1", "options after"),
    ("http://localhost:5000/#/experiments/1", "options after"),
    ("file:///tmp/mlruns", "no longer keeps up"),
    ("file:mlruns", "no longer keeps up"),
    ("oracle://host/db", "begin with sqlite, postgresql, mysql, mssql or http"),
)
OPTUNA = (
    ("localhost:5432", "scheme"),
    ("http://localhost:5000", "begin with sqlite"),
    ("redis://localhost", "driver that SQLAlchemy has"),
)


@pytest.mark.parametrize("url, message", BOTH + MLFLOW)
def test_mlflows_address_is_refused_with_its_cause(url, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AddressError, match=message) as error:
        tracking_address(url)
    _check_line(error, "MLFLOW_TRACKING_URI", tmp_path)


@pytest.mark.parametrize("url, message", BOTH + OPTUNA)
def test_optunas_address_is_refused_with_its_cause(url, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTUNA_STORAGE", url or " ")
    with pytest.raises(AddressError, match=message) as error:
        storage_url(tmp_path)
    _check_line(error, "OPTUNA_STORAGE", tmp_path)


def _check_line(error, variable, folder):
    text = str(error.value)
    assert text.startswith(variable) and "\n" not in text and "got " in text and ";" in text
    assert "secret" not in text and "cret@" not in text
    assert not list(folder.iterdir())  # nothing is made on the way


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5000",
        "https://mlflow.example/a/prefix/",
        "https://me:secret@mlflow.example",
        "http://[::1]:5000",
        "databricks",
        "databricks://profile",
    ],
)
def test_what_mlflow_reaches_is_handed_on(url):
    assert tracking_address(f" {url}\n") == url


def test_a_relative_file_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking_address("sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"
    assert database_address("sqlite:///x.db", "OPTUNA_STORAGE") == f"sqlite:///{tmp_path}/x.db"
    assert tracking_address("sqlite+pysqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"


@pytest.mark.parametrize(
    "name",
    ["plain", "a b", "a?b", "50%", "100%41", "#1", "a+b&c=d", "ä ß 数据", "a@b:c", "[1]", "'\""],
)
def test_an_address_names_its_file_whatever_its_letters(tmp_path, name):
    from sqlalchemy import make_url

    path = tmp_path / name / "mlflow.db"
    url = sqlite_url(path)
    assert sqlite_path(url) == path == type(path)(make_url(url).database)
    assert sqlite_path(tracking_uri(tmp_path / name)) == path


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: path.mkdir(), "must be a SQLite file, got a folder"),
        (lambda path: path.touch(), "got an empty file.*delete it"),
        (lambda path: path.write_bytes(b"text" * 999), "got another kind of file"),
        (lambda path: path.write_text("a"), "got another kind of file; move it"),
        (
            lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 999),
            "got another kind of file",
        ),
        (lambda path: os.mkfifo(path), "got no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "got no regular file"),
    ],
)
def test_what_is_no_database_is_named(tmp_path, make, message):
    path = tmp_path / "mlflow.db"
    make(path)
    with pytest.raises(AddressError, match=message):
        tables_of(path)


def test_a_file_in_use_is_named(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.1))
    with closing(connect(path)) as other:
        other.execute("CREATE TABLE a (b)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AddressError, match="database is locked; wait for the process"):
            tables_of(path)
    assert tables_of(path) == ({"a"}, [])
    assert tables_of(tmp_path / "none") is None


def test_a_look_keeps_the_locks_of_this_process(tmp_path):
    """Closing any other descriptor of the file drops them: the next process to close then takes
    itself for the last, and removes the log that this one goes on writing to."""
    path = tmp_path / "a.db"
    reads = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM a').fetchall()"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE a (b)")
        tables_of(path)
        subprocess.run([sys.executable, "-c", reads, str(path)], check=True)
        assert path.with_name("a.db-wal").exists()
    assert not path.with_name("a.db-wal").exists()
