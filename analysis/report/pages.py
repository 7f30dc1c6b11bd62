"""Owns how a report is written down: the same sections as Markdown and one HTML page; LaTeX tables.

All escape the strings that go in. Must not know: studies, files other than the page template.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.report.blocks import Block, Bullets, Code, Grid, Picture, Section, Text


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


def latex(table: pd.DataFrame) -> str:
    """A table as a LaTeX tabular, every string escaped."""
    plain = table.rename(columns=lambda name: tex(str(name)))
    text: str = plain.to_latex(
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
    return text


def tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {letter: f"\\{letter}" for letter in "&%$#_{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\n": " "}
    return "".join(special.get(letter, letter) for letter in text)
