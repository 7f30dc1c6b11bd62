"""Owns how a report is written down: the same sections as Markdown and one HTML page.

Both escape the strings that go in. Must not know: studies, files other than the page template.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.report.blocks import Block, Bullets, Code, Grid, Picture, Section, Text
from analysis.report.exits import html as escape_html
from analysis.report.exits import markdown as escape
from analysis.report.exits import one_line


def html(title: str, lead: Sequence[Block], sections: Sequence[Section]) -> str:
    """One self-contained page: styles and figures inline, nothing fetched, no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=escape_html,
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


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"**{escape(block.text)}**" if block.strong else escape(block.text)
        case Bullets():
            return "\n".join(f"- {escape(item)}" for item in block.items)
        case Grid():
            rule = ["---:" if numeric else "---" for numeric in block.numeric]
            rows = [
                map(escape, block.headers),
                rule,
                *(map(escape, row) for row in block.rows),
            ]
            lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
            return lines + (f"\n\n{escape(block.caption)}" if block.caption else "")
        case Picture():
            return f"![{escape(block.alt)}](figures/{block.name}.png)\n\n{escape(block.caption)}"
        case Code():
            lines = "\n".join(map(one_line, block.lines))
            return f"```sh\n{lines}\n```"
