"""Owns the sections on how runs went: curves, convergence, cost, tuning.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

from analysis.figures import runs as run_figures
from analysis.figures.pareto import score_against_cost
from analysis.records import Study
from analysis.report.blocks import (
    Block,
    Columns,
    Text,
    as_is,
    cell,
    fraction,
    grid,
    grid_or,
    one_decimal,
    picture,
    two_decimals,
)
from analysis.tables import arms, curves, runs
from analysis.tables.pareto import COSTS, pareto
from analysis.tables.tunings import tunings


def learning_curves(study: Study) -> list[Block]:
    """Dev mIoU against epochs."""
    losses = [cell.loss for cell in study.cells]
    return [
        picture(
            "learning_curves",
            run_figures.learning_curves(runs.history(study, "dev/miou"), losses),
            "Dev mIoU against epoch, one panel per network",
            "Dev mIoU at the evaluated epochs, one line per finished seed; the dot is the epoch "
            "whose weights were tested.",
        )
    ]


def convergence(study: Study) -> list[Block]:
    """How soon curves get high, and how high at equal time."""
    return [_epochs(study), _at_cost(study)]


def _epochs(study: Study) -> Block:
    table = curves.convergence(study)
    percents = [name.removeprefix("reach ") for name in table if name.startswith("reach ")]
    for p in percents:
        table[p] = [
            f"{cell(e, one_decimal)} ({n})"
            for e, n in zip(table[f"epochs to {p}"], table[f"reach {p}"], strict=True)
        ]
    columns: Columns = {
        **as_is("arm", "n"),
        **{p: (f"epochs to {p} (seeds)", str) for p in percents},
        "area": ("mean height of the dev curve", fraction),
    }
    caption = (
        "First evaluated epoch at or above that share of the best final dev mIoU of any run: mean "
        "of the seeds that reach it, in brackets how many do; the others are in no mean, so "
        "compare arms only where all their seeds reach it. Last column: dev mIoU averaged over the "
        "epochs between the first and the last evaluation."
    )
    return grid_or("No finished run has a dev curve.", table, columns, caption)


def _at_cost(study: Study) -> Block:
    table = curves.at_cost(study)
    if not len(table):
        return Text("Score at equal time needs two arms with runs that went in one piece.")
    first, second = (two_decimals(table[f"{at}_min"].iloc[0]) for at in ("first", "second"))
    columns: Columns = {
        **as_is("arm", "n"),
        "first": (f"dev mIoU after {first} minutes", fraction),
        "second": (f"dev mIoU after {second} minutes", fraction),
        "end": ("dev mIoU at its end", fraction),
        "end_min": ("its end, minutes", two_decimals),
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


def cost(study: Study) -> list[Block]:
    """Minutes, memory and parameters of each arm."""
    columns: Columns = {
        **as_is("arm", "n"),
        "minutes": ("minutes a run", one_decimal),
        "peak memory, MB": ("peak memory, MB", lambda v: f"{v:.0f}"),
        "parameters, M": ("parameters, M", two_decimals),
        "images/s": ("training images/s", one_decimal),
    }
    caption = (
        "Means over the finished seeds. Minutes and images/s hold for the machine and the number "
        "of runs at once they were measured with."
    )
    return [grid(arms.cost(study), columns, caption)]


def networks(study: Study) -> list[Block]:
    """Score against each cost, where at least two networks have a finished run."""
    table = pareto(study)
    if table["network"].nunique() < 2:
        return []
    fronts = [[c for c in COSTS if row[f"front: {c}"]] for row in table.to_dict("records")]
    table["fronts"] = ["; ".join(names) for names in fronts]
    columns: Columns = {
        **as_is("arm", "n"),
        "test/miou mean": ("test mIoU, mean", fraction),
        "parameters, M": ("parameters, M", two_decimals),
        "images/s": ("training images/s", one_decimal),
        "minutes": ("minutes a run", two_decimals),
        "fronts": ("on the front of", str),
    }
    caption = (
        "Means over the n finished seeds. An arm is on the front of a cost where no other is at "
        "least as good in mean test mIoU at no more of that cost (at no lower speed) and better in "
        "one of the two. The front goes by means alone, so another seed may change it; differences "
        "in this section are not tested. Minutes (training and evaluation) and images/s hold for "
        "the machine and the number of runs at once they were measured with."
    )
    shown = picture(
        "score_against_cost",
        score_against_cost(table, {cost: columns[cost][0] for cost in COSTS}),
        "Mean test mIoU against parameters, training speed and minutes, one point per arm",
        "One point per arm, the mean of its n seeds; black edges and the line: the Pareto front of "
        "that cost. Not tested.",
    )
    return [grid(table, columns, caption), shown]


def tuning(study: Study) -> list[Block]:
    """How the tuned arms were found."""
    table, found = tunings(study), list(study.declaration.tunings.values())
    columns: Columns = {
        **as_is("arm", "trials"),
        "epochs": ("epochs of trials", str),
        "default dev": ("default's trial, dev", fraction),
        "dev at selection": ("chosen, dev at selection", fraction),
        "dev again": ("dev, run again", fraction),
        "random again": ("random search, run again", fraction),
        "default n": ("n default", str),
        "default test": ("default arm, test", fraction),
        "n": ("n tuned", str),
        "test": ("tuned arm, test", fraction),
        **as_is("importances"),
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
    what = {"miou": "mIoU", "rare": "mean IoU of the rarest third of the classes"}
    how = dict.fromkeys(f"{one.sampler} with {one.pruner} pruning" for one in found)
    caption = (
        f"On dev: {what[found[0].objective]} (mean of the last two evaluations) of one trial; of "
        "the same settings run "
        "again with fresh seeds, by which they were chosen among the five best; then test mIoU of "
        "both arms, means of their seeds. The value at selection is among the best of many and too "
        "high, that of the re-runs the best of up to five and slightly so. Test was not used for "
        f"any choice. A failed trial counts as a whole one. {control}"
        f"Searched by {', '.join(how)}; trials as begun, the defaults first. "
        "Importances: share of what the trials' scores vary with (PED-ANOVA), rough for few "
        "trials."
    )
    return [grid(table, columns, caption)]
