"""Owns the sections that compare arms: contrasts, classes, frequency, confusions.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

import numpy as np

from analysis.answer import TERCILES, Answer
from analysis.figures import classes as class_figures
from analysis.figures import contrasts as figures
from analysis.figures.fonts import called, key, renamed
from analysis.records import Study
from analysis.report.blocks import (
    Block,
    Columns,
    Text,
    as_is,
    cell,
    grid,
    grid_or,
    percent,
    picture,
)
from analysis.report.wording import between, points, smallest_points
from analysis.statistics.contrasts import MIN_GROUPS
from analysis.tables import contrasts as tables

MOST_CLASSES = 40  # a confusion matrix is drawn up to here
PAIR: Columns = {**as_is("a"), "b": ("minus b", str)}
INTERVAL: Columns = {
    "estimate": ("points", points),
    "low": ("from", points),
    "high": ("to", points),
    "p": ("p, Holm", lambda p: "<0.001" if p < 0.001 else f"{p:.3f}"),
}
NONE = "No contrast has runs on both sides."


def planned(answer: Answer, n_declared: int) -> list[Block]:
    """The planned contrasts of arms that have a run, with their intervals and verdicts."""
    table = tables.contrasts(answer)
    if not len(table):
        if n_declared:
            return [Text(f"No planned contrast (of {n_declared}) is of two arms that have a run.")]
        return [Text("This study declared no contrasts.")]
    n_seeds = {"n_a": ("n a", str), "n_b": ("n b", str)}
    columns: Columns = {**as_is("family"), **PAIR, **n_seeds, **INTERVAL, **as_is("verdict")}
    caption = (
        "Differences in test mIoU, points (a minus b), declared before the runs. 95 % intervals: "
        "variance between seeds, pooled over the arms of a network unless a test tells their "
        "variances apart (with few seeds it seldom can: where one arm's s.d. is far larger than "
        f"the others', read its intervals as too narrow), {_images(answer)}; adjusted within each "
        "family (Bonferroni's bounds, Holm's p). Verdicts "
        "are read against the smallest difference of interest, "
        f"{smallest_points(answer.smallest)} points: equivalent means wholly within it. No "
        "adjustment covers several families."
    )
    if "tuning" in set(table["family"]):
        caption += (
            " Contrasts with tuned arms were declared when the tuning was done, before "
            "the tuned arms saw the test."
        )
    drawn = picture(
        "contrasts",
        figures.intervals(table, answer.smallest),
        "Intervals of the planned contrasts",
        "The same numbers; the band is the smallest "
        "difference of interest; hollow: no interval, the noise between seeds being unknown.",
    )
    return [grid(table, columns, caption), drawn]


def _images(answer: Answer) -> str:
    """What the intervals say of the variance between images."""
    if answer.images_fixed:
        return (
            f"not between images: the {answer.n_images} test images form fewer than "
            f"{MIN_GROUPS} groups, so the intervals speak of these images only"
        )
    grouped = answer.n_units < answer.n_images
    units = f"{answer.n_units} groups of the " if grouped else ""
    return f"and between images, from resampling the {units}{answer.n_images} test images"


def per_class(study: Study, answer: Answer) -> list[Block]:
    """Differences of each class."""
    table = tables.classes(study, answer)
    if not len(table):
        return [Text(NONE)]
    drawn = picture(
        "class_differences",
        figures.class_differences(renamed(table, study.classes)),
        "Heat map of per-class differences",
        "Points of test IoU, a minus b; classes from frequent to rare. Bold with *: its verdict, "
        "adjusted over the classes of that contrast, is better or worse. The numbers with "
        f"intervals are in tables/class_differences.csv.{key(study.classes)}",
    )
    told = table[table["verdict"].isin(["better", "worse"])]
    share: Columns = {"fit_pixel_share": ("fit pixels", percent)}
    columns: Columns = {**PAIR, **as_is("class"), **share, **INTERVAL}
    caption = (
        "The differences per class that can be told: 95 %, adjusted over the classes but "
        "not over the contrasts, so that of 20 contrasts without any difference one may "
        "still show a class here."
    )
    none = "No difference per class can be told (95 %, adjusted over the classes of a contrast)."
    return [drawn, grid_or(none, told, columns, caption)]


def by_frequency(study: Study, answer: Answer) -> list[Block]:
    """Rare against frequent classes."""
    groups, slopes = tables.terciles(answer), tables.slopes(study, answer)
    if not len(slopes):
        return [Text(NONE)]
    drawn = picture(
        "against_frequency",
        figures.against_frequency(renamed(tables.classes(study, answer), study.classes), slopes),
        "Per-class differences against class frequency",
        "Each dot is a class: its difference over its share of the fit pixels. A "
        f"background is not in the slope.{key(study.classes)}",
    )
    if not len(groups):
        few = "Groups need at least 3 classes that are in fit and in test, background apart."
        return [Text(few), drawn]
    named = "; ".join(f"{name}: {', '.join(answer.terciles[name]) or 'none'}" for name in TERCILES)
    text = [
        cell(e, points) + (f" ({_unbroken(between(x, y))})" if x == x else "")
        for e, x, y in groups[["estimate", "low", "high"]].itertuples(index=False)
    ]
    wide = groups.assign(text=text).pivot(index=["a", "b"], columns="group", values="text")
    wide = slopes.merge(wide.reset_index(), on=["a", "b"])  # in the order of the contrasts
    wide["range"] = [
        _unbroken(f"{points(x)} to {points(y)}") if x == x else "–"
        for x, y in zip(wide["lowest"], wide["highest"], strict=True)
    ]
    columns: Columns = {
        **PAIR,
        **{name: (f"{name} classes", str) for name in TERCILES},
        "slope": ("slope", points),
        "range": ("slope, leaving one class out", str),
    }
    caption = (
        "Points of test IoU, a minus b, 95 % intervals adjusted over the three groups "
        f"({named}; by their share of fit pixels, background apart). Slope: points per tenfold "
        "more fit pixels, for these classes: below 0, the rarer a class the more a gains over b."
    )
    return [grid(wide, columns, caption), drawn]


def _unbroken(text: str) -> str:
    """An interval that stays on one line."""
    return text.replace(" to ", "\u00a0to\u00a0")


def confusions(study: Study, answer: Answer) -> list[Block]:
    """Where the pixels of each class went, for the arm chosen and the baseline."""
    if answer.chosen is None:
        return [Text("No finished run.")]
    if len(study.classes) > MOST_CLASSES:
        return [Text(f"Not drawn for more than {MOST_CLASSES} classes.")]
    parts = {
        f"{arm} (sum of {len(done)} seeds)": np.sum([run.test_total for run in done], axis=0)
        for arm in dict.fromkeys([answer.chosen, study.declaration.baseline])
        if arm and (done := study.finished(arm))
    }
    drawn = picture(
        "confusions",
        class_figures.confusions(parts, called(study.classes)),
        "Confusion matrices on test",
        "The arm chosen on dev (and the baseline, where it is "
        "another and has a finished run): where the pixels of each class of the truth went, "
        f"percent of that class.{key(study.classes)}",
    )
    return [drawn]
