"""Owns what a report says and in which order; writes it as Markdown, HTML, CSV and PNG.

Must not know: how tables are computed, how pages are marked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from analysis.answer import Answer, answer
from analysis.declaration import SPLITS, extra_axes
from analysis.figures import figures
from analysis.records import Study
from analysis.report import answer_sections, render
from analysis.report.example_sections import predictions
from analysis.report.examples import disagreement, examples
from analysis.report.render import Block, Picture, Section, Text, grid, grid_or, pairs
from analysis.tables import metric_tables, tables
from analysis.tables.provenance import commands, provenance


def write_report(
    study: Study, out_dir: Path, notes: Sequence[str] = (), place: Path | None = None
) -> Path:
    """Write `report.md`, `index.html`, `tables/*.csv` and `.tex`, `figures/*.png` and `.svg`.

    Args:
        notes: what the reader of the records noticed, shown under the answer.
        place: the study's folder as the commands to reproduce name it; where it was read if None.
    Returns: the path of `index.html`, which needs none of the other files.
    """
    title = f"Study {study.name}"
    found = answer(study)
    shown = examples(study, found.chosen)
    apart = disagreement(study, shown)
    lead = [*answer_sections.lead(study, found, notes), *_lead(study)]
    pictures = predictions(study, shown, apart, found.chosen)
    sections = _sections(study, found, pictures, place or study.root)
    out_dir = Path(out_dir)
    files: dict[str, bytes] = {
        f"tables/{name}.{suffix}": text.encode()
        for name, table in (
            *_csv(study),
            *answer_sections.csv(study, found),
            ("disagreement", apart),
        )
        for suffix, text in _written(name, table)
    }
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Picture):
            files[f"figures/{block.name}.png"] = block.png
            files[f"figures/{block.name}.svg"] = block.svg
    files["report.md"] = render.markdown(title, lead, sections).encode()
    files["index.html"] = render.html(title, lead, sections).encode()
    for folder in ("tables", "figures"):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    for old in (*out_dir.glob("figures/*.png"), *out_dir.glob("figures/*.svg")):
        old.unlink()  # some figures may be absent this time
    for name, content in files.items():
        (out_dir / name).write_bytes(content)
    return out_dir / "index.html"


def _written(name: str, table: pd.DataFrame) -> Iterable[tuple[str, str]]:
    """A table as CSV, and as LaTeX unless it is raw material."""
    yield "csv", table.to_csv(index=False)
    if name not in ("history", "runs"):
        yield "tex", render.latex(table)


def _csv(study: Study) -> Iterable[tuple[str, pd.DataFrame]]:
    """Every table with raw values, under its file name."""
    yield "summary", tables.summary(study)
    yield "per_class", tables.per_class(study).rename(columns=_with_n(study))
    yield "runs", tables.runs(study)
    yield "missing", tables.missing(study)
    yield "history", tables.history(study)
    yield "cost", tables.cost(study)
    yield "tunings", tables.tunings(study)
    yield "more_metrics", metric_tables.more_metrics(study)
    yield "class_frequencies", tables.class_frequencies(study.data)
    yield "superseded", tables.superseded(study)
    yield "environment_mixtures", tables.environment_mixtures(study)


def _sections(study: Study, found: Answer, pictures: list[Block], place: Path) -> list[Section]:
    """The report's order; each section stands also when it has nothing to list."""
    per_class, dots = _per_class(study), _summary(study)
    frequencies = render.picture(
        "class_frequencies",
        figures.class_frequencies(tables.class_frequencies(study.data)),
        "Bars of each class's share of pixels and of images in fit",
        "Share of valid pixels, and share of images that contain the class, in fit.",
    )
    return [
        Section("Results per arm", dots),
        Section("Results per class", per_class),
        *answer_sections.sections(study, found),
        Section("Other metrics", _more(study)),
        Section("Learning curves", [_curves(study)]),
        Section("Class frequencies", [frequencies]),
        Section("Predictions", pictures),
        Section("Cost", _cost(study)),
        Section("Missing and failed runs", _missing(study)),
        Section("Excluded cells", _excluded(study)),
        Section("Superseded runs", _superseded(study)),
        Section("Environment mixtures", _mixtures(study)),
        Section("Metric contract", [pairs(study.declaration.get("contract", {}), "rule")]),
        Section("Recipe", _recipe(study)),
        Section("Data, weights and code", [pairs(provenance(study), "what")]),
        Section("Commands to reproduce", commands(study, place)),
    ]


