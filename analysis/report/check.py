"""Owns what a data set looks like to the study before any training: a page, a table, two pictures.

Must not know: stores, folders of data, how anything suspicious is found.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from analysis.declaration import SPLITS
from analysis.figures.contact import Sample, contact_sheet, wrap
from analysis.figures.figures import COLOURS, GREY, _count, _quiet, legend, plain
from analysis.report import render
from analysis.report.render import Block, Bullets, Grid, Picture, Section, Text
from analysis.tables import tables

LOOKED_FOR = (
    "masks that are all void or of one class only, colours unlike those of the other masks, signs "
    "of interpolation where labels change, images with the same pixels across splits or within one"
)
N_LISTED, N_GROUPS = 20, 40


def write_check(facts: Mapping[str, Any], sheet: Sequence[Sample], folder: Path) -> Path:
    """Write `index.html`, `frequencies.csv`, `frequencies.png` and `contact-sheet.png`.

    Args:
        facts: what is known of the data; shares in [0, 1], one per class; sizes in pixels, of the
            files or after the reduction to `max_side`.
        sheet: the images to show, in this order; none: no contact sheet is written.
        folder: made where it is missing; an earlier check in it is replaced.
    Returns: the path of `index.html`, which needs none of the other files.
    """
    bars = render.picture(
        "frequencies",
        frequency_bars(facts),
        "Bars of each class's share of pixels and of images in fit, dev and test",
        "Share of valid pixels, on a log scale, and images that show the class.",
    )
    shown = [_sheet_picture(facts, sheet)] if sheet else []
    sections = [
        Section("Warnings", _warnings(facts)),
        Section("Class frequencies", [*_unseen(facts), bars, _frequency_table(facts)]),
        *([Section("Groups", _groups(facts["groups"]))] if facts["groups"] else []),
        Section("Contact sheet", shown or [Text("No images were chosen.")]),
        Section("Data set", [render.pairs({k: facts[k] for k in ("path", "fingerprint")}, "what")]),
    ]
    page = render.html(f"Data check: {facts['name']}", [Text(" ".join(_lead(facts)))], sections)
    rows = [
        (name, split, facts["pixel_share"][split][label], facts["image_share"][split][label])
        for label, name in enumerate(facts["classes"])
        for split in SPLITS
    ]
    table = pd.DataFrame(rows, columns=["class", "split", "pixel_share", "image_share"])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contact-sheet.png").unlink(missing_ok=True)  # the one that may be absent
    for picture in (bars, *shown):
        (folder / f"{picture.name}.png").write_bytes(picture.png)
    (folder / "frequencies.csv").write_bytes(table.to_csv(index=False).encode())
    (folder / "index.html").write_bytes(page.encode())
    return folder / "index.html"


def check_lines(facts: Mapping[str, Any]) -> list[str]:
    """The same facts for a terminal: short plain lines, at most 15."""
    n_classes, notes = len(facts["classes"]), list(facts["notes"])
    lines = [f"{facts['name']}: {n_classes} classes, class 0 is {facts['classes'][0]}"]
    for split in SPLITS:
        seen, n_images = n_classes - len(_absent(facts, split)), facts["n_images"][split]
        void = _percent(facts["void_share"][split])
        lines.append(
            f"{split}: {_count(n_images, 'image')}, {seen} of {n_classes} classes, void {void}"
        )
    lines += [text for text in (_sizes(facts), _floor(facts)) if text]
    n_shown = len(notes) if len(notes) < 6 else 4
    lines += [f"note: {note}" for note in notes[:n_shown]]
    lines += [f"note: {len(notes) - n_shown} more on the page"] if notes[n_shown:] else []
    found = _problems(facts)
    lines += [f"warning: {what}, first {items[0]}" for what, items in found]
    lines += [] if found else ["nothing suspicious was found in masks and images"]
    return ["".join(c if c.isprintable() else " " for c in line) for line in lines]


def frequency_bars(facts: Mapping[str, Any]) -> Figure:
    """Pixel share (log) and image share of each class in fit, dev and test, frequent to rare."""
    table = _frequencies(facts)
    figure = Figure(figsize=(10, 0.5 * len(table) + 1.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    pixels = table[[f"{split}_pixel_share" for split in SPLITS]].to_numpy()  # (classes, 3)
    lowest = pixels[pixels > 0].min(initial=1.0) / 4
    style = {"va": "center", "fontsize": 6.5, "color": GREY}
    bars = []
    for number, (split, colour) in enumerate(zip(SPLITS, COLOURS, strict=False)):
        at, n_images = np.arange(len(table)) + 0.27 * (number - 1), facts["n_images"][split]
        images = table[f"{split}_image_share"]
        bars.append(left.barh(at, pixels[:, number], height=0.26, color=colour))
        right.barh(at, images, height=0.26, color=colour)
        for y, pixel, image in zip(at, pixels[:, number], images, strict=True):
            text = f"{100 * pixel:.3g}%" if pixel else f"none in {split}"
            left.text(max(pixel, lowest) * 1.05, y, text, **style)
            right.text(image + 0.01, y, f"{round(image * n_images)} of {n_images}", **style)
    left.set_xscale("log")
    left.set_xlim(lowest, 3)
    right.set_xlim(0, 1.25)
    right.set_xticks(np.linspace(0, 1, 5))
    names = ["\n".join(wrap(name, 26, 2)) for name in table["class"]]
    left.set_yticks(range(len(table)), map(plain, names))
    left.set_ylim(len(table) - 0.4, -0.6)
    for axes, label in ((left, "share of valid pixels (log scale)"), (right, "share of images")):
        axes.set_xlabel(label, fontsize=8)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        _quiet(axes)
    legend(figure, bars, list(SPLITS))
    return figure


def _sheet_picture(facts: Mapping[str, Any], sheet: Sequence[Sample]) -> Picture:
    drawn, buffer = contact_sheet(sheet, facts["classes"], facts["background"]), io.BytesIO()
    drawn.save(buffer, "png")
    caption = (
        f"{_count(len(sheet), 'image')} of {sum(facts['n_images'].values())}: the mask's colours at"
        " half strength, outlines at full strength, void in cream."
    )
    if any(sample.note for sample in sheet):
        caption += " Framed: the mask looks suspicious, the reason is under it."
    width_px = round(drawn.width / render.PNG_DPI * render.CSS_PX_PER_INCH)
    alt = "Images with their masks drawn over them"
    return Picture("contact-sheet", buffer.getvalue(), width_px, alt, caption)


def _lead(facts: Mapping[str, Any]) -> list[str]:
    n_images = {split: _count(facts["n_images"][split], "image") for split in SPLITS}
    void = ", ".join(f"{_percent(facts['void_share'][split])} of {split}" for split in SPLITS)
    return [
        f"{facts['name']} has {len(facts['classes'])} classes; class 0 is {facts['classes'][0]}.",
        f"Networks would train on fit ({n_images['fit']}), choose their epoch on dev "
        f"({n_images['dev']}) and be scored on test ({n_images['test']}).",
        f"Void pixels, which do not count in test mIoU, are {void}.",
        *(f"{text}." for text in (_sizes(facts), _floor(facts)) if text),
    ]


def _sizes(facts: Mapping[str, Any]) -> str:
    sizes = np.array([facts["size_px"][split] for split in SPLITS if facts["n_images"][split]])
    if not len(sizes):
        return ""
    ends = zip(sizes[:, :2].min(0), sizes[:, 2:].max(0), strict=True)
    high, wide = (f"{low} px" if low == high else f"{low} to {high} px" for low, high in ends)
    limit = facts["max_side"]
    stored = f"longer sides above {limit} px are reduced to that" if limit else "none is reduced"
    return f"Images are {high} high and {wide} wide; {stored}"


def _floor(facts: Mapping[str, Any]) -> str:
    if len(_absent(facts, "test")) == len(facts["classes"]):
        return "No test image shows any class: there would be no score"
    floor = facts["constant_floor"]
    return f"The floor: always predicting {floor['class']} has test mIoU {floor['test_miou']:.3f}"


def _problems(facts: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What was found and where; only what was found."""
    masks = [f"{mask['split']}/{mask['name']}: {mask['what']}" for mask in facts["suspicious"]]
    across, within = [], []
    for found in facts["duplicates"]:
        names, rest = found["images"], len(found["images"]) - 4
        if rest > 0:
            names = [*names[:3], f"{rest} more", names[-1]]
        (across if found["across"] else within).append(" = ".join(names))
    same = "of images with the same pixels"
    problems = [
        (f"{_count(len(across), 'set')} {same} in different splits", across),
        (_count(len(masks), "suspicious mask"), masks),
        (f"{_count(len(within), 'set')} {same} in one split", within),
    ]
    return [(what, items) for what, items in problems if items]


