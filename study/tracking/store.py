"""The MLflow store: its address, whether it answers, its database, the files it hands out.

What stands in it for a study is not known here. mlflow is imported inside functions: that takes
seconds, and most commands fail or end before they need it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from study.addresses import HTTP, sqlite_path, sqlite_url, tracking_address
from study.errors import shown
from study.record.inside import RecordError, check_file
from study.tracking import answers, schema
from study.tracking.place import local_folder

if TYPE_CHECKING:  # slow to import
    from mlflow import MlflowClient
    from mlflow.entities import Run

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A request is sent once: MLflow would repeat one whose answer was lost, and make a run twice. What
# fails is done again from the journals, after a look at what has arrived.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # what fails raises, and is told
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

PROBE_S, AGAIN_S = 15.0, 2.0  # for an answer; before a server that is busy is asked again
LOCK_S = 120.0  # while another process makes MLflow's tables


class TrackingError(ValueError):
    """The tracking server does not answer, or its address is wrong."""


def tracking_uri(out: Path) -> str:
    """MLFLOW_TRACKING_URI where set, else SQLite in the output folder.

    Raises: AddressError when nothing can be reached by what is set.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return tracking_address(given) if given else sqlite_url(out / "mlflow.db")


def database(uri: str) -> Path | None:
    """The SQLite file that an address names, None where it names another kind of store."""
    return sqlite_path(uri)


def quieten() -> None:
    """Keep lines, warnings and tracebacks of MLflow off the terminal: what fails raises here."""
    modules = "mlflow|alembic|sqlalchemy|pydantic|urllib3|requests"
    warnings.filterwarnings("ignore", module=rf"({modules})(\.|$)")
    for name in ("alembic", "mlflow", "sqlalchemy", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> MlflowClient:
    """An MlflowClient whose database has its schema."""
    quieten()
    from mlflow import MlflowClient  # slow to import

    make_database(uri)
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    for name in ("alembic", "alembic.runtime.migration", "mlflow"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if path := database(uri):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            with contextlib.suppress(sqlite3.OperationalError):  # locked: another process does it
                connection.execute("PRAGMA journal_mode=WAL")
    return client


def make_database(uri: str) -> None:
    """Make a missing SQLite file beside its place: half a schema, after a kill, is of no use.

    One process at a time: a second one waits, and finds it made.
    """
    path = database(uri)
    if path is None or path.exists():
        return
    from mlflow import MlflowClient  # slow to import

    part = path.with_name(f".{path.name}.part")
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_S):
        if path.exists():
            return
        part.unlink(missing_ok=True)  # a killed process's
        try:
            MlflowClient(sqlite_url(part)).search_experiments(max_results=1)
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
        finally:
            part.unlink(missing_ok=True)


def probe(uri: str) -> None:
    """Raise TrackingError, within about 15 s, when the store does not answer or is not MLflow's.

    A SQLite file that is there must be writable; a missing one is made when it is connected to.
    """
    if path := database(uri):
        try:
            schema.check_file(path, uri, given=bool(os.environ.get("MLFLOW_TRACKING_URI")))
        except ValueError as error:
            raise TrackingError(str(error)) from None
        return
    quieten()
    import mlflow.tracking  # noqa: F401  # slow to import: its seconds are not the server's

    failure: list[tuple[str, str] | ValueError] = []
    reached = threading.Event()

    def ask() -> None:
        try:
            schema.check_server(uri, reached.set, LOCK_S)
            if found := _ask(uri, time.monotonic() + 0.8 * PROBE_S):
                failure.append(found)
            else:
                _connect_at_last(uri)
        except schema.SchemaError as error:
            failure.append(error)
        except Exception as error:  # any failure to answer means the same here
            failure.append(answers.meaning(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    if reached.is_set():
        thread.join(LOCK_S)  # a database answers, and its tables are being made
    if thread.is_alive():
        failure.append((f"no answer within {PROBE_S:.0f} s", ""))
    if not failure:
        return
    if isinstance(failure[0], ValueError):
        raise TrackingError(str(failure[0]))
    why, remedy = failure[0]
    raise TrackingError(
        f"tracking server {shown(uri)} must answer, got: {why}; {remedy or answers.START}"
    )


def _ask(uri: str, until: float) -> tuple[str, str] | None:
    """What is wrong with a server's answer; one that is busy is asked again."""
    if not uri.startswith(HTTP):
        return None
    while True:
        why, remedy, passes = answers.ask(uri, PROBE_S)
        if not why or not passes or time.monotonic() + AGAIN_S > until:
            return (why, remedy) if why else None
        time.sleep(AGAIN_S)


def _connect_at_last(uri: str) -> None:
    """Connect; again where another process was making the tables of a database meanwhile."""
    try:
        connect(uri)
    except Exception:
        if uri.startswith(HTTP):
            raise
        schema.check_server(uri, lambda: None, LOCK_S)
        connect(uri)


def all_runs(client: MlflowClient, experiment_id: str, view: int = 1) -> Iterator[Run]:
    """Every run of an experiment, in pages small enough for a slow server's time limit.

    Args: view: of mlflow.entities.ViewType; 1 is what was not deleted.
    """
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], run_view_type=view, max_results=200, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def reason(error: BaseException) -> str:
    """Why a store failed, for a line: "no answer" where nobody listens.

    What is ours says all itself; of what the system refuses, the path and why.
    """
    if isinstance(error, RecordError | TrackingError):
        return str(error)
    if isinstance(error, OSError) and error.errno and isinstance(error.filename, str):
        return f"{error.filename} must be usable, got: {os.strerror(error.errno)}"
    return answers.meaning(error)[0]


def plain(value: object, most: int) -> str:
    """A value as every store takes it: no NUL, and not longer than its column."""
    return str(value).replace("\0", "\\0")[:most]


def download(uri: str, artifact_uri: str, names: Sequence[str], folder: Path) -> None:
    """Write those of a run's artifacts that are there into `folder`.

    Raises: TrackingError when they lie in a local folder that is not on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = local_folder(artifact_uri)
    if place is not None:  # much faster than through the client
        if not place.is_dir():
            raise TrackingError(
                f"artifacts must be at {place}, got no such folder on this "
                "machine; copy the artifacts too, or use a tracking server that "
                "serves them"
            )
        for name in names:
            if check_file(place / name):  # as in a study's folder: no link, nothing to wait for
                shutil.copyfile(place / name, folder / name)
        return
    from mlflow.store.artifact import artifact_repository_registry  # slow to import

    store = artifact_repository_registry.get_artifact_repository(artifact_uri, tracking_uri=uri)
    there = {item.path for item in store.list_artifacts()}
    for name in names:
        if name in there:
            store.download_artifacts(name, str(folder))
