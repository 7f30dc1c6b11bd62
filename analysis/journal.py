"""Owns reading one run's journal: lines in, state and numbers out.

Must not know: studies, arms, tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

FINAL_STATES = ("finished", "failed", "pruned")  # as the last event names them
# what the same attempt writes only after its earlier lines went through whole
CONTINUES = {"epoch", "finished"}


@dataclass(frozen=True, eq=False)
class Journal:
    """What a run's journal says; the fields are those of `records.Record`."""

    state: str = "unfinished"
    error: str = "nothing recorded yet"
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"epoch": []}, dtype=int))
    result: Mapping[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    duration_s: float = math.nan
    peak_memory_mb: float = math.nan
    n_parameters: int | None = None
    environments: tuple[Mapping[str, Any], ...] = ()
    contract: Mapping[str, str] | None = None  # what its metrics mean; None: not recorded


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object from a file; ValueError names the file if it is anything else."""
    try:
        value = _parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} must be a JSON object, got an unreadable file ({error}); restore or delete it"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{path} must be a JSON object, got {type(value).__name__}; restore or delete it"
        )
    return value


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a journal in order, less the lines that a crash cut short.

    Such a line is the last one, or what ended the attempt, or the next `start`, follows it.
    Raises: ValueError naming file and line if any other line is unreadable.
    """
    events: list[dict[str, Any]] = []
    cut = ""
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            event = _parse(line)
            if not (isinstance(event, dict) and isinstance(event.get("event"), str)):
                raise ValueError("no event in it")
        except ValueError as error:
            cut = cut or f"{path} line {number} must be a JSON object with an event, got " + (
                f"{line[:40]!r} ({error}); move the run's folder away and run it again"
            )
            continue
        if cut and event["event"] in CONTINUES:
            raise ValueError(cut)
        cut = ""
        events.append(event)
    return events


def read_journal(path: Path) -> Journal:
    """State, per-epoch metrics and results of a run; a missing file is a run not started."""
    events = read_events(path) if path.is_file() else []
    if not events:
        return Journal()
    try:
        return _digest(events)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: events must carry what their kind needs, got {error!r}; "
            "move the run's folder away and run it again"
        ) from error


def _digest(events: list[dict[str, Any]]) -> Journal:
    starts = [event for event in events if event["event"] == "start"]
    last = events[-1]
    state = last["event"] if last["event"] in FINAL_STATES else "unfinished"
    history = _history(event for event in events if event["event"] == "epoch")
    if len(starts) == 1:  # of a resumed run, nobody knows which of its time was spent twice
        history["minutes"] = (history["time"] - _float(starts[0].get("time"))) / 60
    history = history.drop(columns="time")
    done = last if state == "finished" else {}
    n_parameters = [start["n_parameters"] for start in starts if "n_parameters" in start]
    return Journal(
        state=state,
        error=_why_not_finished(last, history),
        history=history,
        result=_floats(done.get("metrics", {})),
        best_epoch=int(done["best_epoch"]) if done else None,
        duration_s=_float(done["duration_s"]) if done else math.nan,
        peak_memory_mb=_float(done.get("peak_memory_mb")),
        n_parameters=n_parameters[-1] if n_parameters else None,
        environments=tuple(start.get("environment", {}) for start in starts),
        contract=done.get("contract"),
    )


def _why_not_finished(last: Mapping[str, Any], history: pd.DataFrame) -> str:
    """One line for tables; "" if the last event is `finished`."""
    reached = f"epoch {history['epoch'].max()}" if len(history) else "no whole epoch"
    match last["event"]:
        case "finished":
            return ""
        case "failed":
            return " ".join(str(last.get("error", "")).split()) or "no error message recorded"
        case "pruned":
            return f"pruned at epoch {last.get('epoch', '?')}"
        case "died":
            return f"died: {last.get('error', 'no reason recorded')}, {reached} recorded"
        case "stopped":
            return f"stopped on request, {reached} recorded"
        case _:
            return f"no end recorded (running or interrupted), {reached} recorded"


def _history(epochs: Any) -> pd.DataFrame:
    """One row per epoch; the first of several rows for one epoch wins (repeats after a resume)."""
    rows: dict[int, dict[str, float]] = {}
    for event in epochs:
        epoch = int(event["epoch"])
        metrics = {"time": event.get("time"), **event["metrics"]}
        rows.setdefault(epoch, {"epoch": epoch, **_floats(metrics)})
    if not rows:
        return Journal().history.assign(time=math.nan)
    return pd.DataFrame([rows[epoch] for epoch in sorted(rows)])


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: _float(value) for name, value in metrics.items()}


def _float(value: Any) -> float:
    """JSON has no NaN of its own: null is one, and so is what is not finite."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.nan
    return number if math.isfinite(number) else math.nan