def _lead(study: Study) -> list[Block]:
    data, counts = study.data, study.data["n_images"]
    seeds = ", ".join(map(str, study.seeds)) or "none"
    arms = [arm for arm, n in tables.n_finished(study).items() if n]
    images = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    blocks: list[Block] = [
        Text(f"Data: {data['name']}, {len(study.classes)} classes, images: {images}."),
        Text(
            f"{len(study.finished())} of {len(study.runs)} runs of declared arms finished "
            f"(seeds {seeds}); {len(arms)} of {len(study.cells)} declared arms have a finished run."
        ),
    ]
    return blocks


def _summary(study: Study) -> list[Block]:
    summary = tables.summary(study)
    columns = {
        "network": ("network", str),
        "loss": ("loss", str),
        **{axis: (axis, str) for axis in extra_axes(study.cells)},
        "n": ("n", str),
        "n_failed": ("failed", str),
        "test/miou mean": ("test mIoU, mean", render.fraction),
        "test/miou sd": ("s.d.", render.fraction),
        "test/miou min": ("min", render.fraction),
        "test/miou max": ("max", render.fraction),
        "dev/miou mean": ("dev mIoU, mean", render.fraction),
        "test/pixel_accuracy mean": ("pixel accuracy, mean", render.fraction),
        "minutes per run mean": ("minutes per run, mean", render.one_decimal),
        "parameters, M": ("parameters, M", render.two_decimals),
        "status": ("status", str),
    }
    caption = (
        "Means, s.d. (n - 1 in the denominator), min and max are over the n finished seeds of the "
        "arm; each run is taken at its epoch of best dev mIoU. Differences between arms are under "
        "Planned contrasts."
    )
    seeds = {tuple(run.seed for run in study.finished(cell.arm)) for cell in study.cells}
    if len(seeds - {()}) > 1:
        caption += " n or seeds differ between arms: their means are not over the same seeds."
    floor, floor_text = _floor(study)
    dots = render.picture(
        "summary",
        figures.summary_dots(summary, tables.runs(study), floor),
        "Dots of test mIoU per run, one row per arm",
        f"One dot per finished seed; the bar marks the mean over the arm's n seeds. {floor_text}",
    )
    return [grid(summary, columns, caption), dots, *_void_scored(study)]


def _void_scored(study: Study) -> list[Block]:
    table = tables.void_scored(study)
    columns = {
        "arm": ("arm", str),
        "n": ("n", str),
        "test/miou mean": ("test mIoU, mean", render.fraction),
        "test/miou_void_scored mean": (
            f"the same runs with void scored as class {len(study.classes) + 1}",
            render.fraction,
        ),
    }
    caption = (
        "These arms learnt void as one more class. Scored as if it were a class of the data, the "
        "same weights get another number; only the first column compares with other results."
    )
    return [grid(table, columns, caption)] if len(table) else []


def _floor(study: Study) -> tuple[tuple[str, float] | None, str]:
    floor = study.data.get("constant_floor")
    if not floor:
        return None, "The study stored no floor of a constant prediction."
    value = (floor["class"], float(floor["test_miou"]))
    return value, f"Dashed: always predicting {value[0]} gives test mIoU {value[1]:.3f}."


def _with_n(study: Study) -> dict[str, str]:
    return {arm: f"{arm} (n={n})" for arm, n in tables.n_finished(study).items()}


