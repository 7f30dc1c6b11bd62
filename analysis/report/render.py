"""Owns how a report is written down: the same sections as Markdown and as one HTML page.

Every string that goes in is text, never markup: both renderers escape all of it.
Must not know: studies, tables' meaning, files other than the page template.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

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
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    with rc_context({"svg.hashsalt": name}):  # the same figure gives the same file
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    width_px = round(figure.get_figwidth() * CSS_PX_PER_INCH)
    return Picture(name, png.getvalue(), width_px, alt, caption, svg.getvalue())


def latex(table: pd.DataFrame) -> str:
    """A table as a LaTeX tabular, every string escaped."""
    plain = table.rename(columns=lambda name: tex(str(name)))
    return plain.to_latex(
        index=False,
        escape=False,
        na_rep="--",
        float_format="%.4f",
        formatters={
            tex(str(name)): (lambda value: tex(str(value)))
            for name in table.columns
            if not pd.api.types.is_numeric_dtype(table[name])
        },
    )


def tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {letter: f"\\{letter}" for letter in "&%$#_{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\n": " "}
    return "".join(special.get(letter, letter) for letter in text)


Columns = Mapping[str, tuple[str, Callable[[Any], str]]]  # column -> header, how a value is shown


def grid(table: pd.DataFrame, columns: Columns, caption: str = "") -> Grid:
    """The named columns of a table as strings; a missing value is a dash."""
    shown = [[cell(value, show) for value in table[name]] for name, (_, show) in columns.items()]
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in columns]
    rows = list(zip(*shown, strict=True))
    return Grid([header for header, _ in columns.values()], rows, numeric, caption)


def grid_or(none: str, table: pd.DataFrame, columns: Columns, caption: str = "") -> Block:
    """As `grid`; the sentence `none` where there is nothing to list."""
    return grid(table, columns, caption) if len(table) else Text(none)


def pairs(values: Mapping[str, Any], header: str) -> Block:
    """A two-column table of settings."""
    rows = [
        (str(key), value if isinstance(value, str) else json.dumps(value, default=str))
        for key, value in values.items()
    ]
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


def html(title: str, lead: Sequence[Block], sections: Sequence[Section]) -> str:
    """One self-contained page: styles and figures inline, nothing fetched, no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.jinja")
    return page.render(title=title, lead=lead, sections=sections)


def markdown(title: str, lead: Sequence[Block], sections: Sequence[Section]) -> str:
    """The same report as Markdown; figures are links to `figures/*.png`."""
    parts = [f"# {escape(title)}", *map(_block, lead)]
    for section in sections:
        parts += [f"## {escape(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text for one line of Markdown or one cell: no line break, no markup, no HTML, no cell end."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\|`*[":
        text = text.replace(mark, "\\" + mark)
    return text


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"**{escape(block.text)}**" if block.strong else escape(block.text)
        case Bullets():
            return "\n".join(f"- {escape(item)}" for item in block.items)
        case Grid():
            rule = ["---:" if numeric else "---" for numeric in block.numeric]
            rows = [map(escape, block.headers), rule, *(map(escape, row) for row in block.rows)]
            lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
            return lines + (f"\n\n{escape(block.caption)}" if block.caption else "")
        case Picture():
            return f"![{escape(block.alt)}](figures/{block.name}.png)\n\n{escape(block.caption)}"
        case Code():
            lines = "\n".join(" ".join(line.split()) for line in block.lines)
            return f"```sh\n{lines}\n```"
