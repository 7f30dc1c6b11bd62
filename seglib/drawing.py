"""Colours of classes, one palette for masks, figures, panels and predictions; sheets by Pillow.

Must not know: studies, figures, which images are shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

VOID = 255
VOID_COLOUR = (224, 224, 192)  # cream, VOC's
BACKGROUND = (48, 48, 48)
VOC_CLASSES = tuple(
    (
        "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
        "motorbike person pottedplant sheep sofa train tvmonitor"
    ).split()
)
# Made by benchmarks/palette.py: far apart also for the colour-blind, the first ones farthest.
COLOURS = tuple(
    tuple(bytes.fromhex(colour))
    for colour in (
        "df55ff bf5500 406a55 b5f400 0015ff d4bfff df2a6a 9f0015 "
        "d49f60 60809f 802a75 55b5aa ff80aa 1555aa f4bfd4 bf8aca "
        "75f48a 208a80 d48a80 0b8a35 aa9500 7555df eaaa00 605535 "
        "6a4055 ca604a aaca95 aa758a d44a9f 9575ca b52a00 805580 "
        "60f4f4 aa4055 ea8aff 35b58a 00d4b5 eaca60 f49fd4 4a8a6a "
        "8a406a ff356a 75b5bf 9f009f 7500d4 606a35 205540 4acadf "
        "60aadf 15f4df 759f75 4aca75 9f1560 ca5580 d4804a 7595b5 "
        "eab5b5 35d435 9555b5 bf208a 608af4 3540ff 005555 bfeaaa "
    ).split()
)
AGAIN = ((0, 0.35), (255, 0.45), (0, 0.6))  # beyond them: mixed with black or white, how much
FONTS = (
    "DejaVuSans.ttf NotoSans-Regular.ttf LiberationSans-Regular.ttf "
    "NotoSansCJK-Regular.ttc NotoSansCJKsc-Regular.otf wqy-microhei.ttc"
).split()  # looked for in this order
FONT_PX, GAP_PX, LEAST_PX, N_LETTERS = 13, 4, 160, 28


def voc_palette() -> Pixels:
    """(256, 3) uint8: the class colours of the VOC devkit (its function VOClabelcolormap).

    The label's bits, three at a time, become the high bits of red, green and blue.
    """
    ids, colours = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def palette(classes: Sequence[str]) -> Pixels:
    """(256, 3) uint8: the colour of each label of these classes, and of void (255).

    VOC's for VOC's 21 classes. Else a colour goes with the place of a class alone: a class added at
    the end changes no other. A background (class 0 of that name) is dark grey.
    """
    if tuple(classes) == VOC_CLASSES:
        return voc_palette()
    table = np.array(COLOURS, float)
    mixed = [table, *(table + share * (end - table) for end, share in AGAIN)]
    colours: Pixels = np.rint(np.concatenate(mixed)).astype(np.uint8)
    if tuple(classes[:1]) == ("background",):
        colours = np.vstack([np.array([BACKGROUND], np.uint8), colours[:-1]])
    colours[VOID] = VOID_COLOUR
    return colours


def colourize(mask: Pixels, classes: Sequence[str]) -> Pixels:
    """Labels (H, W) to (H, W, 3) uint8 in the colours of the classes; void in pale stripes."""
    rows, columns = np.indices(mask.shape)
    stripe = (rows + columns) // max(2, max(mask.shape) // 40) % 2
    pale = np.where(stripe, 250, 205).astype(np.uint8)[..., None]
    drawn: Pixels = np.where((mask == VOID)[..., None], pale, palette(classes)[mask])
    return drawn


def one_line(text: str) -> str:
    """Text in composed letters, its white space one space each."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def simple(letter: str) -> bool:
    """Whether a letter is drawn alone, from left to right: no mark, joiner, control character."""
    kind, runs = unicodedata.category(letter), unicodedata.bidirectional(letter)
    return kind[0] not in "MC" and kind not in ("Zl", "Zp") and runs not in ("R", "AL", "AN")


def called(names: Sequence[str], drawable: Callable[[str], bool], noun: str = "class") -> list[str]:
    """What pictures call these names: themselves, or "class 3" where the letters are lacking."""
    lines = map(one_line, names)
    return [n if n and drawable(n) else f"{noun} {i}" for i, n in enumerate(lines)]


