"""Which runs of a study go to MLflow and what they are called there; the thread that sends them.

A study under way sends in the background and is never held up or stopped by MLflow; `sync` sends
what is missing by hand. Both read run directories only: no data, no weights, no training.
"""

from __future__ import annotations

import json
import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from study.record.rundir import RunDir
from study.study import Study
from study.tracking.projection import Projection, TrackingError, reason, shown, tracking_uri

if TYPE_CHECKING:
    from study.commands.session import Session
    from study.tuning.search import CellTuning

GATHER_S, RETRY_S = 0.05, 5.0  # before calls are made; before those that failed are made again
CLOSE_S, HURRY_S = 60.0, 3.0  # for `close`; when interrupted
N_LAST = 10  # attempts then, as long as the store answers

# Called with arms; gives each arm's "n", "<metric>/mean", ...
Aggregate = Callable[[Sequence[str]], dict[str, dict[str, float]]]


class Tracker:
    """Makes calls on a projection, from a thread of its own, until they succeed.

    Of several calls under one key only the last is made. `close` says what could not be sent.
    """

    def __init__(self, projection: Projection) -> None:
        self.projection, self.error = projection, ""
        self._queue: queue.Queue = queue.Queue()
        self._behind: dict[str, Callable[[], object]] = {}
        self._thread = threading.Thread(target=self._loop, name="tracker", daemon=True)
        self._thread.start()

    def put(self, key: str, call: Callable[[], object]) -> None:
        """Have a call made soon."""
        self._queue.put((key, call))

    def close(self, timeout_s: float = CLOSE_S) -> str:
        """Send what is left; "" when all of it has arrived, else why something has not."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return f"{shown(self.projection.uri)} is slow or does not answer"
        return shown(self.error) if self._behind else ""

    def _loop(self) -> None:
        while not self._collect():
            self._send()
        for _ in range(N_LAST):
            if not self._send():
                return

    def _collect(self) -> bool:
        """Wait for calls, RETRY_S where some have failed before; True when told to close."""
        until = time.monotonic() + RETRY_S if self._behind else None
        while until is None or time.monotonic() < until:
            try:
                item = self._queue.get(timeout=until and max(0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return True
            self._behind[item[0]] = item[1]
            until = until or time.monotonic() + GATHER_S
        return False

    def _send(self) -> bool:
        """Make every call once; those that fail stay behind. Whether the store answers."""
        for key, call in list(self._behind.items()):
            try:
                call()
                del self._behind[key]
            except Exception as error:  # tracking must never stop the study; kept for later
                self.error = reason(error)
                try:
                    self.projection.reconnect()
                except Exception:  # the store is lost, not this call: all the others wait too
                    return False
        return True


def tuning_name(arm: str, name: str = "") -> str:
    """What a tuning of an arm is called; `name` tells several of one arm apart."""
    return " ".join(filter(None, ("tune", arm, name)))


class Mirror:
    """A study in MLflow: how its runs are named and tagged there. Reads run directories only."""

    def __init__(self, study: Study, out: Path) -> None:
        data, arms = study.declaration["data"], [cell["arm"] for cell in study.cells]
        text = f"Comparison on {data['name']}: {len(arms)} arms\n\n- " + "\n- ".join(arms)
        self.study, self.out = study, out
        self.projection = Projection(
            tracking_uri(out),
            study.name,
            study.declaration["uuid"],
            out / "mlartifacts" / study.name,
            text,
            data,
        )

    def run(self, path: Path, tuning: str = "", tuned_arm: str = "") -> bool:
        """Bring a run up to date: a seed under its arm, a trial under its tuning."""
        run_dir = RunDir(path)
        if not run_dir.config.exists():
            return False
        record = run_dir.record()
        config, name = record["config"], record["arm"]
        start = next((row for row in run_dir.rows() if row["event"] == "start"), None)
        tags = {
            "study": self.study.name,
            "arm": tuned_arm or name,
            "network": record["network"],
            "loss": config["loss"],
            "role": config["role"],
            "seed": config["seed"],
            "weights": config["weights_source"] or "none",
            "weights_sha256": config["weights"][:12],
            "commit": start["environment"].get("commit", "") if start else "",
        }
        if tuning:
            return self.projection.run(run_dir, tags, tuning, name)
        return self.projection.run(run_dir, tags, name, f"{name} seed {config['seed']}")

    def arm(self, cell: Mapping, values: Mapping[str, float]) -> bool:
        """Write n, means and intervals of an arm."""
        return self.projection.parent(
            cell["arm"],
            {"study": self.study.name, "arm": cell["arm"]},
            cell["values"],
            values,
            int(values["n"]),
        )

    def tuning(self, name: str, folder: Path) -> bool:
        """Write what a tuning chose, from its result beside its folder, and its figures."""
        result = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
        goal = f"best/dev_{result['objective']}"
        values = {
            goal: result["dev_selected"],
            f"{goal}_again": result["dev_rerank"],
            **{f"importance/{k}": v for k, v in result["importances"].items()},
        }
        tags = {
            "study": self.study.name,
            "arm": result["arm"],
            **{k: result[k] for k in ("objective", "sampler", "pruner", "budget_epochs")},
            **{f"best.{k}": v for k, v in result["params"].items()},
        }
        self.projection.attach(name, tags, sorted(folder.glob("*.png")))
        return self.projection.parent(name, tags, {}, values, result["epochs"])

    def files(self, *more: Path) -> None:
        """Store the declaration and the panel's images, and `more`, with the study's own run."""
        self.projection.study(
            [self.study.path / "study.json", self.study.path / "panel.npz", *more]
        )

    def finals(self) -> list[Path]:
        """Directories of the study's own runs."""
        return [path.parent for path in sorted(self.study.path.glob("runs/*/config.json"))]

    def trials(self) -> list[tuple[Path, str, str]]:
        """Directories of trials and re-runs, their tuning's name and its arm."""
        return [
            (path.parent, name, arm)
            for name, arm, folder in self.tunings()
            for path in sorted(folder.glob("*/config.json"))
        ]

    def tunings(self) -> list[tuple[str, str, Path]]:
        """Tunings of the study's arms: name, arm, folder; a result is beside that, as .json."""
        found = []
        for cell in self.study.cells:
            if cell["values"]["tuning"] != "default" or not cell["cell_id"]:
                continue
            for folder in sorted((self.out / "tuning").glob(f"{cell['cell_id']}*/")):
                name = folder.name.removeprefix(cell["cell_id"]).removeprefix("-")
                found.append((tuning_name(cell["arm"], name), cell["arm"], folder))
        return found


