"""Owns the planned contrasts: each with its interval, adjusted within its family, and a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.answer.scores import Scores
from analysis.records import Study
from analysis.statistics.contrasts import Difference
from analysis.statistics.intervals import Interval, Intervals, adjust, verdict

UNKNOWN = "seed noise unknown"  # in place of a verdict


@dataclass(frozen=True, eq=False)
class Planned:
    """A planned contrast, a minus b; of this class itself: a side has no finished run."""

    family: str
    a: str
    b: str
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Compared(Planned):
    """A planned contrast whose arms both have finished runs."""

    difference: Difference
    miou: Interval  # adjusted within the family
    classes: Intervals  # (C,) adjusted over the classes: a family of its own
    terciles: Intervals | None  # (3,) rare, medium, frequent; adjusted over the three
    verdict: str
    class_verdicts: tuple[str, ...]

    @property
    def estimate(self) -> float:
        return self.difference.miou.estimate

    @property
    def seeds_known(self) -> bool:
        """Whether the noise between seeds is known, so that there is an interval."""
        return math.isfinite(self.miou.low)


def contrasts(study: Study, scores: Scores | None, smallest: float) -> tuple[Planned, ...]:
    """The planned contrasts of a study, as far as its runs allow."""
    found, families = [], dict[str, list[tuple[int, Difference]]]()
    for index, pair in enumerate(study.declaration.contrasts):
        seeds = [tuple(run.seed for run in study.finished(arm)) for arm in (pair.a, pair.b)]
        found.append(Planned(pair.family, pair.a, pair.b, seeds[0], seeds[1]))
        if scores is not None and all(seeds):
            difference = scores.contrast({pair.a: 1.0, pair.b: -1.0})
            families.setdefault(pair.family, []).append((index, difference))
    for members in families.values():
        adjusted = adjust([difference.miou for _, difference in members])
        verdicts = verdict(adjusted, smallest)
        for position, (index, difference) in enumerate(members):
            assert scores is not None
            one, classes = found[index], adjust(difference.per_class)
            found[index] = Compared(
                **vars(one),
                difference=difference,
                miou=adjusted.at(position),
                classes=classes,
                terciles=scores.terciles({one.a: 1.0, one.b: -1.0}),
                verdict=str(verdicts[position]),
                class_verdicts=tuple(map(str, verdict(classes, smallest))),
            )
    return tuple(found)