def _warnings(facts: Mapping[str, Any]) -> list[Block]:
    notes = [f"Note: {note}" for note in facts["notes"]]
    blocks: list[Block] = [Bullets(notes)] if notes else []
    problems = _problems(facts)
    for what, items in problems:
        cut = f"; the first {N_LISTED}" if len(items) > N_LISTED else ""
        blocks += [Text(f"{what}{cut}:", strong=True), Bullets(items[:N_LISTED])]
    start = "Looked for" if problems else "Nothing suspicious was found. Looked for"
    return [*blocks, Text(f"{start}: {LOOKED_FOR}.")]


def _unseen(facts: Mapping[str, Any]) -> list[Block]:
    results = {"fit": "nothing to learn from", "test": "no score"}
    return [
        Text(f"No {split} image shows {', '.join(absent)}: {result}.", strong=True)
        for split, result in results.items()
        if (absent := _absent(facts, split))
    ]


def _frequency_table(facts: Mapping[str, Any]) -> Grid:
    rows, n_images = [], facts["n_images"]
    for row in _frequencies(facts).to_dict("records"):
        marks = ", ".join(f"not in {split}" for split in SPLITS if not row[f"{split}_image_share"])
        pixels = [_percent(row[f"{split}_pixel_share"]) for split in SPLITS]
        images = [str(round(row[f"{split}_image_share"] * n_images[split])) for split in SPLITS]
        rows.append([row["class"] + (f" ({marks})" if marks else ""), *pixels, *images])
    headers = [f"{split} pixels" for split in SPLITS]
    headers += [f"{split} images (of\u00a0{n_images[split]})" for split in SPLITS]
    caption = (
        "Share of the split's valid pixels, and number of its images that show the class; the most "
        "frequent class in fit first. The shares are also in frequencies.csv."
    )
    return Grid(["class", *headers], rows, [False, *[True] * 6], caption)


