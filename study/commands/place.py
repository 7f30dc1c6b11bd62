"""Whether `--out` can be written, and what the folder of a study in it may be called."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import unicodedata
from pathlib import Path

from study.values import ConfigError

# What lies in an output folder beside the studies, or in a study.
RESERVED = {
    *("store", "tuning", "data", "check", "mlartifacts", "mlruns", "report", "runs"),
    *(f"mlflow.db{ending}" for ending in ("", "-journal", "-shm", "-wal")),
}
MLFLOWS = "Default"  # its artifacts lie outside of --out
MAX_BYTES = 200  # of 255: temporary names are made from it


def check_out(out: Path) -> None:
    """Raise ConfigError unless the folder can be written; one that is missing is not left there."""
    missing: list[Path] = []
    try:
        missing = [path for path in (out, *out.parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        no_folder = isinstance(error, FileExistsError | NotADirectoryError)
        reason = f"nothing can be written there ({os.strerror(error.errno or 0)})"
        raise ConfigError(
            f"--out must be a folder that can be written, got {out}: "
            f"{'it is no folder' if no_folder else reason}; give another"
        ) from None
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def check_name(name: str) -> None:
    """Raise ConfigError unless a study's folder can have the name, on any disk."""
    if not re.fullmatch(r"[\w.-]+", name) or name[0] in "-." or name[-1] == ".":
        raise ConfigError(
            "--study must be letters, digits, - _ and ., without - or . before them or . after "
            f"them, got {name!r}"
        )
    if len(os.fsencode(name)) > MAX_BYTES:
        raise ConfigError(
            f"--study must be at most {MAX_BYTES} bytes long, got {len(os.fsencode(name))}"
        )
    if name.casefold() in RESERVED or name == MLFLOWS:
        raise ConfigError(
            "--study must not be what lies beside or in studies, nor MLflow's own experiment "
            f"({', '.join(sorted(RESERVED))}, {MLFLOWS}), got {name!r}; give another name"
        )


def safe_name(text: str) -> str:
    """The name that a study or page made from some other name gets: the same where it can be."""
    with contextlib.suppress(ConfigError):
        check_name(text)
        return text
    name = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).lstrip("-.")
    name = os.fsencode(name)[: MAX_BYTES - 40].decode(errors="ignore").rstrip("-.")
    with contextlib.suppress(ConfigError):
        check_name(name)
        return name
    return f"{name or 'unnamed'}-data"
