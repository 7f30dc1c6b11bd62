"""The contact sheet: images with their masks drawn over them, captions, the classes shown.

Must not know: what else is known of the data, pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analysis.figures.style import COLOURS, GREY, PALE, cut, voc_palette, wrap
from seglib.metrics import VOID
from study.record import Sample

TILE_PX, GAP_PX, FONT_PX, LINE_PX, N_COLUMNS = 300, 20, 18, 24, 5
STRENGTH = 0.5  # of the class colour over the image


def overlay(image: np.ndarray, mask: np.ndarray, background: bool) -> np.ndarray:
    """The mask's colours over the image: half strength inside, full on the outlines.

    Args:
        image: (H, W, 3) uint8. mask: (H, W) class ids, 255 = void, drawn cream.
        background: class 0 is background and stays uncoloured.
    Returns: (H, W, 3) uint8.
    """
    around = np.pad(mask, 1, mode="edge")
    neighbours = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    strength = np.where(np.any([mask != other for other in neighbours], axis=0), 1, STRENGTH)
    if background:
        strength[mask == 0] = 0
    mixed = image + strength[..., None] * (voc_palette()[mask].astype(float) - image)
    drawn: np.ndarray = np.rint(mixed).astype(np.uint8)
    return drawn


def contact_sheet(sheet: Sequence[Sample], classes: Sequence[str], background: bool) -> Image.Image:
    """Overlays in tiles `TILE_PX` wide, name and split under each, then the classes shown.

    A suspicious mask has a frame and its note. `sheet` has at least one sample.
    """
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    font = ImageFont.truetype(fonts / "DejaVuSansMono.ttf", FONT_PX)
    cells = [_sheet_cell(sample, background, font) for sample in sheet]
    n_columns = max(3, min(N_COLUMNS, len(cells)))
    rows = [cells[start : start + n_columns] for start in range(0, len(cells), n_columns)]
    tops = np.cumsum([0, *(max(cell.height for cell in row) for row in rows)]).tolist()
    width = n_columns * (TILE_PX + GAP_PX)
    labels = np.unique(np.concatenate([np.unique(sample.mask) for sample in sheet])).tolist()
    canvas = Image.new("RGB", (width, tops[-1] + LINE_PX * (len(labels) + 1)), "white")
    for row, top in zip(rows, tops, strict=False):
        for column, cell in enumerate(row):
            canvas.paste(cell, (column * cell.width, top))
    bottom = _legend(canvas, tops[-1], labels, classes, background, font)
    return canvas.crop((0, 0, width, bottom + LINE_PX + GAP_PX // 2))


def _legend(
    canvas: Image.Image,
    y: int,
    labels: Sequence[int],
    classes: Sequence[str],
    background: bool,
    font: ImageFont.FreeTypeFont,
) -> int:
    """Draw the classes shown from `y` down; the top of the last line."""
    draw, x = ImageDraw.Draw(canvas), GAP_PX // 2
    for label in labels:
        name = {**dict(enumerate(classes)), VOID: "void"}.get(label, "no class")
        empty = background and label == 0
        text = f"{label} {cut(name, 60)}{' (not coloured)' if empty else ''}"
        step = int(font.getlength(text)) + 3 * FONT_PX
        x, y = (x, y) if x + step <= canvas.width else (GAP_PX // 2, y + LINE_PX)
        colour = "white" if empty else tuple(voc_palette()[label].tolist())
        draw.rectangle((x, y, x + FONT_PX, y + FONT_PX), fill=colour, outline=GREY)
        draw.text((x + 1.5 * FONT_PX, y - 2), text, fill="black", font=font)
        x += step
    return y


def _sheet_cell(sample: Sample, background: bool, font: ImageFont.FreeTypeFont) -> Image.Image:
    """A tile with its caption, half a gap around; a high image is narrowed and centred in it."""
    height, width = sample.mask.shape
    scale = min(TILE_PX / width, 1.5 * TILE_PX / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    image = Image.fromarray(sample.image).resize(size, smooth)
    mask = Image.fromarray(sample.mask).resize(size, Image.Resampling.NEAREST)
    n_letters = int(TILE_PX / font.getlength("m"))
    lines = [(line, "black") for line in wrap(sample.name, n_letters, 2)] + [(sample.split, GREY)]
    if sample.note:
        note = wrap(f"suspicious: {sample.note}", n_letters, 5)
        lines += [(line, COLOURS[1]) for line in note]
    edge, bottom = GAP_PX // 2, GAP_PX // 2 + size[1]
    cell = Image.new("RGB", (TILE_PX + GAP_PX, bottom + GAP_PX + LINE_PX * len(lines)), "white")
    draw = ImageDraw.Draw(cell)
    frame = (edge - 5, edge - 5, edge + TILE_PX + 4, bottom + 4)
    draw.rectangle(frame, PALE, outline=COLOURS[1] if sample.note else "white", width=5)
    drawn = Image.fromarray(overlay(np.asarray(image), np.asarray(mask), background))
    cell.paste(drawn, (edge + (TILE_PX - size[0]) // 2, edge))
    for number, (line, colour) in enumerate(lines):
        draw.text((edge, bottom + 6 + number * LINE_PX), line, fill=colour, font=font)
    return cell