class Tracking:
    """Keeps MLflow up to date behind a session's back."""

    def __init__(self, session: Session) -> None:
        self._mirror = Mirror(session.study, session.out)
        self.tracker = Tracker(self._mirror.projection)

    def seed(self, path: Path) -> None:
        """Bring one final run up to date, nested under its arm."""
        self.tracker.put(path.name, partial(self._mirror.run, path))

    def trial(self, path: Path, tuning: CellTuning) -> None:
        """Bring one trial up to date, nested under its tuning."""
        self.tracker.put(
            f"{tuning.name} {path.name}",
            partial(self._mirror.run, path, tuning.name, tuning.cell["arm"]),
        )

    def tuning(self, tuning: CellTuning) -> None:
        """Write what a tuning chose."""
        self.tracker.put(tuning.name, partial(self._mirror.tuning, tuning.name, tuning.runs))

    def arm(self, cell: Mapping, values: Mapping[str, float]) -> None:
        """Write an arm's own values."""
        self.tracker.put(f"arm {cell['arm']}", partial(self._mirror.arm, cell, values))

    def catch_up(self) -> None:
        """Send what an earlier call left behind."""
        self.tracker.put("study", self._mirror.files)
        for path in self._mirror.finals():
            self.seed(path)

    def close(self, console, *, quickly: bool = False) -> None:
        """Send what is left; one line when not all of it has arrived."""
        self.tracker.put("study", self._mirror.files)
        if behind := self.tracker.close(HURRY_S if quickly else CLOSE_S):
            out = self._mirror.out
            more = [] if out == Path("outputs") else ["--out", str(out)]
            line = shlex.join(
                ["python", "runs.py", "--sync", "--study", self._mirror.study.name, *more]
            )
            console.print(
                f"MLflow is behind ({behind}); send what is missing with: {line}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )


@dataclass
class Synced:
    """What `sync` did: runs looked at, runs that lacked something, runs that could not be read."""

    n_runs: int = 0
    n_sent: int = 0
    problems: list[str] = field(default_factory=list)


def sync(
    study: Study,
    out: Path,
    aggregate: Aggregate,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Synced:
    """Send what MLflow is missing of a study: runs, trials, the arms' values, declaration, report.

    A run that cannot be read is a line in `problems`; the others are sent.
    Raises: TrackingError when the store is lost.
    """
    mirror, result = Mirror(study, out), Synced()
    runs = [(path, "", "") for path in mirror.finals()] + mirror.trials()
    result.n_runs = len(runs)

    def attempt(name: str, call: Callable[[], bool | None]) -> bool:
        try:
            return bool(call())
        except Exception as error:  # of this call, or of the store: the store is asked
            why = reason(error)
        try:
            mirror.projection.reconnect()
        except Exception as error:
            raise TrackingError(
                f"tracking store {shown(mirror.projection.uri)} was lost after {result.n_sent} "
                f"runs had been sent, got: {shown(reason(error))}; run --sync again"
            ) from None
        result.problems.append(f"{name}: {shown(why)}")
        return False

    for number, (path, *tuning) in enumerate(runs, 1):
        result.n_sent += attempt(f"run {path.name}", partial(mirror.run, path, *tuning))
        progress(number, len(runs))

    def arms() -> None:
        by_arm = aggregate([cell["arm"] for cell in study.cells])
        for cell in study.cells:
            values = by_arm[cell["arm"]]
            if values["n"] or mirror.projection.has_parent(cell["arm"]):
                mirror.arm(cell, values)

    attempt("the arms' values", arms)
    for name, _, folder in mirror.tunings():
        if folder.with_suffix(".json").exists():
            attempt(name, partial(mirror.tuning, name, folder))
    attempt("study", partial(mirror.files, study.path / "report"))
    return result
