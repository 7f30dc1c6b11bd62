"""Owns the wording of what a data check found; the lines for a terminal.

Must not know: pages, pictures.
"""

from __future__ import annotations

import numpy as np

from analysis.figures.style import count
from analysis.report.blocks import percent
from study.record import SPLITS, Found, Inspection, findings

MOST_NOTES = 5  # all of them are shown up to here


def check_lines(facts: Inspection) -> list[str]:
    """The facts for a terminal: short plain lines, at most 15."""
    n_classes, notes = len(facts.classes), facts.notes
    lines = [f"{facts.name}: {n_classes} classes, class 0 is {facts.classes[0]}"]
    for split in SPLITS:
        seen, n_images = n_classes - len(absent(facts, split)), facts.n_images[split]
        lines.append(
            f"{split}: {count(n_images, 'image')}, {seen} of {n_classes} classes, void "
            f"{void(facts, split)}"
        )
    lines += [text for text in (sizes(facts), floor(facts)) if text]
    n_shown = len(notes) if len(notes) <= MOST_NOTES else MOST_NOTES - 1
    lines += [f"note: {note}" for note in notes[:n_shown]]
    lines += [f"note: {len(notes) - n_shown} more on the page"] if notes[n_shown:] else []
    found = problems(facts)
    lines += [f"warning: {one.line}" for one in found]
    lines += [] if found else ["nothing suspicious was found in masks and images"]
    return ["".join(c if c.isprintable() else " " for c in line) for line in lines]


def void(facts: Inspection, split: str) -> str:
    """The share of void pixels of a split, a dash where it has none at all."""
    return percent(facts.void_share[split]) if facts.n_images[split] else "–"


def absent(facts: Inspection, split: str) -> list[str]:
    """Classes that no image of a split shows."""
    shares = zip(facts.classes, facts.image_share[split], strict=True)
    return [name for name, share in shares if not share > 0]


def sizes(facts: Inspection) -> str:
    """How large the images are and what is stored of them; "" without images."""
    ends = np.array([facts.size_px[split] for split in SPLITS if facts.n_images[split]])
    if not len(ends):
        return ""
    high, wide = (
        f"{low} px" if low == high else f"{low} to {high} px"
        for low, high in zip(ends[:, :2].min(0), ends[:, 2:].max(0), strict=True)
    )
    limit = facts.max_side
    stored = f"longer sides above {limit} px are reduced to that" if limit else "none is reduced"
    return f"Images are {high} high and {wide} wide; {stored}"


def floor(facts: Inspection) -> str:
    """What a constant prediction scores."""
    if len(absent(facts, "test")) == len(facts.classes):
        return "No test image shows any class: there would be no score"
    lowest = facts.constant_floor
    return f"The floor: always predicting {lowest.name} has test mIoU {lowest.test_miou:.3f}"


def problems(facts: Inspection) -> list[Found]:
    """What was found in images and masks, and where."""
    return findings(facts.suspicious, facts.duplicates, facts.twins)
