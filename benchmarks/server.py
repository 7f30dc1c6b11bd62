"""An MLflow server on loopback, for benchmarks and tests."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.tracking.store import TrackingError, probe


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def server(folder: Path, port: int = 0) -> Iterator[str]:
    """An MLflow server on loopback with SQLite and served artifacts; its address."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    where = ["--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    where += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *"-m mlflow server --host 127.0.0.1 --workers 1".split(), *where],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                probe(address)
                break
            except TrackingError:
                time.sleep(0.5)
        else:
            raise TimeoutError(f"MLflow server did not start, see {folder / 'server.log'}")
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()
