"""Whether a database is MLflow's, and of the version that is installed; mlflow is not imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shlex
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from study.addresses import MLFLOWS, tables_of
from study.errors import shown

if TYPE_CHECKING:  # slow to import
    from sqlalchemy import Engine


class SchemaError(ValueError):
    """A database that MLflow cannot work on as it is."""


OURS = {"experiments", "runs", "metrics", "params", "tags"}
OPTUNAS = {"studies", "trials", "study_directions"}


@cache
def versions() -> tuple[frozenset[str], str]:
    """All versions of the schema that the installed MLflow knows, and its own ("" unknown)."""
    spec = importlib.util.find_spec("mlflow")
    here = Path(next(iter((spec and spec.submodule_search_locations) or ["/nowhere"])))
    texts = [path.read_text() for path in here.glob("store/db_migrations/versions/*.py")]
    known = {one for text in texts for one in _assigned("revision", text)}
    before = {one for text in texts for one in _assigned("down_revision", text)}
    heads = known - before
    return frozenset(known), heads.pop() if len(heads) == 1 else ""


def _assigned(name: str, text: str) -> list[str]:
    found = re.search(rf"^{name}\s*(?::[^=]*)?=(.*)$", text, re.M)
    return re.findall(r"""["']([\w.]+)["']""", found[1]) if found else []


def wrong(tables: set[str], version: Sequence[str], upgrade: str) -> str:
    """What is wrong with a database and what to do, "" when nothing is.

    Args: upgrade: its address, as the command that upgrades it takes it.
    """
    known, own = versions()
    if not tables - {"alembic_version"}:
        return ""  # MLflow makes its tables
    if not tables >= OURS:
        whose = "Optuna's" if tables >= OPTUNAS else f"tables {', '.join(sorted(tables)[:4])}"
        return f"{whose}; give MLflow a database of its own"
    if not version:
        return "MLflow's tables without a version, half made; move it away"
    if tables >= OPTUNAS and not known & set(version):
        return "MLflow's tables and Optuna's in one; give each a database of its own"
    if not own or list(version) == [own]:
        return ""
    installed = importlib.metadata.version("mlflow")
    if set(version) <= known:
        return (
            f"the schema of an older MLflow ({version[0]}; {installed} has {own}); keep a copy, "
            f"then run: mlflow db upgrade {upgrade}"
        )
    return (
        f"the schema of a newer MLflow ({version[0]}; {installed} has {own}); upgrade MLflow "
        "(pip install -U mlflow) or take another database"
    )


def check_file(path: Path, url: str, given: bool) -> None:
    """Refuse a SQLite file that MLflow cannot work on as it is; a missing one is fine.

    Args: given: by MLFLOW_TRACKING_URI, whose value commands need not spell out.
    Raises: SchemaError.
    """
    found = tables_of(path)
    if found is None:
        return
    upgrade = '"$MLFLOW_TRACKING_URI"' if given else shlex.quote(url)
    if found[0] == set():
        raise SchemaError(
            f"tracking database {path} must hold MLflow's tables, got none; delete it"
        )
    if problem := wrong(*found, upgrade):
        raise SchemaError(f"tracking database {path} must be MLflow's, got {problem}")


def check_server(url: str, reached: Callable[[], object], patience_s: float) -> None:
    """As `check_file`, of a database on a server, whose tables another process may be making.

    Args: reached: called when the server has answered.
    Raises: SchemaError, or what SQLAlchemy does.
    """
    if not url.startswith(MLFLOWS):
        return
    from sqlalchemy import create_engine  # slow to import

    engine, until = create_engine(url), time.monotonic() + patience_s
    try:
        while True:
            tables, version = _look(engine)
            reached()
            if version or not tables >= OURS or time.monotonic() > until:
                break
            time.sleep(0.5)
    finally:
        engine.dispose()
    if problem := wrong(tables, version, '"$MLFLOW_TRACKING_URI"'):
        raise SchemaError(f"tracking database {shown(url)} must be MLflow's, got {problem}")


def _look(engine: Engine) -> tuple[set[str], list[str]]:
    """Tables and versions of a database."""
    from sqlalchemy import inspect, text  # slow to import

    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return tables, []
        rows = connection.scalars(text("SELECT version_num FROM alembic_version"))
        return tables, [str(one) for one in rows]