def _per_class(study: Study) -> list[Block]:
    table, headers = tables.per_class(study), _with_n(study)
    heat = render.picture(
        "per_class",
        figures.per_class_map(table, tables.n_finished(study)),
        "Heat map of mean test IoU, arms by classes",
        "The same numbers; classes from frequent to rare. Hatched: no such pixel in the test "
        "truth. Pale: no finished run.",
    )
    shown = table.assign(
        **{
            "class": [
                n if t else f"{n} (not in test)" for n, t in table[["class", "in_test"]].values
            ]
        }
    )
    columns = {
        "class": ("class", str),
        "fit_pixel_share": ("fit pixels", render.percent),
        "fit_image_share": ("fit images", render.percent),
        **{
            arm: (header, render.fraction) for arm, header in headers.items() if study.finished(arm)
        },
    }
    caption = (
        "Mean test IoU over the n finished seeds of each arm that has any; classes sorted by their "
        "share of valid fit pixels. A class that is not in test has no IoU and is left out of the "
        "mIoU."
    )
    return [grid(shown, columns, caption), heat]


def _more(study: Study) -> list[Block]:
    table = metric_tables.more_metrics(study)
    columns = {n: (n, str if n in ("arm", "n") else render.fraction) for n in table}
    caption = (
        "Other readings of the same test confusions, means over the finished seeds. Over images, "
        "over pairs: Wang et al. 2023. Worst classes: the 3 (5 from 15 classes on) with the lowest "
        "IoU of the arm on dev. Lowest 10 % images: mean over the tenth of the images with the "
        "lowest mIoU of their own. Rare, medium, frequent: thirds of the classes by fit pixels, "
        "background apart. Differences between arms in this table are not tested."
    )
    return [grid_or("No finished run.", table, columns, caption)]


def _cost(study: Study) -> list[Block]:
    columns = {
        "arm": ("arm", str),
        "n": ("n", str),
        "minutes": ("minutes a run", render.one_decimal),
        "peak memory, MB": ("peak memory, MB", lambda v: f"{v:.0f}"),
        "parameters, M": ("parameters, M", render.two_decimals),
        "images/s": ("training images/s", render.one_decimal),
    }
    caption = (
        "Means over the finished seeds. Minutes and images/s hold for the machine and the number "
        "of runs at once they were measured with."
    )
    return [grid(tables.cost(study), columns, caption)]


def _curves(study: Study) -> Picture:
    losses = [cell.loss for cell in study.cells]
    return render.picture(
        "learning_curves",
        figures.learning_curves(tables.history(study), losses),
        "Dev mIoU against epoch, one panel per network",
        "Dev mIoU at the evaluated epochs, one line per finished seed; the dot is the epoch whose "
        "weights were tested.",
    )


def _missing(study: Study) -> list[Block]:
    columns = {"run": ("run", str), "state": ("state", str), "reason": ("reason", str)}
    columns["run_id"] = ("run id", str)
    none = "Nothing: every declared arm has finished all the seeds that any arm has."
    return [grid_or(none, tables.missing(study), columns)]


def _excluded(study: Study) -> list[Block]:
    excluded = study.declaration.get("excluded", [])
    table = pd.DataFrame(
        [(", ".join(f"{k} = {v}" for k, v in e["where"].items()), e["reason"]) for e in excluded],
        columns=["cells", "reason"],
    )
    columns = {"cells": ("cells", str), "reason": ("reason", str)}
    return [grid_or("The matrix excludes nothing.", table, columns)]


def _superseded(study: Study) -> list[Block]:
    columns = {
        "run": ("run", str),
        "state": ("state", str),
        "test_miou": ("test mIoU", render.fraction),
    }
    columns |= {"differs": ("differs from the recipe", str), "run_id": ("run id", str)}
    caption = "Runs of cells that this study does not declare; in no number above."
    none = "There is no run of a cell that this study does not declare."
    return [grid_or(none, tables.superseded(study), columns, caption)]


def _mixtures(study: Study) -> list[Block]:
    columns = {"key": ("what", str), "value": ("value", str), "n_runs": ("runs", str)}
    columns["runs"] = ("which", str)
    caption = "What was not the same in all finished runs of declared arms."
    none = "The finished runs record no difference in their environments."
    return [grid_or(none, tables.environment_mixtures(study), columns, caption)]


def _recipe(study: Study) -> list[Block]:
    base = {**study.declaration["recipe"], **study.declaration.get("loss_params", {})}
    columns = {"arm": ("arm", str), "settings": ("settings of its own", lambda text: text or "–")}
    return [pairs(base, "field"), grid(tables.settings(study), columns)]