def cut(text: str, n_letters: int) -> str:
    """The start and the end of what is too long: names often differ in the end only."""
    half = n_letters // 2
    return text if len(text) <= n_letters else f"{text[:half]}…{text[1 - half :]}"


@lru_cache(maxsize=4)
def fonts(size_px: int) -> list[Font]:
    """The fonts of `FONTS` that this machine has, and Pillow's own (ASCII)."""
    found = list[Font]()
    for name in FONTS:
        try:
            found.append(ImageFont.truetype(name, size_px))
        except OSError:
            continue
    return [*found, ImageFont.load_default(size_px)]


def font_for(text: str, choices: Sequence[Font]) -> Font | None:
    """The first font that has every letter of a text; None: none has, or drawing takes more."""
    if not all(map(simple, text)):
        return None
    return next((font for font in choices if all(_has(font, letter) for letter in text)), None)


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Whether a font draws a letter otherwise than one that does not exist."""
    drawn, missing = font.getmask(letter), font.getmask("\U0010ffff")
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)


def sheet(columns: Mapping[str, Sequence[Pixels]], classes: Sequence[str]) -> Image.Image:
    """Pictures in titled columns, the classes they show below; small ones are enlarged.

    Args: columns: title -> n images (H, W, 3) or label maps (H, W) uint8.
    """
    choices = fonts(FONT_PX)
    maps = [shown for column in columns.values() for shown in column]
    factor = max(1, LEAST_PX // max(max(shown.shape[:2]) for shown in maps))
    height = factor * max(shown.shape[0] for shown in maps) + GAP_PX
    titles = {title: font_for(title, choices) or choices[-1] for title in columns}
    least = max(font.getlength(title) for title, font in titles.items())
    width = max(factor * max(shown.shape[1] for shown in maps), int(least) + 1) + GAP_PX
    line = FONT_PX + 6
    legend = _legend(maps, classes, width * len(columns) - 2 * GAP_PX, choices)
    n_rows = max(map(len, columns.values()))
    size = (width * len(columns), line + height * n_rows + line * len(legend) + GAP_PX)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for x, (title, column) in enumerate(columns.items()):
        draw.text((x * width + GAP_PX, 1), title, fill="black", font=titles[title])
        for y, shown in enumerate(column):
            rgb = Image.fromarray(shown if shown.ndim == 3 else colourize(shown, classes))
            big = (factor * rgb.width, factor * rgb.height)
            canvas.paste(rgb.resize(big, Image.Resampling.NEAREST), (x * width, line + y * height))
    for y, row in enumerate(legend):
        top = line + height * n_rows + y * line + GAP_PX
        for x, swatch, text, font in row:
            canvas.paste(swatch, (x, top))
            draw.text((x + FONT_PX + 5, top - 2), text, fill="black", font=font)
    return canvas


Entry = tuple[int, Image.Image, str, Font]  # where, the colour, the name, its letters


def _legend(
    maps: Sequence[Pixels], classes: Sequence[str], width: int, choices: Sequence[Font]
) -> list[list[Entry]]:
    """The classes that some maps show, in lines of a width."""
    seen = sorted({int(label) for shown in maps if shown.ndim == 2 for label in np.unique(shown)})
    names = called(classes, lambda text: font_for(text, choices) is not None)
    words = {**dict(enumerate(names)), VOID: "void (never scored)"}
    lines, x = list[list[Entry]]([[]]), GAP_PX
    for label in seen:
        text = cut(words.get(label, f"class {label}"), N_LETTERS)
        font = font_for(text, choices) or choices[-1]
        step = FONT_PX + 5 + int(font.getlength(text)) + 16
        if lines[-1] and x + step > width:
            lines.append([])
            x = GAP_PX
        square = np.full((FONT_PX, FONT_PX), label, np.uint8)
        swatch = np.pad(colourize(square, classes)[1:-1, 1:-1], ((1, 1), (1, 1), (0, 0)))
        lines[-1].append((x, Image.fromarray(swatch), text, font))
        x += step
    return lines
