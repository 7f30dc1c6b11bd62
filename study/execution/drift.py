"""Where a run was made, and what has changed since so that a half-done one cannot go on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
import torchvision

from seglib.losses import introduced_params
from study.config import FIELDS, RunConfig
from study.record import JournalError, RunDir, journal
from study.record.files import Scalar


class DriftError(ValueError):
    """A half-done run cannot be continued with this code or these libraries."""


def environment(config: RunConfig, commit: str) -> dict[str, Scalar]:
    """Where a run was made; logged and compared by the report, never part of its identity."""
    device = torch.device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": config.device,
        "device_name": name,
        "threads": config.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "commit": commit,
    }


def drift(config: RunConfig, run_dir: RunDir) -> list[str]:
    """What has changed since a half-done run was last worked on, so that it cannot be continued.

    Returns: e.g. ["torch 2.14 (now 2.15)"]; empty for a run that may go on, or has no epoch yet.
    """
    written = run_dir.journal()
    if run_dir.state() == "finished" or not written.epochs:
        return []
    start = written.starts[-1] if written.starts else None
    if start is None or not {"torch", "numpy"} <= set(start.environment):
        raise JournalError(
            f"{written.path} must say how the run started, with torch and numpy, got no such "
            "line; the file is damaged: move the run's folder away and run it again"
        )
    before = _versions(start.format, start.environment)
    now = _versions(journal.FORMAT, {"torch": torch.__version__, "numpy": np.__version__})
    stored: dict[str, object] = dict(run_dir.record().config)
    params = stored.get("loss_params")
    if isinstance(params, Mapping):
        stored["loss_params"] = introduced_params(config.loss) | dict(params)
    wanted = asdict(config)
    for name, spec in FIELDS.items():
        if spec.metadata["identity"]:  # a field that is newer than the run had its first default
            was, omit = stored.get(name, spec.metadata["introduced"]), spec.metadata["omit"]
            if not (was in omit and wanted[name] in omit):  # else the same to the hash
                before[name], now[name] = was, wanted[name]
    return [f"{name} {before[name]} (now {now[name]})" for name in now if before[name] != now[name]]


def _versions(form: int, environment: Mapping[str, Scalar]) -> dict[str, object]:
    """What must be equal of format and libraries: torch to its minor, NumPy to its major."""
    torch_version, numpy_version = (
        str(environment[name]).split(".") for name in ("torch", "numpy")
    )
    return {"run format": form, "torch": ".".join(torch_version[:2]), "numpy": numpy_version[0]}
