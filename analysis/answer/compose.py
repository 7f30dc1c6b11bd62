"""Owns the whole answer of a study, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.answer.contrasts import Compared, Planned, contrasts
from analysis.answer.effects import Crossing, crossing, effects
from analysis.answer.noise import noise
from analysis.answer.scores import Scores
from analysis.records import Study

N_BOOT = 2000


@dataclass(frozen=True, eq=False)
class Answer:
    """Everything the sentences and tables of comparisons are made from."""

    contrasts: tuple[Planned, ...]
    grid: Crossing
    effects: pd.DataFrame  # main effects and interactions of the axes, exploratory
    noise: pd.DataFrame  # per network: what its seeds can tell
    chosen: str | None  # arm with the highest mean dev mIoU; None: no finished run
    terciles: Mapping[str, tuple[str, ...]]  # class names by train frequency
    smallest: float  # smallest difference of interest, a fraction
    n_images: int
    n_units: int  # images, or groups of them, that were resampled

    @property
    def compared(self) -> list[Compared]:
        """The planned contrasts that have runs on both sides."""
        return [one for one in self.contrasts if isinstance(one, Compared)]

    @property
    def known(self) -> list[Compared]:
        """Those of them that have an interval."""
        return [one for one in self.compared if one.seeds_known]

    @property
    def images_fixed(self) -> bool:
        """Whether the intervals speak of these images only."""
        return any(one.difference.images_fixed for one in self.compared)


def answer(study: Study, *, n_boot: int = N_BOOT, seed: int = 0) -> Answer:
    """Compare the declared arms of a study; `seed` drives the resampling of images.

    Raises: ValueError when runs were scored on different images or classes.
    """
    smallest = study.declaration.smallest_difference
    scores = Scores(study, n_boot=n_boot, seed=seed) if study.finished() else None
    grid = crossing(study, scores)
    dev = {
        cell.arm: float(np.mean([run.result["dev/miou"] for run in done]))
        for cell in study.cells
        if (done := study.finished(cell.arm))
    }
    return Answer(
        contrasts(study, scores, smallest),
        grid,
        effects(study, scores, grid, smallest),
        noise(study, scores, smallest),
        max(dev, key=lambda arm: dev[arm]) if dev else None,
        {
            name: tuple(study.classes[i] for i in those)
            for name, those in study.by_frequency.items()
        },
        smallest,
        study.data.n_images["test"],
        scores.n_units if scores else 0,
    )
