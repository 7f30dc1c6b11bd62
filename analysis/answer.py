"""Owns what a study says: planned contrasts with intervals, the choice on dev, the noise floor.

Numbers only; `analysis.report.sentences` words them. Must not know: figures, pages, trackers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.records import Record, Study
from analysis.statistics import intervals as stats
from analysis.statistics.effects import add_group_means, factorial_weights
from analysis.statistics.intervals import Difference, Interval, Resampled
from analysis.statistics.seeds import (
    SeedVariance,
    detectable_difference,
    seed_variance,
    seeds_needed,
)
from analysis.tables.metric_tables import frequency_groups
from seglib.metrics import mean_iou

N_BOOT = 2000
TERCILES = ("rare", "medium", "frequent")
UNKNOWN = "seed noise unknown"  # in place of a verdict


@dataclass(frozen=True, eq=False)
class Compared:
    """One planned contrast, a minus b, as far as its runs allow."""

    family: str
    a: str
    b: str
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    difference: Difference | None = None  # None: one side has no finished run
    miou: Interval | None = None  # adjusted within the family
    classes: Interval | None = None  # (C,) adjusted over the classes: a family of its own
    terciles: Interval | None = None  # (3,) rare, medium, frequent; adjusted over the three
    verdict: str = "cannot be told"
    class_verdicts: tuple[str, ...] = ()

    @property
    def seeds_known(self) -> bool:
        """Whether the noise between seeds is known, so that there is an interval."""
        return self.miou is not None and math.isfinite(float(self.miou.low))


@dataclass(frozen=True, eq=False)
class Answer:
    """Everything the sentences and tables of comparisons are made from."""

    contrasts: tuple[Compared, ...]
    effects: pd.DataFrame  # main effects and interactions of network and loss, exploratory
    noise: pd.DataFrame  # per network: what its seeds can tell
    chosen: str | None  # arm with the highest mean dev mIoU; None: no finished run
    terciles: Mapping[str, tuple[str, ...]]  # class names by train frequency
    smallest: float  # smallest difference of interest, a fraction
    n_images: int
    n_units: int  # images, or groups of them, that were resampled
    images_fixed: bool


class _Scores:
    """Counts of all finished runs on the test images, resampled once, the same way for all arms."""

    def __init__(self, study: Study, groups: Mapping[str, Sequence[int]], n_boot: int, seed: int):
        self.arms = [cell.arm for cell in study.cells if study.finished(cell.arm)]
        self.networks = [cell.network for cell in study.cells if cell.arm in set(self.arms)]
        runs = {arm: study.finished(arm) for arm in self.arms}
        self.seeds = [tuple(run.seed for run in runs[arm]) for arm in self.arms]
        names, counts = None, []
        for arm in self.arms:
            counts.append([])
            for run in runs[arm]:
                found, scored = run.counts["test"]
                if names not in (None, found):
                    first = runs[self.arms[0]][0].name
                    raise ValueError(
                        f"run {run.name} must be scored on the same test images in "
                        f"the same order as {first}"
                    )
                names = found
                counts[-1].append(_checked(study, run, scored))
                if abs(mean_iou(counts[-1][-1]) - run.result["test/miou"]) > 1e-6:
                    raise ValueError(
                        f"run {run.name} must have confusions that give its test mIoU "
                        f"{run.result['test/miou']:.6f}, got {mean_iou(counts[-1][-1]):.6f}; move "
                        "the run's folder away and run it again"
                    )
        video = study.data.get("test_groups")
        self.sample = stats.resample(
            [np.stack(part) for part in counts],
            n_boot=n_boot,
            rng=np.random.default_rng(seed),
            groups=[video.get(name, "") for name in names] if video else None,
        )
        lists = [groups[name] for name in TERCILES]
        self.by_tercile = add_group_means(self.sample, lists) if all(lists) else None

    def weights(self, shares: Mapping[str, float]) -> list[float]:
        return [shares.get(arm, 0.0) for arm in self.arms]

    def pooled(self, sample: Resampled, weights: Sequence[float]) -> SeedVariance:
        """Seed variance for a contrast, from its own arms and those of their networks that have two
        seeds and, where the contrast's arms share their seeds, the same ones.

        An arm of the contrast with one seed: unknown, whatever others could lend.
        """
        used = [i for i, weight in enumerate(weights) if weight]
        if min(len(self.seeds[i]) for i in used) < 2:
            nothing = np.zeros(len(sample.n_units))
            return SeedVariance(nothing, nothing, nothing + 1)
        shared = {self.seeds[i] for i in used}
        kept = [
            i
            for i, seeds in enumerate(self.seeds)
            if i in used or (len(seeds) > 1 and (len(shared) > 1 or seeds in shared))
        ]
        return seed_variance(
            [sample.observed[i] for i in kept],
            [weights[i] for i in kept],
            networks=[self.networks[i] for i in kept],
            seeds=[self.seeds[i] for i in kept],
        )

    def contrast(self, shares: Mapping[str, float], sample: Resampled | None = None) -> Difference:
        sample, weights = sample or self.sample, self.weights(shares)
        return stats.contrast(sample, weights, pooled=self.pooled(sample, weights))

    def terciles(self, shares: Mapping[str, float]) -> Interval | None:
        """Intervals of the three frequency groups, adjusted over them; None with an empty group."""
        if self.by_tercile is None:
            return None
        columns = self.contrast(shares, self.by_tercile).per_class
        last = [part[-len(TERCILES) :] for part in vars(columns).values()]
        return stats.adjust(Interval(*last))


def _checked(study: Study, run: Record, counts: np.ndarray) -> np.ndarray:
    wanted = study.data["n_images"]["test"], len(study.classes)
    if counts.shape[:2] != wanted:
        raise ValueError(
            f"run {run.name} must have test confusions of {wanted[0]} images and {wanted[1]} "
            f"classes, got {counts.shape[0]} and {counts.shape[1]}; move the run's folder away and "
            "run it again"
        )
    return counts


def answer(study: Study, *, n_boot: int = N_BOOT, seed: int = 0) -> Answer:
    """Compare the declared arms of a study; `seed` drives the resampling of images.

    Raises: ValueError when runs were scored on different images or classes.
    """
    groups = frequency_groups(study)
    smallest = float(study.declaration.get("smallest_difference", 0.005))
    scores = _Scores(study, groups, n_boot, seed) if study.finished() else None
    contrasts = [_compare(study, scores, pair) for pair in study.declaration.get("contrasts", ())]
    families: dict[str, list[int]] = {}
    for index, compared in enumerate(contrasts):
        if compared.difference is not None:
            families.setdefault(compared.family, []).append(index)
    for indices in families.values():
        adjusted = stats.adjust([contrasts[i].difference.miou for i in indices])
        verdicts = stats.verdict(adjusted, smallest)
        for position, index in enumerate(indices):
            classes = contrasts[index].classes
            contrasts[index] = replace(
                contrasts[index],
                miou=_entry(adjusted, position),
                verdict=str(verdicts[position]),
                class_verdicts=tuple(map(str, stats.verdict(classes, smallest))),
            )
    dev = {
        cell.arm: np.mean([run.result["dev/miou"] for run in done])
        for cell in study.cells
        if (done := study.finished(cell.arm))
    }
    fixed = [c.difference.images_fixed for c in contrasts if c.difference is not None]
    return Answer(
        tuple(contrasts),
        _effects(study, scores, smallest),
        _noise(scores, study, smallest),
        max(dev, key=dev.get) if dev else None,
        {name: tuple(study.classes[i] for i in labels) for name, labels in groups.items()},
        smallest,
        study.data["n_images"]["test"],
        int(scores.sample.n_units[0]) if scores else 0,
        any(fixed),
    )


def _compare(study: Study, scores: _Scores | None, pair: Mapping[str, str]) -> Compared:
    seeds = [tuple(run.seed for run in study.finished(pair[side])) for side in "ab"]
    compared = Compared(pair["family"], pair["a"], pair["b"], *seeds)
    if not all(seeds) or scores is None:
        return compared
    shares = {pair["a"]: 1.0, pair["b"]: -1.0}
    difference = scores.contrast(shares)
    return replace(
        compared,
        difference=difference,
        miou=difference.miou,
        classes=stats.adjust(difference.per_class),
        terciles=scores.terciles(shares),
    )


def _entry(interval: Interval, index: int) -> Interval:
    return Interval(*(float(part[index]) for part in vars(interval).values()))


def _effects(study: Study, scores: _Scores | None, smallest: float) -> pd.DataFrame:
    """Main effects of network and loss and their interactions.

    Only where every network met every loss, once, with a finished run. Exploratory: one family a
    kind. Returns: kind, effect, estimate, low, high, p, verdict.
    """
    columns = ["kind", "effect", "estimate", "low", "high", "p", "verdict"]
    cells = [c for c in study.cells if c.values.get("tuning", "default") == "default"]
    if scores is None or {cell.arm for cell in cells} - set(scores.arms):
        return pd.DataFrame(columns=columns)
    try:
        effects = factorial_weights([c.network for c in cells], [c.loss for c in cells])
    except ValueError:  # no full grid
        return pd.DataFrame(columns=columns)
    if len({c.network for c in cells}) < 2 or len({c.loss for c in cells}) < 2:
        return pd.DataFrame(columns=columns)  # the planned contrasts say it all
    rows = []
    for kind in ("network", "loss", "interaction"):
        named = {
            name: dict(zip((c.arm for c in cells), weights.tolist(), strict=True))
            for name, weights in effects.items()
            if name[0] == kind
        }
        if not named:
            continue
        family = stats.adjust([scores.contrast(shares).miou for shares in named.values()])
        verdicts = stats.verdict(family, smallest)
        for index, (_, a, b) in enumerate(named):
            one = _entry(family, index)
            text = (
                f"{a} minus {b}"
                if kind != "interaction"
                else f"{a[0]} minus {a[1]}: under {b[0]} minus under {b[1]}"
            )
            word = str(verdicts[index]) if math.isfinite(one.low) else UNKNOWN
            rows.append((kind, text, one.estimate, one.low, one.high, one.p, word))
    return pd.DataFrame(rows, columns=columns)


def _noise(scores: _Scores | None, study: Study, smallest: float) -> pd.DataFrame:
    """What each network's seeds can tell, for one contrast of two of its arms, not adjusted.

    By the planned contrast within the network (else any pair of its arms) whose standard error is
    the median. Returns: network, a, b, n (seeds per arm, the fewer), "seed sd" (of one arm, what
    does not cancel), "image sd" (of the difference), "detectable" (told with 80 % power), "seeds
    needed" for the smallest difference of interest; mIoU fractions. NaN where no pair has two
    seeds.
    """
    columns = ["network", "a", "b", "n", "seed sd", "image sd", "detectable", "seeds needed"]
    rows = []
    for network in dict.fromkeys(scores.networks if scores else ()):
        arms = {
            a: len(seeds)
            for a, name, seeds in zip(scores.arms, scores.networks, scores.seeds, strict=True)
            if name == network
        }
        planned = [(c["a"], c["b"]) for c in study.declaration.get("contrasts", ())]
        pairs = [pair for pair in planned if set(pair) <= set(arms)] or list(combinations(arms, 2))
        if not pairs:
            continue
        known = []
        for a, b in pairs:
            one = scores.contrast({a: 1.0, b: -1.0}).miou
            if math.isfinite(float(one.low)):
                known.append((float(one.se), a, b, one))
        if not known:
            rows.append((network, *pairs[0], min(arms.values()), *[math.nan] * 4))
            continue
        _, a, b, one = sorted(known, key=lambda row: row[0])[len(known) // 2]
        n = min(arms[a], arms[b])
        variance = float(one.seed_variance) / (1 / arms[a] + 1 / arms[b])
        args = {
            "n_arms": max(2.0, 1 + float(one.seed_df) / (n - 1)),
            "image_variance": float(one.image_variance),
        }
        rows.append(
            (
                network,
                a,
                b,
                n,
                math.sqrt(variance),
                math.sqrt(args["image_variance"]),
                detectable_difference(variance, n, **args),
                seeds_needed(smallest, variance, **args) if smallest > 0 else math.nan,
            )
        )
    return pd.DataFrame(rows, columns=columns)
