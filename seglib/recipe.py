"""How a network is trained, as data: what `seglib.train` is told. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

SCHEDULES = ("onecycle", "cosine", "constant")
OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. lr is the peak; warmup_frac is a share of all steps.

    accumulate: parts a batch is split into, one after the other, to save memory; see `gradients`.
    """

    n_epochs: int
    lr: float
    weight_decay: float
    optimizer: str = "adamw"
    schedule: str = "onecycle"
    warmup_frac: float = 0.3
    precision: str = "fp32"
    accumulate: int = 1
    evaluate_at: frozenset[int] = frozenset()
