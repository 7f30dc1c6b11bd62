"""Owns the page that shows a data set as a study would see it, before any training.

Must not know: stores, folders of data, how anything suspicious is found.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.figures.classes import frequency_bars
from analysis.figures.contact import called, contact_sheet
from analysis.figures.fonts import key, renamed, without_letters
from analysis.figures.style import count
from analysis.report import pages
from analysis.report.blocks import (
    CSS_PX_PER_INCH,
    PNG_DPI,
    Block,
    Bullets,
    Grid,
    Picture,
    Section,
    Text,
    pairs,
    percent,
    picture,
)
from analysis.report.check_words import absent, floor, problems, sizes, void
from analysis.report.exits import csv_table
from analysis.report.folder import replace_folder
from analysis.tables.classes import class_frequencies
from study.record import SPLITS, Inspection, Sample

LOOKED_FOR = (
    "masks that are all void, of one class only or of 0 and 255, colours unlike those of the other "
    "masks, 0 and 1 exchanged, signs of interpolation or of a JPEG where labels change, images of "
    "the same pixels, images in different splits that look nearly alike, and splits that differ in "
    "their labels, void, palettes or sizes"
)
N_LISTED, N_GROUPS = 20, 40


def write_check(facts: Inspection, sheet: Sequence[Sample], folder: Path) -> Path:
    """Write `index.html`, `frequencies.csv`, `frequencies.png` and `contact-sheet.png`.

    Args:
        sheet: the images to show, in this order; none: no contact sheet is written.
        folder: made where it is missing; an earlier check in it is replaced.
    Returns: the path of `index.html`, which needs none of the other files.
    """
    bars = picture(
        "frequencies",
        frequency_bars(renamed(class_frequencies(facts), facts.classes), facts.n_images),
        "Bars of each class's share of pixels and of images in fit, dev and test",
        "Share of valid pixels, on a log scale, and images that show the class."
        + key(facts.classes),
    )
    shown = [_sheet_picture(facts, sheet)] if sheet else []
    about = {"path": facts.path, "fingerprint": facts.fingerprint}
    sections = [
        Section("Warnings", _warnings(facts)),
        Section("Class frequencies", [*_unseen(facts), bars, _frequency_table(facts)]),
        *([Section("Reduced images", [_reduced(facts)])] if facts.reduced else []),
        *([Section("Groups", _groups(facts.groups))] if facts.groups else []),
        Section("Contact sheet", shown or [Text("No images were chosen.")]),
        Section("Data set", [pairs(about, "what")]),
    ]
    page = pages.html(f"Data check: {facts.name}", [Text(" ".join(_lead(facts)))], sections)
    files = {f"{drawn.name}.png": drawn.png for drawn in (bars, *shown)}
    files["frequencies.csv"] = csv_table(_shares(facts)).encode()
    replace_folder(folder, {**files, "index.html": page.encode()})
    return folder / "index.html"


def _shares(facts: Inspection) -> pd.DataFrame:
    """The raw shares, a row per class and split; none of a split without images."""
    rows = [
        (name, split, facts.pixel_share[split][label], facts.image_share[split][label])
        if facts.n_images[split]
        else (name, split, None, None)
        for label, name in enumerate(facts.classes)
        for split in SPLITS
    ]
    return pd.DataFrame(rows, columns=["class", "split", "pixel_share", "image_share"])


def _sheet_picture(facts: Inspection, sheet: Sequence[Sample]) -> Picture:
    drawn, buffer = contact_sheet(sheet, facts.classes, facts.background), io.BytesIO()
    drawn.save(buffer, "png")
    caption = (
        f"{count(len(sheet), 'image')} of {sum(facts.n_images.values())}: the mask's colours at"
        " half strength, outlines at full strength, void in cream."
    )
    if any(sample.note for sample in sheet):
        caption += " Framed: the mask looks suspicious, the reason is under it."
    images = [sample.name for sample in sheet]
    caption += key(facts.classes, drawn=called) + key(images, "image", called)
    width_px = round(drawn.width / PNG_DPI * CSS_PX_PER_INCH)
    alt = "Images with their masks drawn over them"
    return Picture("contact-sheet", buffer.getvalue(), width_px, alt, caption)


def _lead(facts: Inspection) -> list[str]:
    n_images = {split: count(facts.n_images[split], "image") for split in SPLITS}
    shares = ", ".join(f"{void(facts, split)} of {split}" for split in SPLITS)
    return [
        f"{facts.name} has {len(facts.classes)} classes; class 0 is {facts.classes[0]}.",
        f"Networks would train on fit ({n_images['fit']}), choose their epoch on dev "
        f"({n_images['dev']}) and be scored on test ({n_images['test']}).",
        f"Void pixels, which do not count in test mIoU, are {shares}.",
        *(f"{text}." for text in (sizes(facts), floor(facts)) if text),
    ]


def _warnings(facts: Inspection) -> list[Block]:
    notes = [f"Note: {note}" for note in (*facts.notes, *without_letters(facts.classes))]
    blocks: list[Block] = [Bullets(notes)] if notes else []
    found = problems(facts)
    for one in found:
        cut = f"; the first {N_LISTED}" if len(one.items) > N_LISTED else ""
        advice = f" ({one.advice})" if one.advice else ""
        blocks += [Text(f"{one.what}{advice}{cut}:", strong=True), Bullets(one.items[:N_LISTED])]
    start = "Looked for" if found else "Nothing suspicious was found. Looked for"
    return [*blocks, Text(f"{start}: {LOOKED_FOR}.")]


def _unseen(facts: Inspection) -> list[Block]:
    results = {"fit": "nothing to learn from", "test": "no score"}
    return [
        Text(f"No {split} image shows {', '.join(unseen)}: {result}.", strong=True)
        for split, result in results.items()
        if (unseen := absent(facts, split))
    ]


def _frequency_table(facts: Inspection) -> Grid:
    rows, n_images = [], facts.n_images
    for row in class_frequencies(facts).to_dict("records"):
        marks = ", ".join(f"not in {split}" for split in SPLITS if not row[f"{split}_image_share"])
        pixels = [percent(row[f"{split}_pixel_share"]) for split in SPLITS]
        images = [str(round(row[f"{split}_image_share"] * n_images[split])) for split in SPLITS]
        rows.append([row["class"] + (f" ({marks})" if marks else ""), *pixels, *images])
    headers = [f"{split} pixels" for split in SPLITS]
    headers += [f"{split} images (of\u00a0{n_images[split]})" for split in SPLITS]
    caption = (
        "Share of the split's valid pixels, and number of its images that show the class; the most "
        "frequent class in fit first. The shares are also in frequencies.csv."
    )
    return Grid(["class", *headers], rows, [False, *[True] * 6], caption)


def _reduced(facts: Inspection) -> Grid:
    """What reducing the images to max_side leaves of each class."""
    rows = [
        [row.name, percent(row.share), percent(row.share_kept), str(row.n_masks), str(row.n_lost)]
        for row in sorted(facts.reduced, key=lambda row: -row.n_lost / max(1, row.n_masks))
    ]
    headers = ["class", "pixels before", "after", "masks before", "of these, without it after"]
    caption = (
        f"Each class before and after reducing longer sides to {facts.max_side} px, in all splits; "
        "--set max_side=none, or a larger one, keeps more."
    )
    return Grid(headers, rows, [False, *[True] * 4], caption)


def _groups(groups: Mapping[str, Mapping[str, int]]) -> list[Block]:
    counts = [groups.get(split, {}) for split in SPLITS]
    rows = [(name, [of.get(name, 0) for of in counts]) for name in sorted(set().union(*counts))]
    rows.sort(key=lambda row: (-np.count_nonzero(row[1]), -sum(row[1])))
    both = sum(bool(np.count_nonzero(n_images) > 1) for _, n_images in rows)
    text = f"{count(len(rows), 'group')}, {both or 'none'} of them in more than one split."
    cut = f" The first {N_GROUPS} are shown." if len(rows) > N_GROUPS else ""
    caption = f"Images of each group; groups in several splits first, then the largest.{cut}"
    shown = [[name, *map(str, n_images)] for name, n_images in rows[:N_GROUPS]]
    table = Grid(["group", *SPLITS], shown, [False, True, True, True], caption)
    return [Text(text, strong=both > 0), table]
