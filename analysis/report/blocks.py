"""Owns what a page is made of: paragraphs, tables, pictures; and how a number is written.

Every string that goes in is text, never markup. Must not know: studies, tables' meaning, markup.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.figures.fonts import dress
from analysis.tables.runs import shown

PNG_DPI = 150
CSS_PX_PER_INCH = 96


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` for what a reader must not miss."""

    text: str
    strong: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Bullets:
    """A list, one line each."""

    items: Sequence[str]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Grid:
    """A table of ready strings with a caption; `numeric` columns are set flush right."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    caption: str = ""
    kind: ClassVar[str] = "grid"

    @property
    def wide(self) -> list[bool]:
        """Columns that hold long text and need room to wrap."""
        return [any(len(row[i]) > 60 for row in self.rows) for i in range(len(self.headers))]


@dataclass(frozen=True)
class Picture:
    """A PNG under `figures/<name>.png`, with its natural width on screen."""

    name: str
    png: bytes
    width_px: int
    alt: str
    caption: str
    svg: bytes = b""
    kind: ClassVar[str] = "picture"

    @property
    def base64(self) -> str:
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Code:
    """Lines to paste into a shell."""

    lines: Sequence[str]
    kind: ClassVar[str] = "code"


Block = Text | Bullets | Grid | Picture | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


def picture(name: str, figure: Figure, alt: str, caption: str) -> Picture:
    """Draw a figure; `alt` says what it shows to who cannot see it."""
    dress(figure)
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    with rc_context({"svg.hashsalt": name}):  # the same figure gives the same file
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    width_px = round(figure.get_figwidth() * CSS_PX_PER_INCH)
    return Picture(name, png.getvalue(), width_px, alt, caption, svg.getvalue())


Columns = dict[str, tuple[str, Callable[[Any], str]]]  # column -> header, how a value is shown


def as_is(*names: str) -> Columns:
    """Columns shown under their own names as they are."""
    return {name: (name, str) for name in names}


def grid(table: pd.DataFrame, columns: Columns, caption: str = "") -> Grid:
    """The named columns of a table as strings; a missing value is a dash."""
    cells = [[cell(value, show) for value in table[name]] for name, (_, show) in columns.items()]
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in columns]
    rows = list(zip(*cells, strict=True))
    return Grid([header for header, _ in columns.values()], rows, numeric, caption)


def grid_or(none: str, table: pd.DataFrame, columns: Columns, caption: str = "") -> Block:
    """As `grid`; the sentence `none` where there is nothing to list."""
    return grid(table, columns, caption) if len(table) else Text(none)


def pairs(values: Mapping[str, Any], header: str) -> Block:
    """A two-column table of settings."""
    rows = [(str(key), shown(value)) for key, value in values.items()]
    return Grid([header, "value"], rows, [False, False]) if rows else Text("Not recorded.")


def cell(value: Any, show: Callable[[Any], str]) -> str:
    """A value as text; a missing one is a dash."""
    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    return "–" if missing else show(value)


def fraction(value: float) -> str:
    return f"{value:.3f}"


def one_decimal(value: float) -> str:
    return f"{value:.1f}"


def two_decimals(value: float) -> str:
    return f"{value:.2f}"


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
