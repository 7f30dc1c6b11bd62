"""Owns the scores of all finished runs: read, checked, resampled once, the same way for all arms.

Must not know: which contrasts were planned, wording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.records import Study
from analysis.run import Record
from analysis.statistics.bootstrap import resample
from analysis.statistics.contrasts import Difference, contrast
from analysis.statistics.intervals import Intervals, adjust
from analysis.statistics.seeds import SeedVariance, seed_variance
from seglib.metrics import mean_iou

TERCILES = ("rare", "medium", "frequent")
Shares = Mapping[str, float]  # arm -> its weight in a contrast; 0 where not named


class Scores:
    """What every arm with a finished run scored on the test images and on resamples of them."""

    def __init__(self, study: Study, *, n_boot: int, seed: int) -> None:
        cells = [cell for cell in study.cells if study.finished(cell.arm)]
        self.arms = [cell.arm for cell in cells]
        self.networks = [cell.network for cell in cells]
        self.seeds = [tuple(run.seed for run in study.finished(arm)) for arm in self.arms]
        names, video = study.finished(self.arms[0])[0].test_names, study.data.test_groups
        groups = [study.by_frequency[name] for name in TERCILES]
        self._n_groups = len(groups) if all(groups) else 0
        self.sample = resample(
            [_Counts(study, arm, names) for arm in self.arms],
            n_boot=n_boot,
            rng=np.random.default_rng(seed),
            groups=[video.get(name, "") for name in names] if video else None,
            class_groups=groups[: self._n_groups],
        )

    @property
    def n_units(self) -> int:
        """Images, or groups of them, that were resampled."""
        return int(self.sample.n_units[0])

    def contrast(self, shares: Shares) -> Difference:
        found = self._contrast(shares)
        classes = slice(0, len(self.sample.n_units) - 1 - self._n_groups)
        return replace(found, per_class=found.per_class.part(classes))

    def terciles(self, shares: Shares) -> Intervals | None:
        """Intervals of the three frequency groups, adjusted over them; None with an empty group."""
        if not self._n_groups:
            return None
        return adjust(self._contrast(shares).per_class.part(slice(-self._n_groups, None)))

    def _contrast(self, shares: Shares) -> Difference:
        weights = [shares.get(arm, 0.0) for arm in self.arms]
        return contrast(self.sample, weights, pooled=self._pooled(weights))

    def _pooled(self, weights: Sequence[float]) -> SeedVariance:
        """Seed variance for a contrast, from its own arms and those of their networks that have two
        seeds and, where the contrast's arms share their seeds, the same ones.

        An arm of the contrast with one seed: unknown, whatever others could lend.
        """
        used = [i for i, weight in enumerate(weights) if weight]
        if min(len(self.seeds[i]) for i in used) < 2:
            nothing = np.zeros(len(self.sample.n_units))
            return SeedVariance(nothing, nothing, nothing + 1)
        shared = {self.seeds[i] for i in used}
        kept = [
            i
            for i, seeds in enumerate(self.seeds)
            if i in used or (len(seeds) > 1 and (len(shared) > 1 or seeds in shared))
        ]
        return seed_variance(
            [self.sample.observed[i] for i in kept],
            [weights[i] for i in kept],
            networks=[self.networks[i] for i in kept],
            seeds=[self.seeds[i] for i in kept],
        )


@dataclass(frozen=True)
class _Counts:
    """The test counts (n_images, C, 3) of an arm's finished runs, made when they are asked for.

    Raises: ValueError when runs were scored on different images or classes.
    """

    study: Study
    arm: str
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.study.finished(self.arm))

    def __iter__(self) -> Iterator[np.ndarray]:
        for run in self.study.finished(self.arm):
            if run.test_names != self.names:
                first = self.study.finished()[0]
                raise ValueError(
                    f"run {run.name} must be scored on the same test images in "
                    f"the same order as {first.name}"
                )
            yield _checked(self.study, run)


def _checked(study: Study, run: Record) -> np.ndarray:
    counts, way_out = run.test_counts, "move the run's folder away and run it again"
    wanted = study.data.n_images["test"], len(study.classes)
    if counts.shape[:2] != wanted:
        raise ValueError(
            f"run {run.name} must have test confusions of {wanted[0]} images and {wanted[1]} "
            f"classes, got {counts.shape[0]} and {counts.shape[1]}; {way_out}"
        )
    if abs(mean_iou(counts) - run.result["test/miou"]) > 1e-6:
        raise ValueError(
            f"run {run.name} must have confusions that give its test mIoU "
            f"{run.result['test/miou']:.6f}, got {mean_iou(counts):.6f}; {way_out}"
        )
    return counts
