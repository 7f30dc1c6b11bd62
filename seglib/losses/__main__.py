"""Prints the README's table of losses: `python -m seglib.losses`."""

from __future__ import annotations

from seglib.losses.base import Param, Term
from seglib.losses.catalog import LOSSES, LossSpec
from seglib.losses.region import SMOOTH
from seglib.losses.sums import SWITCHES

USUAL = {**SWITCHES, **SMOOTH}


def _param(name: str, param: Param) -> str:
    default = param.default
    if isinstance(default, float):
        default = f"{default:g}"
    if param.choices:
        return f"`{name}={default} {{{', '.join(param.choices)}}}`"
    default = "1 - fn_weight" if default is None else default
    return f"`{name}={default} [{param.low:g}, {param.high:g}]`"


def _part(share: str, term: Term) -> str:
    return f"{share} x " + (f"`{term.name}`" if term.name in LOSSES else f"[{term.formula}]")


def _row(name: str, spec: LossSpec) -> str:
    formula, source = spec.terms[0].formula, spec.terms[0].source
    if spec.share:
        pixel, region = spec.terms
        formula = f"{_part('share', region)} + {_part('(1 - share)', pixel)}"
        own = dict.fromkeys(term.source for term in spec.terms if term.name not in LOSSES)
        source = "; ".join(own) or "a sum of losses above"
    params = [
        _param(k, p)
        for k, p in spec.params.items()
        if k not in USUAL or p.default != USUAL[k].default
    ]
    cells = (f"`{name}`", formula, source, ", ".join(params) or "none")
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def markdown_table() -> str:
    """A row a loss, its parameters as `name=default [allowed]`; then what the rows leave out."""
    rows = [_row(name, spec) for name, spec in LOSSES.items()]
    usual = ", ".join(_param(name, param) for name, param in USUAL.items())
    without = [
        f"`{name}`" for name, spec in LOSSES.items() if spec.region and "smooth" not in spec.params
    ]
    return "\n".join(
        [
            "| loss | formula | source | its own parameters |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"Region terms also take {usual}, where the row names no other default; "
            f"{', '.join(without)} take no `smooth` and are never `flattened`. p: probability, "
            "p_y: of the true class; g: 1 on the pixels of a class, else 0; TP, FP, FN: sums of "
            "p g, p (1 - g), (1 - p) g over valid pixels; P and G: sums of p and g; N: valid "
            "pixels; s: `smooth`.",
        ]
    )


if __name__ == "__main__":
    print(markdown_table())
