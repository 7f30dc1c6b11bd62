"""Owns what a report says and in which order; writes it as Markdown, HTML, CSV and PNG.

Must not know: how tables are computed, how pages are marked up.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from analysis.answer import Answer, answer
from analysis.figures.fonts import without_letters
from analysis.records import Study
from analysis.report import arms, contrasts, effects, exits, inventory, pages, training
from analysis.report.blocks import Block, Bullets, Picture, Section, pairs
from analysis.report.examples import disagreement, examples
from analysis.report.folder import Content, replace_folder
from analysis.report.predictions import predictions
from analysis.report.provenance import commands, provenance
from analysis.report.sentences import sentences
from analysis.report.signs import collapsed
from analysis.tables import arms as arm_tables
from analysis.tables import classes as class_tables
from analysis.tables import contrasts as contrast_tables
from analysis.tables import curves as curve_tables
from analysis.tables import runs as run_tables
from analysis.tables.chosen import chosen, never_chosen
from analysis.tables.metrics import more_metrics
from analysis.tables.pareto import pareto
from analysis.tables.signs import signs
from analysis.tables.tunings import tunings

RAW = ("runs",)  # material, as the history is: not a table to print


def write_report(
    study: Study, out_dir: Path, notes: Sequence[str] = (), place: Path | None = None
) -> Path:
    """Write `report.md`, `index.html`, `tables/*.csv` and `.tex`, `figures/*.png` and `.svg`.

    Args:
        notes: what the reader of the records noticed, shown under the answer.
        place: the study's folder as the commands to reproduce name it; where it was read if None.
    Returns: the path of `index.html`, which needs none of the other files.
    """
    whole, study = study, chosen(study)
    title, found = f"Study {study.name}", answer(study)
    shown = examples(study, found.chosen)
    apart = disagreement(study, shown)
    noted = (*study.data.notes, *notes, *without_letters(study.classes))
    said = [*sentences(study, found), *(f"Note: {note}" for note in noted)]
    lead = [Bullets(said), *arms.lead(whole)]
    pictures = predictions(study, shown, apart, found.chosen)
    sections = [
        *_sections(study, found, pictures, whole),
        Section("Commands to reproduce", commands(whole, place or study.root)),
    ]
    files: dict[str, Content] = {
        f"tables/{name}.{suffix}": content
        for name, table in (*_tables(study, found), ("disagreement", apart))
        for suffix, content in _written(name, table)
    }
    files["tables/history.csv"] = lambda file: _csv(run_tables.history(study), file)
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Picture):
            files[f"figures/{block.name}.png"] = block.png
            files[f"figures/{block.name}.svg"] = block.svg
    files["report.md"] = pages.markdown(title, lead, sections).encode()
    files["index.html"] = pages.html(title, lead, sections).encode()
    replace_folder(out_dir, files)
    return out_dir / "index.html"


def _written(name: str, table: pd.DataFrame) -> Iterable[tuple[str, Content]]:
    """A table as CSV, and as LaTeX unless it is raw material."""
    yield "csv", partial(_csv, table)
    if name not in RAW:
        yield "tex", exits.latex_table(table).encode()


def _csv(table: pd.DataFrame, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    exits.write_csv(table, text)
    text.detach()  # written out; whoever opened the file closes it


def _tables(study: Study, found: Answer) -> Iterable[tuple[str, pd.DataFrame]]:
    """Every table with raw values but the history, under its file name."""
    yield "summary", arm_tables.summary(study)
    yield "per_class", class_tables.per_class(study).rename(columns=arms.with_n(study))
    yield "runs", run_tables.runs(study)
    yield "signs", signs(study)
    yield "missing", run_tables.missing(study)
    yield "cost", arm_tables.cost(study)
    yield "score_against_cost", pareto(study)
    yield "tunings", tunings(study)
    yield "more_metrics", more_metrics(study)
    yield "class_frequencies", class_tables.class_frequencies(study.data)
    yield "superseded", run_tables.superseded(study)
    yield "environment_mixtures", run_tables.environment_mixtures(study)
    yield "contrasts", contrast_tables.contrasts(found)
    yield "class_differences", contrast_tables.classes(study, found)
    yield "frequency_groups", contrast_tables.terciles(found)
    yield "frequency_slopes", contrast_tables.slopes(study, found)
    yield "effects", found.effects
    yield "noise", found.noise
    yield "convergence", curve_tables.convergence(study)
    yield "score_at_cost", curve_tables.at_cost(study)


def _sections(study: Study, found: Answer, pictures: list[Block], whole: Study) -> list[Section]:
    """The report's order; each section stands also when it has nothing to list."""
    gone, n_contrasts = never_chosen(whole), len(whole.declaration.contrasts)
    networks = training.networks(study)
    tuned = [Section("Tuning", training.tuning(study))] if study.declaration.tunings else []
    return [
        Section("Results per arm", arms.per_arm(study)),
        Section("Results per class", arms.per_class(study)),
        collapsed(study),
        Section("Planned contrasts", contrasts.planned(found, n_contrasts)),
        Section("Differences per class", contrasts.per_class(study, found)),
        Section("Rare and frequent classes", contrasts.by_frequency(study, found)),
        effects.effects(found),
        Section("What these seeds can tell", effects.noise(found)),
        *tuned,
        Section("Confusions", contrasts.confusions(study, found)),
        Section("Convergence", training.convergence(study)),
        Section("Other metrics", arms.other_metrics(study)),
        Section("Learning curves", training.learning_curves(study)),
        Section("Class frequencies", arms.frequencies(study)),
        Section("Predictions", pictures),
        Section("Cost", training.cost(study)),
        *([Section("Networks: score against cost", networks)] if networks else []),
        Section("Missing and failed runs", inventory.missing(study, gone)),
        Section("Excluded cells", inventory.excluded(study)),
        Section("Superseded runs", inventory.superseded(study)),
        Section("Environment mixtures", inventory.mixtures(study)),
        Section("Metric contract", [pairs(study.declaration.contract, "rule")]),
        Section("Recipe", inventory.recipe(study)),
        Section("Data, weights and code", [pairs(provenance(study), "what")]),
    ]
