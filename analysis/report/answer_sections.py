"""Owns the sections of a report that compare: the answer, contrasts, classes, noise, confusions.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.answer import TERCILES, Answer
from analysis.figures import effect_figures
from analysis.records import Study
from analysis.report import render
from analysis.report.render import Block, Bullets, Section, Text, grid, grid_or
from analysis.report.sentences import between, points, sentences
from analysis.statistics.intervals import MIN_GROUPS
from analysis.tables import comparisons, tables

MOST_CLASSES = 40  # a figure per contrast and class is drawn up to here


def _points(value: float) -> str:
    return points(value) if value == value else "–"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def csv(study: Study, answer: Answer) -> Iterable[tuple[str, pd.DataFrame]]:
    """The tables of comparisons with raw values, under their file names."""
    yield "contrasts", comparisons.contrasts(answer)
    yield "class_differences", comparisons.classes(study, answer)
    yield "frequency_groups", comparisons.terciles(answer)
    yield "frequency_slopes", comparisons.slopes(study, answer)
    yield "effects", answer.effects
    yield "noise", answer.noise
    yield "convergence", comparisons.convergence(study)
    yield "score_at_cost", comparisons.at_cost(study)


def lead(study: Study, answer: Answer, notes: Sequence[str] = ()) -> list[Block]:
    """The answer in a few sentences, first thing on the page."""
    noted = [f"Note: {note}" for note in (*study.data.get("notes", ()), *notes)]
    return [Bullets([*sentences(study, answer), *noted])]


def sections(study: Study, answer: Answer) -> list[Section]:
    """Everything that compares, in the report's order."""
    return [
        Section("Planned contrasts", _contrasts(answer)),
        Section("Differences per class", _classes(study, answer)),
        Section("Rare and frequent classes", _frequency(study, answer)),
        Section("Effects of network and loss", _effects(answer)),
        Section("What these seeds can tell", _noise(answer)),
        *([Section("Tuning", _tuning(study))] if study.declaration.get("tunings") else []),
        Section("Confusions", _confusions(study, answer)),
        Section("Convergence", [_convergence(study), _at_cost(study)]),
    ]


