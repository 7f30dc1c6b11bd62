"""Addresses of databases and servers: what is wrong with one, found before anything is opened.

A SQLite address names a file here and nothing else; it is made and read in this one place.
"""

from __future__ import annotations

import importlib.metadata
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from study.errors import one_line, shown

HTTP = ("http", "https")
MLFLOWS = ("postgresql", "mysql", "mssql")  # besides SQLite
# Handed on as they are: MLflow's own way to reach what is no address of a database.
DATABRICKS = ("databricks", "databricks-uc", "uc")
EXTRAS = {"psycopg": "-e '.[postgres]'", "psycopg2": "psycopg2-binary", "mysqldb": "mysqlclient"}
SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///(?=.)", re.I)


class AddressError(ValueError):
    """An address that nothing can be reached by; the message says which variable to mend."""


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file, whatever the letters of its path.

    MLflow would make the folders of a quoted path; by the driver's name it leaves that.
    """
    text = re.sub("[%?#]", lambda found: quote(found[0]), str(path.resolve()))
    return f"sqlite{'+pysqlite' * ('%' in text)}:///{text}"


def sqlite_path(url: str) -> Path | None:
    """The file that an address names, None where it names another kind of store."""
    found = SQLITE.match(url)
    return Path(unquote(url[found.end() :])) if found else None


def tracking_address(url: str, variable: str = "MLFLOW_TRACKING_URI") -> str:
    """MLflow's address as it is used; a SQLite file's made absolute. Raises: AddressError."""
    url = url.strip()
    scheme = _scheme(url, variable, "http://localhost:5000 or sqlite:///outputs/mlflow.db")
    if scheme in HTTP:
        return _server(url, variable)
    if scheme in DATABRICKS or url in DATABRICKS or scheme in _plugins():
        return url
    if scheme == "file":
        raise AddressError(
            f"{variable} must be a server or a database, got the folder {shown(url)}, which MLflow "
            "no longer keeps up; use sqlite:///PATH/mlflow.db (mlflow migrate-filestore moves runs)"
        )
    return _database(url, scheme, variable, MLFLOWS)


def database_address(url: str, variable: str) -> str:
    """The address of any database, as it is used. Raises: AddressError."""
    url = url.strip()
    scheme = _scheme(url, variable, "sqlite:///outputs/optuna.db or postgresql://HOST/NAME")
    return _database(url, scheme, variable, ())


def tables_of(path: Path) -> tuple[set[str], list[str]] | None:
    """Tables of a SQLite file and its schema's versions; None where there is no file.

    A writer's lock is taken for an instant. Only SQLite opens the file: closing it would end the
    locks that SQLite holds on it in this process, and another's checkpoint damage it.
    Raises: AddressError.
    """
    if not path.exists():
        return None
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise AddressError(f"database {path} must be a SQLite file, got {kind}; move it away")
    if not path.stat().st_size:
        raise AddressError(
            f"database {path} must be a SQLite file, got an empty file; put the right one back, or "
            "delete it and a new one is made"
        )
    other = AddressError(
        f"database {path} must be a SQLite file, got another kind of file; move it away, or put "
        "the right one there"
    )
    if path.stat().st_size < 512:  # the least page
        raise other
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in names if not name.startswith("sqlite_")}
            versions = "SELECT version_num FROM alembic_version"
            found = connection.execute(versions) if "alembic_version" in tables else ()
            return tables, [version for (version,) in found]
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise other from None
        raise AddressError(
            f"database {path} must be a writable SQLite file, got: {one_line(error)}; "
            f"{_remedy(str(error))}"
        ) from None


def _remedy(text: str) -> str:
    if "locked" in text:
        return "wait for the process that holds it, or end that"
    if "readonly" in text or "unable to open" in text:
        return "make it and its folder writable"
    return "move it away, or put the right file there"


def _scheme(url: str, variable: str, example: str) -> str:
    found = re.match(r"([a-z][\w+.-]*):(?=/|\w+://)", url, re.I)
    if found:
        return found[1].lower()
    if url.lower() in DATABRICKS or url.lower().startswith(("databricks:", "uc:", "file:")):
        return url.lower().split(":")[0]
    if re.match(r"(\S*@)?[\w.-]+:\d+(/\S*)?$", url) and variable == "MLFLOW_TRACKING_URI":
        example = f"http://{shown(url.rpartition('@')[2])}"
    elif "@" not in url and (Path(url).is_file() or url.endswith((".db", ".sqlite", ".sqlite3"))):
        example = f"sqlite:///{shown(url)}"
    raise AddressError(
        f"{variable} must be an address that begins with its scheme, got "
        f"{_hidden(url)}; give, for example, {example}"
    )


def _hidden(url: str) -> str:
    """An address without a scheme, its login left out by the place where it stands."""
    login, at, rest = url.rpartition("@")
    return shown(f"***@{rest}" if at else url)


def _server(url: str, variable: str) -> str:
    try:
        parts = urlsplit(url)
        bad = "no host" * (not parts.hostname) or (parts.port == 0) * "port 0"
    except ValueError as error:
        bad = shown(str(error))
    if not bad and "@" not in url and (parts.query or parts.fragment):
        bad = "options after ? or #"
    if bad:
        raise AddressError(
            f"{variable} must be http://HOST:PORT or https://HOST/PREFIX, got {shown(url)} "
            f"({bad}); mend it (a login goes into MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD)"
        )
    return url


def _database(url: str, scheme: str, variable: str, kinds: tuple[str, ...]) -> str:
    kind, _, driver = scheme.partition("+")
    if kind == "sqlite":
        return _file(url, variable)
    instead = f"{kind}ql" if kind == "postgres" else ""
    if instead or scheme in HTTP or (kinds and kind not in kinds):
        known = f"{', '.join(('sqlite', *(kinds or MLFLOWS)))}{' or http(s)' if kinds else ''}"
        raise AddressError(
            f"{variable} must begin with {known}, got {scheme}://; "
            + (f"write {instead}://" if instead else "give the address of such a store")
        )
    from sqlalchemy import exc, make_url  # slow to import

    try:
        parts = make_url(url)
        dialect = parts.get_dialect()
    except exc.NoSuchModuleError:
        raise AddressError(
            f"{variable} must name a driver that SQLAlchemy has, got {shown(scheme)}://; leave it "
            f"out ({kind}://...) or name another"
        ) from None
    except (exc.ArgumentError, ValueError) as error:
        raise AddressError(
            f"{variable} must be like {scheme}://USER:PASSWORD@HOST:PORT/NAME, got "
            f"{shown(url)} ({one_line(error)}); encode @ : / ? # % in a password as "
            "%40 %3A %2F %3F %23 %25"
        ) from None
    try:
        dialect.import_dbapi()
    except ImportError as error:
        name = EXTRAS.get(dialect.driver, dialect.driver)
        raise AddressError(
            f"{variable} must name a driver that is installed, got {dialect.driver} "
            f"({one_line(error)}); run pip install {name}, or name another"
        ) from None
    return url


def _file(url: str, variable: str) -> str:
    name = SQLITE.sub("", url, count=1)
    if "?" in name:
        raise AddressError(
            f"{variable} must name a SQLite file without options, got {shown(url)}; leave out "
            "what follows the ? (a ? of the file's name is written %3F)"
        )
    path = sqlite_path(url)
    if path is None or name.startswith((":memory:", "file:")) or name.endswith("/"):
        raise AddressError(
            f"{variable} must name a file that stays, got {shown(url)}; write "
            "sqlite:///PATH/NAME.db, with four slashes for a path from the root"
        )
    if not path.parent.is_dir():
        raise AddressError(
            f"{variable} must name a file in a folder that exists, got {path}; make the folder "
            f"{path.parent} or mend the address"
        )
    return sqlite_url(path)


def _plugins() -> set[str]:
    """Schemes of stores that are installed as plugins of MLflow."""
    return {one.name for one in importlib.metadata.entry_points(group="mlflow.tracking_store")}
