"""Owns the sections on what was run and on what: missing, excluded and superseded runs, recipe.

Must not know: how numbers are computed, how pages are marked up.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.records import Study
from analysis.report.blocks import Block, Columns, Text, as_is, fraction, grid, grid_or, pairs
from analysis.tables import arms, runs


def missing(study: Study, gone: Sequence[str]) -> list[Block]:
    """Runs that a complete study would have; the names of the arms that were left out."""
    columns: Columns = {**as_is("run", "state", "reason"), "run_id": ("run id", str)}
    none = "Nothing: every declared arm has finished all the seeds that any arm has."
    if gone:
        none = "Of the other arms nothing: each has finished all the seeds that any arm has."
    left = [Text(f"Without a run of any seed, so left out: {', '.join(gone)}.")] if gone else []
    return [*left, grid_or(none, runs.missing(study), columns)]


def excluded(study: Study) -> list[Block]:
    """Cells that do not exist, and why."""
    rows = [
        (", ".join(f"{k} = {v}" for k, v in one.where.items()), one.reason)
        for one in study.declaration.excluded
    ]
    table = pd.DataFrame(rows, columns=["cells", "reason"])
    return [grid_or("The matrix excludes nothing.", table, as_is("cells", "reason"))]


def superseded(study: Study) -> list[Block]:
    """Runs that count nowhere."""
    columns: Columns = {
        **as_is("run", "state"),
        "test_miou": ("test mIoU", fraction),
        "differs": ("differs from the recipe", str),
        "run_id": ("run id", str),
    }
    caption = "Runs of cells that this study does not declare; in no number above."
    none = "There is no run of a cell that this study does not declare."
    return [grid_or(none, runs.superseded(study), columns, caption)]


def mixtures(study: Study) -> list[Block]:
    """What was not the same everywhere."""
    columns: Columns = {"key": ("what", str), **as_is("value"), "n_runs": ("runs", str)}
    caption = "What was not the same in all finished runs of declared arms."
    none = "The finished runs record no difference in their environments."
    table = runs.environment_mixtures(study)
    return [grid_or(none, table, {**columns, "runs": ("which", str)}, caption)]


def recipe(study: Study) -> list[Block]:
    """What all arms share, and what each sets."""
    declared = study.declaration
    base = {"steps": declared.steps, **declared.recipe, **declared.loss_params}
    columns: Columns = {
        **as_is("arm"),
        "settings": ("settings of its own", lambda text: text or "–"),
    }
    return [pairs(base, "field"), grid(arms.settings(study), columns)]
