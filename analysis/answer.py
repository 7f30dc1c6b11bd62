"""Owns what a study says: planned contrasts with intervals, the choice on dev, the noise floor.

Numbers only; `analysis.sentences` words them. Must not know: figures, pages, trackers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import stats
from analysis.effects import add_group_means, factorial_weights
from analysis.records import Record, Study
from analysis.seeds import detectable_difference, seed_variance, seeds_needed
from analysis.stats import Difference, Interval, Resampled
from seglib.metrics import class_counts, terciles

N_BOOT = 2000
TERCILES = ("rare", "medium", "frequent")


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

    @property
    def name(self) -> str:
        return f"{self.a} minus {self.b}"


@dataclass(frozen=True, eq=False)
class Answer:
    """Everything the sentences and tables of comparisons are made from."""

    contrasts: tuple[Compared, ...]
    effects: pd.DataFrame  # main effects and interactions of network and loss, exploratory
    noise: pd.DataFrame  # per network: seed s.d., smallest difference told, seeds needed
    chosen: str | None  # arm with the highest mean dev mIoU; None: no finished run
    terciles: Mapping[str, tuple[str, ...]]  # class names by train frequency
    smallest: float  # smallest difference of interest, a fraction
    n_images: int
    images_fixed: bool


class _Scores:
    """Counts of all finished runs on the test images, resampled once, the same way for all arms."""

    def __init__(self, study: Study, groups: Mapping[str, Sequence[int]], n_boot: int, seed: int):
        self.study = study
        self.arms = [cell.arm for cell in study.cells if study.finished(cell.arm)]
        self.networks = [cell.network for cell in study.cells if cell.arm in set(self.arms)]
        runs = {arm: study.finished(arm) for arm in self.arms}
        self.seeds = [tuple(run.seed for run in runs[arm]) for arm in self.arms]
        names, counts = None, []
        for arm in self.arms:
            counts.append([])
            for run in runs[arm]:
                found, confusions = run.confusion("test")
                if names not in (None, found):
                    first = runs[self.arms[0]][0].name
                    raise ValueError(f"run {run.name} must be scored on the same test images in "
                                     f"the same order as {first}")
                names = found
                counts[-1].append(class_counts(_checked(study, run, confusions)))
        video = study.data.get("test_groups")
        self.sample = stats.resample(
            [np.stack(part) for part in counts], n_boot=n_boot, rng=np.random.default_rng(seed),
            groups=[video[name] for name in names] if video else None)
        lists = [groups[name] for name in TERCILES]
        self.by_tercile = add_group_means(self.sample, lists) if all(lists) else None

    def weights(self, shares: Mapping[str, float]) -> list[float]:
        return [shares.get(arm, 0.0) for arm in self.arms]

    def pooled(self, sample: Resampled, weights: Sequence[float]):
        return seed_variance(sample.observed, weights, networks=self.networks, seeds=self.seeds)

    def contrast(self, shares: Mapping[str, float], sample: Resampled | None = None) -> Difference:
        sample, weights = sample or self.sample, self.weights(shares)
        return stats.contrast(sample, weights, pooled=self.pooled(sample, weights))

    def terciles(self, shares: Mapping[str, float]) -> Interval | None:
        """Intervals of the three frequency groups, adjusted over them; None with an empty group."""
        if self.by_tercile is None:
            return None
        columns = self.contrast(shares, self.by_tercile).per_class
        last = [part[-len(TERCILES):] for part in vars(columns).values()]
        return stats.adjust(Interval(*last))


def _checked(study: Study, run: Record, confusions: np.ndarray) -> np.ndarray:
    n_images, n_classes = study.data["n_images"]["test"], len(study.classes)
    if confusions.shape != (n_images, n_classes, n_classes):
        raise ValueError(
            f"run {run.name} must have test confusions ({n_images}, {n_classes}, {n_classes}), got "
            f"{confusions.shape}; move the run's folder away and run it again")
    return confusions


def tercile_classes(study: Study) -> dict[str, list[int]]:
    """Class indices by their share of the fit pixels, background apart: rare, medium, frequent."""
    return terciles(study.data["pixel_share"]["fit"],
                    exclude=(0,) if study.data.get("background") else ())


def answer(study: Study, *, n_boot: int = N_BOOT, seed: int = 0) -> Answer:
    """Compare the declared arms of a study; `seed` drives the resampling of images.

    Raises: ValueError when runs were scored on different images or classes.
    """
    groups = tercile_classes(study)
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
                contrasts[index], miou=_entry(adjusted, position),
                verdict=str(verdicts[position]),
                class_verdicts=tuple(map(str, stats.verdict(classes, smallest))))
    dev = {cell.arm: np.mean([run.result["dev/miou"] for run in done])
           for cell in study.cells if (done := study.finished(cell.arm))}
    fixed = [c.difference.images_fixed for c in contrasts if c.difference is not None]
    return Answer(
        tuple(contrasts), _effects(study, scores, smallest), _noise(scores, smallest),
        max(dev, key=dev.get) if dev else None,
        {name: tuple(study.classes[i] for i in labels) for name, labels in groups.items()},
        smallest, study.data["n_images"]["test"], any(fixed),
    )


def _compare(study: Study, scores: _Scores | None, pair: Mapping[str, str]) -> Compared:
    seeds = [tuple(run.seed for run in study.finished(pair[side])) for side in "ab"]
    compared = Compared(pair["family"], pair["a"], pair["b"], *seeds)
    if not all(seeds) or scores is None:
        return compared
    shares = {pair["a"]: 1.0, pair["b"]: -1.0}
    difference = scores.contrast(shares)
    return replace(
        compared, difference=difference, miou=difference.miou,
        classes=stats.adjust(difference.per_class),
        terciles=scores.terciles(shares))


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
    rows = []
    for kind in ("network", "loss", "interaction"):
        named = {name: dict(zip((c.arm for c in cells), weights.tolist(), strict=True))
                 for name, weights in effects.items() if name[0] == kind}
        if not named:
            continue
        family = stats.adjust([scores.contrast(shares).miou for shares in named.values()])
        verdicts = stats.verdict(family, smallest)
        for index, (_, a, b) in enumerate(named):
            one = _entry(family, index)
            text = (f"{a} minus {b}" if kind != "interaction"
                    else f"{a[0]} minus {a[1]}: under {b[0]} minus under {b[1]}")
            rows.append((kind, text, one.estimate, one.low, one.high, one.p, str(verdicts[index])))
    return pd.DataFrame(rows, columns=columns)


def _noise(scores: _Scores | None, smallest: float) -> pd.DataFrame:
    """What each network's seeds can tell: within a network, two arms, before any correction.

    The variance over images is the median over the pairs of its arms.
    Returns: network, arms, n (fewest seeds), seed sd, detectable, seeds needed; mIoU fractions.
    """
    columns = ["network", "arms", "n", "seed sd", "detectable", "seeds needed"]
    rows = []
    for network in dict.fromkeys(scores.networks if scores else ()):
        arms = [i for i, name in enumerate(scores.networks) if name == network]
        if len(arms) < 2:
            continue
        weights = np.zeros(len(scores.arms))
        weights[arms[0]], weights[arms[1]] = 1, -1
        pooled = scores.pooled(scores.sample, weights)
        n_seeds = min(len(scores.seeds[i]) for i in arms)
        means = [scores.sample.replicates[i].mean(1)[:, 0] for i in arms]
        spreads = [float(np.var(a - b, ddof=1)) for a, b in combinations(means, 2)]
        images = 0.0 if scores.sample.grouped else float(np.median(spreads))
        variance = float(pooled.variance[0])
        args = {"n_arms": len(arms), "image_variance": images}
        known = n_seeds > 1 and math.isfinite(variance)
        rows.append((
            network, len(arms), n_seeds, math.sqrt(variance) if known else math.nan,
            detectable_difference(variance, n_seeds, **args) if known else math.nan,
            seeds_needed(smallest, variance, **args) if known else math.nan))
    return pd.DataFrame(rows, columns=columns)
