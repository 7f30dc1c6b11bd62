"""Session: what a command works on, the runs that are chosen, and where they work."""

from __future__ import annotations

import os
import subprocess
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path

from seglib.data.store import open_store
from study.commands.choice import choose, chosen_seeds, only_values, without_tuning
from study.commands.request import Request
from study.commands.settings import Settings
from study.config import RunConfig
from study.execution import preflight
from study.execution.forecast import Forecaster
from study.record import Cell
from study.study import Study, StudyError
from study.tuning.result import tuned_values


@dataclass
class Session:
    """A study, and the runs of it that are chosen."""

    request: Request
    settings: Settings
    study: Study
    n_seeds: int
    device: str
    store_path: Path
    commit: str
    weights_paths: dict[str, str] = field(default_factory=dict)  # classifier -> file
    timed: dict[int, Forecaster] = field(default_factory=dict)  # by runs at once

    @property
    def out(self) -> Path:
        return self.request.out

    def cells(self) -> list[Cell]:
        """The cells that --only chooses."""
        return choose(self.study.cells, self.request.only)

    def default_cells(self) -> list[Cell]:
        """As `cells`, before tuned cells exist."""
        only = self.request.only
        return choose(self.study.cells, without_tuning(only) if self.settings.tuned else only)

    def seeds(self) -> list[int]:
        """The seeds that --seeds and --only choose."""
        return chosen_seeds(self.request.only, self.n_seeds)

    def runs(self) -> list[tuple[Cell, int]]:
        """The chosen (cell, seed), all arms of a seed before the next seed."""
        return [(cell, seed) for seed in self.seeds() for cell in self.cells()]

    @property
    def n_workers(self) -> int:
        """Runs at once: as asked, else one a core (but no more than runs), or 1 on a GPU."""
        if self.request.workers or self.device != "cpu":
            return self.request.workers or 1
        n_runs = len(self.seeds()) * len(self.cells())
        return n_cores() if self.request.verb == "tune" else min(n_cores(), n_runs)

    def forecaster(self) -> Forecaster:
        """What runs cost here; what it has timed is not timed again."""
        n = self.n_workers
        return self.timed.setdefault(n, Forecaster(open_store(self.store_path), n))

    def configs(self) -> list[RunConfig]:
        """The chosen runs, placed, in their order; to be looked at before weights are known."""
        study = self.study
        return [
            self.place(study.config(cell, seed, **study.stand_in(cell)))
            for cell, seed in self.runs()
        ]

    def place(self, config: RunConfig) -> RunConfig:
        """The same run, told where it works."""
        where: dict[str, typing.Any] = {
            "device": self.device,
            "threads": max(1, n_cores() // self.n_workers),
            "store": str(self.store_path),
            "weights_path": self.weights_paths.get(config.classifier, ""),  # "" while planning
        }
        return replace(config, **(where | dict(self.settings.environment)))

    def resolve_weights(self) -> None:
        """Find or download the pretrained weights that the chosen runs need, one an encoder."""
        configs = [
            self.study.config(cell, 0, **self.study.stand_in(cell))
            for cell in self.default_cells()
            if cell.values["init"] == "pretrained"
        ]
        wanted = {(config.model, config.classifier): config for config in configs}
        for (_, classifier), config in wanted.items():
            weights = preflight.prepare_weights(self.study.declaration.pretrained, config)
            self.weights_paths[classifier] = str(weights.path)
            self.study.set_weights(classifier, weights.source, weights.sha256)

    def add_tuned_cells(self) -> None:
        """`tuning=tuned`: the chosen default cells get a tuned sister in the declaration."""
        if not self.settings.tuned or only_values(self.request.only).get("tuning") == {"default"}:
            return
        cells = [cell for cell in self.default_cells() if not cell.tuned]
        if unready := [cell.arm for cell in cells if not self.study.resolvable(cell)]:
            raise StudyError(
                f"tuned cells of {', '.join(unready)} are known once --grid or --tune has "
                "prepared the pretrained weights"
            )
        self.study.add_tuned(tuned_values(self.out, self.study, cells, self.settings.tune.name))


def n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def git_commit() -> str:
    """The commit of this checkout, `+` when files of it are changed; "" outside git."""
    here = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:  # a folder of data or outputs that git does not know changes no code
        changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return ""
