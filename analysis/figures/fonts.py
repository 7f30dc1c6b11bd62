"""Which installed fonts have the letters of a text; what figures call names that none has.

Matplotlib looks for a letter in each family of a list in turn, and warns of those that none has:
here the families are found beforehand. Must not know: studies, files of ours, pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from seglib import drawing

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of weights: no news
Caller = Callable[[Sequence[str], str], list[str]]


@lru_cache(maxsize=4096)
def families(text: str) -> tuple[str, ...] | None:
    """The families that a text needs beside the default one, the fewest first found.

    None where no installed font has one of its letters, or where drawing them takes more than
    letter after letter from left to right (Arabic, Devanagari's marks, control characters).
    """
    letters = set(text) - {"\n"}
    if not all(map(drawing.simple, letters)):
        return None
    lacking, found = {one for one in letters if not _has("", one)}, list[str]()
    while lacking:
        counts = {name: sum(_has(name, one) for one in lacking) for name in _installed()}
        best = max(counts, key=lambda name: counts[name], default="")
        if not counts.get(best):
            return None
        found.append(best)
        lacking = {one for one in lacking if not _has(best, one)}
    return tuple(found)


def drawable(text: str) -> bool:
    """Whether figures can show a text."""
    return families(text) is not None


def called(names: Sequence[str], noun: str = "class") -> list[str]:
    """What figures call these names: themselves where they can be drawn, else "class 3"."""
    return drawing.called(names, drawable, noun)


def files_for(text: str) -> list[Path]:
    """The files of the families that a text needs beside the default one."""
    return [Path(str(_found(family))) for family in families(text) or ()]


def renamed(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """A table with its column "class" as figures call them."""
    names = dict(zip(classes, called(classes), strict=True))
    return table.assign(**{"class": table["class"].map(names)})


def key(names: Sequence[str], noun: str = "class", drawn: Caller = called) -> str:
    """ " class 1 is ..., class 2 is ...": what stands beside a figure of such names; else "".

    Args: drawn: how the figure calls them.
    """
    pairs = zip(drawn(names, noun), names, strict=True)
    told = [f"{one} is {name}" for one, name in pairs if one != drawing.one_line(name)]
    return f" In this figure {', '.join(told)}." if told else ""


def without_letters(names: Sequence[str]) -> list[str]:
    """One note on classes that figures number, [] if there is none."""
    n = sum(one != drawing.one_line(name) for one, name in zip(called(names), names, strict=True))
    which = "the class whose name" if n == 1 else f"the {n} classes whose names"
    return [
        f"figures number {which} no installed font can draw, with the names under each figure (a "
        "font such as Noto Sans CJK draws Chinese, Japanese and Korean)"
    ] * bool(n)


def escaped(text: str) -> str:
    """Text of which every letter that no font has stands as its code point."""
    text = "".join(" " if one.isspace() and one != "\n" else one for one in text)
    if drawable(text):
        return text
    return "".join(one if one == "\n" or drawable(one) else f"\\u{ord(one):04x}" for one in text)


def dress(figure: Figure) -> None:
    """Give each text of a figure the families that it needs."""
    for artist in figure.findobj(Text):
        if isinstance(artist, Text) and (more := families(artist.get_text())):
            artist.set_fontfamily([*artist.get_fontfamily(), *more])


@cache
def _installed() -> tuple[str, ...]:
    """All families, those without serifs first; not the one that draws a box for every letter."""
    names = {one.name for one in fontManager.ttflist if "Last Resort" not in one.name}
    return tuple(sorted(names, key=lambda name: ("Sans" not in name, name)))


@lru_cache(maxsize=1 << 16)
def _has(family: str, letter: str) -> bool:
    font = _font(family)
    return font is not None and font.get_char_index(ord(letter)) > 0


@lru_cache(maxsize=512)
def _font(family: str) -> FT2Font | None:
    """The font that matplotlib takes for a family, "" for its default; None: it is gone."""
    try:
        path = _found(family)
        index = getattr(path, "face_index", 0)  # since Matplotlib 3.11
        return FT2Font(str(path), face_index=index) if index else FT2Font(str(path))
    except (OSError, RuntimeError, ValueError):
        return None


def _found(family: str) -> str:
    chosen = FontProperties(family=[family]) if family else FontProperties()
    return findfont(chosen, fallback_to_default=not family, rebuild_if_missing=False)