def _groups(groups: Mapping[str, Mapping[str, int] | None]) -> list[Block]:
    counts = [groups.get(split) or {} for split in SPLITS]
    rows = [(name, [of.get(name, 0) for of in counts]) for name in sorted(set().union(*counts))]
    rows.sort(key=lambda row: (-np.count_nonzero(row[1]), -sum(row[1])))
    both = sum(np.count_nonzero(n_images) > 1 for _, n_images in rows)
    text = f"{_count(len(rows), 'group')}, {both or 'none'} of them in more than one split."
    cut = f" The first {N_GROUPS} are shown." if len(rows) > N_GROUPS else ""
    caption = f"Images of each group; groups in several splits first, then the largest.{cut}"
    shown = [[name, *map(str, n_images)] for name, n_images in rows[:N_GROUPS]]
    table = Grid(["group", *SPLITS], shown, [False, True, True, True], caption)
    return [Text(text, strong=both > 0), table]


def _frequencies(facts: Mapping[str, Any]) -> pd.DataFrame:
    """As `tables.class_frequencies`; no image, no share: 0, not NaN."""
    return tables.class_frequencies(facts).fillna(0.0)


def _absent(facts: Mapping[str, Any], split: str) -> list[str]:
    shares = zip(facts["classes"], facts["image_share"][split], strict=True)
    return [name for name, share in shares if not share > 0]


def _percent(share: float) -> str:
    return render.cell(share, render.percent)
