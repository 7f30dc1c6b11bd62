"""The contact sheet: images with their masks drawn over them, captions, the classes shown.

Must not know: what else is known of the data, pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analysis.figures.fonts import files_for
from analysis.figures.style import COLOURS, GREY, PALE, wrap
from seglib import drawing
from seglib.drawing import Font, cut, font_for, fonts, one_line, palette
from seglib.metrics import VOID
from study.record import Sample

TILE_PX, GAP_PX, FONT_PX, LINE_PX, N_COLUMNS = 300, 20, 18, 24, 5
MONO = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"
STRENGTH = 0.5  # of the class colour over the image


def overlay(
    image: np.ndarray, mask: np.ndarray, classes: Sequence[str], background: bool
) -> np.ndarray:
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
    mixed = image + strength[..., None] * (palette(classes)[mask].astype(float) - image)
    drawn: np.ndarray = np.rint(mixed).astype(np.uint8)
    return drawn


def contact_sheet(sheet: Sequence[Sample], classes: Sequence[str], background: bool) -> Image.Image:
    """Overlays in tiles `TILE_PX` wide, name and split under each, then the classes shown.

    A suspicious mask has a frame and its note. A name without letters is numbered: `called`.
    `sheet` has at least one sample.
    """
    names = called([sample.name for sample in sheet], "image")
    cells = [
        _sheet_cell(sample, name, classes, background)
        for sample, name in zip(sheet, names, strict=True)
    ]
    n_columns = max(3, min(N_COLUMNS, len(cells)))
    rows = [cells[start : start + n_columns] for start in range(0, len(cells), n_columns)]
    tops = np.cumsum([0, *(max(cell.height for cell in row) for row in rows)]).tolist()
    width = n_columns * (TILE_PX + GAP_PX)
    labels = np.unique(np.concatenate([np.unique(sample.mask) for sample in sheet])).tolist()
    canvas = Image.new("RGB", (width, tops[-1] + LINE_PX * (len(labels) + 1)), "white")
    for row, top in zip(rows, tops, strict=False):
        for column, cell in enumerate(row):
            canvas.paste(cell, (column * cell.width, top))
    bottom = _legend(canvas, tops[-1], labels, classes, background)
    return canvas.crop((0, 0, width, bottom + LINE_PX + GAP_PX // 2))


def called(names: Sequence[str], noun: str = "class") -> list[str]:
    """What a sheet calls these names: themselves where they can be drawn, else "image 3"."""
    return drawing.called(names, lambda text: _font(text) is not None, noun)


def _font(text: str) -> Font | None:
    """The font that a text is drawn with; None: no installed one has all its letters."""
    return font_for(text, [_truetype(MONO), *fonts(FONT_PX), *map(_truetype, files_for(text))])


@cache
def _truetype(path: Path) -> Font:
    return ImageFont.truetype(path, FONT_PX)


def _letters(text: str) -> tuple[str, Font]:
    """A text as it can be drawn, code points for letters that cannot, and its font."""
    text = one_line(text)
    if font := _font(text):
        return text, font
    coded = (one if " " <= one <= "~" else f"\\u{ord(one):04x}" for one in text)
    return "".join(coded), _truetype(MONO)


def _legend(
    canvas: Image.Image, y: int, labels: Sequence[int], classes: Sequence[str], background: bool
) -> int:
    """Draw the classes shown from `y` down; the top of the last line."""
    draw, x = ImageDraw.Draw(canvas), GAP_PX // 2
    known = zip(classes, called(classes), strict=True)
    names = {i: f"{i} {cut(n, 60)}" if n == one_line(c) else n for i, (c, n) in enumerate(known)}
    names[VOID] = f"{VOID} void"
    for label in labels:
        empty = background and label == 0
        name = names.get(label, f"{label} no class") + (" (not coloured)" if empty else "")
        text, font = _letters(name)
        step = int(font.getlength(text)) + 3 * FONT_PX
        x, y = (x, y) if x + step <= canvas.width else (GAP_PX // 2, y + LINE_PX)
        colour = "white" if empty else tuple(palette(classes)[label].tolist())
        draw.rectangle((x, y, x + FONT_PX, y + FONT_PX), fill=colour, outline=GREY)
        draw.text((x + 1.5 * FONT_PX, y - 2), text, fill="black", font=font)
        x += step
    return y


def _lines(text: str, n_lines: int) -> list[tuple[str, Font]]:
    """At most so many lines as wide as a tile."""
    text, font = _letters(text)
    widest = max((font.getlength(letter) for letter in text), default=1)
    return [(line, font) for line in wrap(text, int(TILE_PX / widest), n_lines)]


def _sheet_cell(sample: Sample, name: str, classes: Sequence[str], background: bool) -> Image.Image:
    """A tile with its caption, half a gap around; a high image is narrowed and centred in it."""
    height, width = sample.mask.shape
    scale = min(TILE_PX / width, 1.5 * TILE_PX / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    image = Image.fromarray(sample.image).resize(size, smooth)
    mask = Image.fromarray(sample.mask).resize(size, Image.Resampling.NEAREST)
    texts = [(name, 2, "black"), (sample.split, 1, GREY)]
    if sample.note:
        texts.append((f"suspicious: {sample.note}", 5, COLOURS[1]))
    lines = [(*line, colour) for text, n, colour in texts for line in _lines(text, n)]
    edge, bottom = GAP_PX // 2, GAP_PX // 2 + size[1]
    cell = Image.new("RGB", (TILE_PX + GAP_PX, bottom + GAP_PX + LINE_PX * len(lines)), "white")
    draw = ImageDraw.Draw(cell)
    frame = (edge - 5, edge - 5, edge + TILE_PX + 4, bottom + 4)
    draw.rectangle(frame, PALE, outline=COLOURS[1] if sample.note else "white", width=5)
    drawn = Image.fromarray(overlay(np.asarray(image), np.asarray(mask), classes, background))
    cell.paste(drawn, (edge + (TILE_PX - size[0]) // 2, edge))
    for number, (line, font, colour) in enumerate(lines):
        draw.text((edge, bottom + 6 + number * LINE_PX), line, fill=colour, font=font)
    return cell
