"""Owns the sections on single arms: scores, classes, other metrics, cost, learning curves.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

from analysis.figures import classes as class_figures
from analysis.figures import runs as run_figures
from analysis.figures.fonts import key, renamed
from analysis.records import Study
from analysis.report.blocks import (
    Block,
    Columns,
    Text,
    as_is,
    fraction,
    grid,
    grid_or,
    one_decimal,
    percent,
    picture,
    two_decimals,
)
from analysis.tables import arms, classes, metrics, runs
from analysis.tables.arms import n_finished
from analysis.tables.chosen import never_chosen
from study.record import SPLITS


def lead(study: Study) -> list[Block]:
    """What the numbers below are made from; `study` with the arms that are left out of them."""
    data, counts = study.data, study.data.n_images
    seeds = ", ".join(map(str, study.seeds)) or "none"
    with_runs = [arm for arm, n in n_finished(study).items() if n]
    images = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    return [
        Text(f"Data: {data.name}, {len(study.classes)} classes, images: {images}."),
        Text(
            f"{len(study.finished())} of {len(study.runs)} runs of declared arms finished "
            f"(seeds {seeds}); {len(with_runs)} of {len(study.cells)} declared arms have a "
            "finished run."
        ),
        *_budget(study),
        *_left_out(study),
    ]


def _budget(study: Study) -> list[Block]:
    """What a budget chose when the study was declared."""
    budget = study.declaration.budget
    return [Text(f"{budget.words[0].upper()}{budget.words[1:]}.")] if budget else []


def _left_out(study: Study) -> list[Block]:
    """How much of the declaration is not in this report."""
    if not (gone := never_chosen(study)):
        return []
    declared = study.declaration.contrasts
    lost = sum(not {one.a, one.b}.isdisjoint(gone) for one in declared)
    contrasts = f", and with them {lost} of {len(declared)} planned contrasts" if lost else ""
    are = "has no run and is" if len(gone) == 1 else "have no run and are"
    return [
        Text(
            f"{len(gone)} of {len(study.cells)} arms {are} left out of tables and figures"
            f"{contrasts} (named under Missing and failed runs)."
        )
    ]


def per_arm(study: Study) -> list[Block]:
    """Scores of each arm over its seeds."""
    summary, floor = arms.summary(study), study.data.constant_floor
    columns: Columns = {
        **as_is("network", "loss", *study.extra_axes, "n"),
        "n_failed": ("failed", str),
        "test/miou mean": ("test mIoU, mean", fraction),
        "test/miou sd": ("s.d.", fraction),
        "test/miou min": ("min", fraction),
        "test/miou max": ("max", fraction),
        "dev/miou mean": ("dev mIoU, mean", fraction),
        "test/pixel_accuracy mean": ("pixel accuracy, mean", fraction),
        "minutes per run mean": ("minutes per run, mean", one_decimal),
        "parameters, M": ("parameters, M", two_decimals),
        **as_is("status"),
    }
    caption = (
        "Means, s.d. (n - 1 in the denominator), min and max are over the n finished seeds of the "
        "arm; each run is taken at its epoch of best dev mIoU. Differences between arms are under "
        "Planned contrasts."
    )
    seeds = {tuple(run.seed for run in study.finished(cell.arm)) for cell in study.cells}
    if len(seeds - {()}) > 1:
        caption += " n or seeds differ between arms: their means are not over the same seeds."
    dots = picture(
        "summary",
        run_figures.summary_dots(summary, runs.runs(study), (floor.name, floor.test_miou)),
        "Dots of test mIoU per run, one row per arm",
        "One dot per finished seed; the bar marks the mean over the arm's n seeds. Dashed: always "
        f"predicting {floor.name} gives test mIoU {floor.test_miou:.3f}.",
    )
    return [grid(summary, columns, caption), dots, *_void_scored(study)]


def _void_scored(study: Study) -> list[Block]:
    table = arms.void_scored(study)
    scored = f"the same runs with void scored as class {len(study.classes) + 1}"
    columns: Columns = {
        **as_is("arm", "n"),
        "test/miou mean": ("test mIoU, mean", fraction),
        "test/miou_void_scored mean": (scored, fraction),
    }
    caption = (
        "These arms learnt void as one more class. Scored as if it were a class of the data, the "
        "same weights get another number; only the first column compares with other results."
    )
    return [grid(table, columns, caption)] if len(table) else []


def with_n(study: Study) -> dict[str, str]:
    """The arms' names with their n."""
    return {arm: f"{arm} (n={n})" for arm, n in n_finished(study).items()}


def per_class(study: Study) -> list[Block]:
    """Test IoU of each class by arm."""
    table = classes.per_class(study)
    heat = picture(
        "per_class",
        class_figures.per_class_map(renamed(table, study.classes), n_finished(study)),
        "Heat map of mean test IoU, arms by classes",
        "The same numbers; classes from frequent to rare. Hatched: no such pixel in the test "
        f"truth. Pale: no finished run.{key(study.classes)}",
    )
    named = [n if t else f"{n} (not in test)" for n, t in table[["class", "in_test"]].values]
    headers = {arm: header for arm, header in with_n(study).items() if study.finished(arm)}
    columns: Columns = {
        **as_is("class"),
        "fit_pixel_share": ("fit pixels", percent),
        "fit_image_share": ("fit images", percent),
        **{arm: (header, fraction) for arm, header in headers.items()},
    }
    caption = (
        "Mean test IoU over the n finished seeds of each arm that has any; classes sorted by their "
        "share of valid fit pixels. A class that is not in test has no IoU and is left out of the "
        "mIoU."
    )
    return [grid(table.assign(**{"class": named}), columns, caption), heat]


def other_metrics(study: Study) -> list[Block]:
    """Other readings of the same confusions."""
    table = metrics.more_metrics(study)
    columns: Columns = {n: (n, str if n in ("arm", "n") else fraction) for n in table}
    caption = (
        "Other readings of the same test confusions, means over the finished seeds. Over images, "
        "over pairs: Wang et al. 2023. Worst classes: the 3 (5 from 15 classes on) with the lowest "
        "IoU of the arm on dev. Lowest 10 % images: mean over the tenth of the images with the "
        "lowest mIoU of their own. Rare, medium, frequent: thirds of the classes by fit pixels, "
        "background apart. Differences between arms in this table are not tested."
    )
    return [grid_or("No finished run.", table, columns, caption)]


def frequencies(study: Study) -> list[Block]:
    """How rare the classes are in fit."""
    table = classes.class_frequencies(study.data)
    return [
        picture(
            "class_frequencies",
            class_figures.class_frequencies(renamed(table, study.classes)),
            "Bars of each class's share of pixels and of images in fit",
            "Share of valid pixels, and share of images that contain the class, in fit."
            + key(study.classes),
        )
    ]
