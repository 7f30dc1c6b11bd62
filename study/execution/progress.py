"""How far a run has come: what `fit` continues from, the best epoch, the time; kept in last.pt."""

from __future__ import annotations

import time
import typing
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seglib.metrics import Confusions
from seglib.metrics.sparse import PARTS
from seglib.train import EpochResult
from study.config import RunConfig
from study.execution import checkpoint
from study.record import RunDir

CHECKPOINT_S, CHECKPOINT_SHARE = 60.0, 50  # at least so long apart, and so many times their cost


class Best(typing.TypedDict):
    """The best dev epoch so far; epoch 0 for none."""

    epoch: int
    miou: float
    confusions: Confusions | None
    weights: dict[str, torch.Tensor] | None


class Progress:
    """The progress of a run over its attempts; `note` tells of checkpoints that were not used."""

    def __init__(self, config: RunConfig, run_dir: RunDir) -> None:
        self.config, self.dir = config, run_dir
        self.best: Best = {"epoch": 0, "miou": -1.0, "confusions": None, "weights": None}
        self.fit_state: checkpoint.State | None = None  # None: from nothing
        self.note = ""
        self._elapsed_s, self._began = 0.0, time.monotonic()
        self._sound = True  # last.pt, if any, can be used
        self._saved_at, self._cost_s = self._began, 0.0
        self._load()

    @property
    def after_epoch(self) -> int:
        """The epoch that this attempt continues after; 0 for a start from nothing."""
        return int(self.fit_state["epoch"]) if self.fit_state else 0

    @property
    def duration_s(self) -> float:
        """Of all attempts."""
        return self._elapsed_s + time.monotonic() - self._began

    def take(self, epoch: int, miou: float, confusions: Confusions, model: nn.Module) -> None:
        """Keep the weights of an evaluated epoch if it is the best so far."""
        if miou > self.best["miou"]:
            weights = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
            self.best = {"epoch": epoch, "miou": miou, "confusions": confusions, "weights": weights}

    def save_if_due(self, result: EpochResult) -> None:
        """Write a checkpoint after the last epoch, and before where the last one is long ago."""
        began = time.monotonic()
        wanted_s = checkpoint_interval_s(self.config.checkpoint_s, self._cost_s)
        if result.epoch < self.config.epochs and began - self._saved_at < wanted_s:
            return
        state = {
            "run_id": self.config.run_id,
            "fit": result.state(),
            "best": {**self.best, "confusions": _tensors(self.best["confusions"])},
            "elapsed_s": self.duration_s,
        }
        checkpoint.save(state, self.dir.last, self.dir.previous if self._sound else None)
        self._sound, self._saved_at = True, time.monotonic()
        self._cost_s = self._saved_at - began

    def _load(self) -> None:
        """Continue from the last checkpoint that is sound; what is not is named in `note`."""
        rejected = []
        for path in filter(Path.exists, (self.dir.last, self.dir.previous)):
            try:
                state = self._checked(path)
            except (checkpoint.CheckpointError, OSError) as error:
                rejected.append(f"checkpoint {path.name} is not used: {error}")
                self._sound = False
                continue
            self.best, self._elapsed_s = state["best"], state["elapsed_s"]
            self.fit_state = state["fit"]
            break
        if rejected:
            went_on = self.fit_state is not None
            so = f"continued after epoch {self.after_epoch}" if went_on else ""
            self.note = "; ".join([*rejected, so or "begun again from nothing"])

    def _checked(self, path: Path) -> checkpoint.State:
        state = checkpoint.load(path)
        if state["run_id"] != self.config.run_id:
            raise checkpoint.CheckpointError(f"it belongs to run {state['run_id']}")
        journaled = {event.epoch for event in self.dir.journal().epochs}
        if set(range(1, state["fit"]["epoch"] + 1)) - journaled:
            raise checkpoint.CheckpointError("the journal lacks epochs before it")
        state["best"]["confusions"] = _confusions(state["best"]["confusions"])
        return state


def _tensors(confusions: Confusions | None) -> dict[str, torch.Tensor] | None:
    """What a checkpoint can hold of them."""
    if confusions is None:
        return None
    cells, counts = (a.astype(np.int64) for a in (confusions.cells, confusions.counts))
    parts = (np.array(confusions.shape), cells, counts)
    return {part: torch.from_numpy(array) for part, array in zip(PARTS, parts, strict=True)}


def _confusions(stored: dict[str, torch.Tensor] | torch.Tensor | None) -> Confusions | None:
    """The confusions that a checkpoint holds; one of before holds the whole array."""
    if stored is None:
        return None
    if isinstance(stored, torch.Tensor):
        return Confusions.of(stored.numpy())
    shape, cells, counts = (stored[part].numpy() for part in PARTS)
    return Confusions.of_cells(shape, cells, counts)


def checkpoint_interval_s(wanted_s: float | None, cost_s: float) -> float:
    """Seconds between two checkpoints of which the last took `cost_s`."""
    return max(CHECKPOINT_S, CHECKPOINT_SHARE * cost_s) if wanted_s is None else wanted_s