def _contrasts(answer: Answer) -> list[Block]:
    table = comparisons.contrasts(answer)
    if not len(table):
        return [Text("This study declared no contrasts.")]
    columns = {
        "family": ("family", str),
        "a": ("a", str),
        "b": ("minus b", str),
        "n_a": ("n a", str),
        "n_b": ("n b", str),
        "estimate": ("points", _points),
        "low": ("from", _points),
        "high": ("to", _points),
        "p": ("p, Holm", _p),
        "verdict": ("verdict", str),
    }
    caption = (
        "Differences in test mIoU, points (a minus b), declared before the runs. 95 % intervals: "
        "variance between seeds, pooled over the arms of a network unless a test tells their "
        "variances apart (with few seeds it seldom can: where one arm's s.d. is far larger than "
        f"the others', read its intervals as too narrow), {_images(answer)}; adjusted within each "
        "family (Bonferroni's bounds, Holm's p). Verdicts "
        "are read against the smallest difference of interest, "
        f"{100 * answer.smallest:.3g} points: equivalent means wholly within it. No adjustment "
        "covers several families."
    )
    if "tuning" in set(table["family"]):
        caption += (
            " Contrasts with tuned arms were declared when the tuning was done, before "
            "the tuned arms saw the test."
        )
    drawn = render.picture(
        "contrasts",
        effect_figures.intervals(table, answer.smallest),
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


def _classes(study: Study, answer: Answer) -> list[Block]:
    table = comparisons.classes(study, answer)
    if not len(table):
        return [Text("No contrast has runs on both sides.")]
    drawn = render.picture(
        "class_differences",
        effect_figures.class_differences(table),
        "Heat map of per-class differences",
        "Points of test IoU, a minus b; classes from frequent to rare. Bold with *: its verdict, "
        "adjusted over the classes of that contrast, is better or worse. The numbers with "
        "intervals are in tables/class_differences.csv.",
    )
    told = table[table["verdict"].isin(["better", "worse"])]
    columns = {
        "a": ("a", str),
        "b": ("minus b", str),
        "class": ("class", str),
        "fit_pixel_share": ("fit pixels", render.percent),
        "estimate": ("points", _points),
        "low": ("from", _points),
        "high": ("to", _points),
        "p": ("p, Holm", _p),
    }
    caption = (
        "The differences per class that can be told: 95 %, adjusted over the classes but "
        "not over the contrasts, so that of 20 contrasts without any difference one may "
        "still show a class here."
    )
    none = "No difference per class can be told (95 %, adjusted over the classes of a contrast)."
    return [drawn, grid_or(none, told, columns, caption)]


def _frequency(study: Study, answer: Answer) -> list[Block]:
    groups, slopes = comparisons.terciles(answer), comparisons.slopes(study, answer)
    if not len(slopes):
        return [Text("No contrast has runs on both sides.")]
    drawn = render.picture(
        "against_frequency",
        effect_figures.against_frequency(comparisons.classes(study, answer), slopes),
        "Per-class differences against class frequency",
        "Each dot is a class: its difference over its share of the fit pixels. A "
        "background is not in the slope.",
    )
    if not len(groups):
        return [
            Text("Groups need at least 3 classes that are in fit and in test, background apart."),
            drawn,
        ]
    named = "; ".join(f"{name}: {', '.join(answer.terciles[name]) or 'none'}" for name in TERCILES)
    text = [
        _points(e) + (f" ({between(x, y)})".replace(" to ", "\u00a0to\u00a0") if x == x else "")
        for e, x, y in groups[["estimate", "low", "high"]].itertuples(index=False)
    ]
    wide = groups.assign(text=text).pivot(index=["a", "b"], columns="group", values="text")
    wide = slopes.merge(wide.reset_index(), on=["a", "b"])  # in the order of the contrasts
    wide["range"] = [
        f"{_points(x)}\u00a0to\u00a0{_points(y)}" if x == x else "–"
        for x, y in zip(wide["lowest"], wide["highest"], strict=True)
    ]
    columns = {
        "a": ("a", str),
        "b": ("minus b", str),
        **{name: (f"{name} classes", str) for name in TERCILES},
        "slope": ("slope", _points),
        "range": ("slope, leaving one class out", str),
    }
    caption = (
        "Points of test IoU, a minus b, 95 % intervals adjusted over the three groups "
        f"({named}; by their share of fit pixels, background apart). Slope: points per tenfold "
        "more fit pixels, for these classes: below 0, the rarer a class the more a gains over b."
    )
    return [grid(wide, columns, caption), drawn]


def _effects(answer: Answer) -> list[Block]:
    columns = {
        "kind": ("kind", str),
        "effect": ("effect", str),
        "estimate": ("points", _points),
        "low": ("from", _points),
        "high": ("to", _points),
        "p": ("p, Holm", _p),
        "verdict": ("verdict", str),
    }
    if not len(answer.effects):
        return [
            Text(
                "Main effects need two networks and two losses, every network with every "
                "loss, each with a finished run."
            )
        ]
    caption = (
        "Exploratory, not declared before the runs: means over the other factor, and how much the "
        "effect of a loss differs between networks (interaction). Intervals adjusted within a "
        "kind. "
        "Where an interaction is told, the main effects are averages over unlike things."
    )
    return [grid(answer.effects, columns, caption)]


def _noise(answer: Answer) -> list[Block]:
    columns = {
        "network": ("network", str),
        "a": ("between a", str),
        "b": ("and b", str),
        "n": ("seeds", str),
        "seed sd": ("s.d. between seeds, points", lambda v: f"{100 * v:.1f}"),
        "image sd": ("s.d. over images, points", lambda v: f"{100 * v:.1f}"),
        "detectable": ("told 4 times in 5, points", lambda v: f"{100 * v:.1f}"),
        "seeds needed": (f"seeds for {100 * answer.smallest:.3g} points", lambda v: f"{v:.0f}"),
    }
    caption = (
        "One contrast within each network (the one of median precision), without adjustment: the "
        "true difference that would be told 4 times in 5 at two-sided 5 %, and the seeds per arm "
        "for the smallest difference of interest. The s.d. between seeds is of one arm, as far as "
        "it does not cancel in the contrast; over images, of the difference. inf: the images alone "
        "spread too much, or over 1000 seeds."
    )
    none = "No network has two arms with finished runs."
    return [grid_or(none, answer.noise, columns, caption)]


def _tuning(study: Study) -> list[Block]:
    table = tables.tunings(study)
    columns = {
        "arm": ("arm", str),
        "trials": ("trials", str),
        "epochs": ("epochs of trials", str),
        "default dev": ("default's trial, dev", render.fraction),
        "dev at selection": ("chosen, dev at selection", render.fraction),
        "dev again": ("dev, run again", render.fraction),
        "random again": ("random search, run again", render.fraction),
        "default n": ("n default", str),
        "default test": ("default arm, test", render.fraction),
        "n": ("n tuned", str),
        "test": ("tuned arm, test", render.fraction),
        "importances": ("importances", str),
    }
    control = (
        "Random search had the same budget and the same way of choosing: it is what the "
        "sampler has to beat. "
    )
    if table["random again"].isna().all():
        control = (
            "No random search of the same budget was run as a control (--tune --set "
            "tune.sampler=random). "
        )
        del columns["random again"]
    tunings = list(study.declaration["tunings"].values())
    what = {"miou": "mIoU", "rare": "mean IoU of the rarest third of the classes"}[
        tunings[0].get("objective", "miou")
    ]
    how = ", ".join(
        dict.fromkeys(
            f"{one['sampler']} with {one['pruner']} pruning" for one in tunings if "sampler" in one
        )
    )
    caption = (
        f"On dev: {what} (mean of the last two evaluations) of one trial; of the same settings run "
        "again with fresh seeds, by which they were chosen among the five best; then test mIoU of "
        "both arms, means of their seeds. The value at selection is among the best of many and too "
        "high, that of the re-runs the best of up to five and slightly so. Test was not used for "
        f"any choice. A failed trial counts as a whole one. {control}"
        + (f"Searched by {how}; trials as begun, the defaults first. " if how else "")
        + "Importances: share of what the trials' scores vary with (PED-ANOVA), rough for few "
        "trials."
    )
    return [grid(table, columns, caption)]


def _convergence(study: Study) -> Block:
    table = comparisons.convergence(study)
    percents = [name.removeprefix("reach ") for name in table if name.startswith("reach ")]
    for p in percents:
        table[p] = [
            f"{render.cell(e, render.one_decimal)} ({n})"
            for e, n in zip(table[f"epochs to {p}"], table[f"reach {p}"], strict=True)
        ]
    columns = {
        "arm": ("arm", str),
        "n": ("n", str),
        **{p: (f"epochs to {p} (seeds)", str) for p in percents},
        "area": ("mean height of the dev curve", render.fraction),
    }
    caption = (
        "First evaluated epoch at or above that share of the best final dev mIoU of any run: mean "
        "of the seeds that reach it, in brackets how many do; the others are in no mean, so "
        "compare arms only where all their seeds reach it. Last column: dev mIoU averaged over the "
        "epochs between the first and the last evaluation."
    )
    return grid_or("No finished run has a dev curve.", table, columns, caption)


def _at_cost(study: Study) -> Block:
    table = comparisons.at_cost(study)
    if not len(table):
        return Text("Score at equal time needs two arms with runs that went in one piece.")
    first, second = (render.two_decimals(table[f"{at}_min"].iloc[0]) for at in ("first", "second"))
    columns = {
        "arm": ("arm", str),
        "n": ("n", str),
        "first": (f"dev mIoU after {first} minutes", render.fraction),
        "second": (f"dev mIoU after {second} minutes", render.fraction),
        "end": ("dev mIoU at its end", render.fraction),
        "end_min": ("its end, minutes", render.two_decimals),
    }
    caption = (
        f"Score at equal time, on dev: the best dev mIoU so far after {first} minutes, when all "
        f"seeds of the fastest arm were done, after {second}, when more than half of the arms "
        "were, and at the arm's own end; between two evaluations on the line that joins them, and "
        "an arm done earlier keeps its best. Mean over n seeds: "
        "runs that were resumed are left out, as part of their time was spent twice, and those "
        "whose clock went back. –: a seed had not been evaluated by then. Time by the clock from "
        "the start of the run, dev evaluations included: it holds for the machine and the number "
        "of runs at once. A run read before its end may score below one planned for that time, "
        "whose learning rate would have come down by then. Differences between arms in this table "
        "are not tested."
    )
    return grid(table, columns, caption)


def _confusions(study: Study, answer: Answer) -> list[Block]:
    if answer.chosen is None:
        return [Text("No finished run.")]
    arms = dict.fromkeys([answer.chosen, study.declaration.get("baseline", answer.chosen)])
    parts = {
        f"{arm} (sum of {len(done)} seeds)": np.sum(
            [run.confusion("test")[1].sum(0) for run in done], axis=0
        )
        for arm in arms
        if (done := study.finished(arm))
    }
    if len(study.classes) > MOST_CLASSES:
        return [Text(f"Not drawn for more than {MOST_CLASSES} classes.")]
    drawn = render.picture(
        "confusions",
        effect_figures.confusions(parts, study.classes),
        "Confusion matrices on test",
        "The arm chosen on dev (and the baseline, where it is "
        "another and has a finished run): where the pixels of each class of the truth went, "
        "percent of that class.",
    )
    return [drawn]
