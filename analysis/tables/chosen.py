"""Owns what a report is about: the declared arms that have a run, of any seed and in any state.

Must not know: wording, figures, pages.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.records import Study


def never_chosen(study: Study) -> tuple[str, ...]:
    """Declared arms without a run; none while there is no run at all."""
    arms = [cell.arm for cell in study.cells if not study.runs_of(cell.arm)]
    return tuple(arms) if study.runs else ()


def chosen(study: Study) -> Study:
    """The study of the arms that have a run: without the others, their contrasts and tunings.

    Its baseline is none where that is an arm left out.
    """
    gone, declared = set(never_chosen(study)), study.declaration
    changes = {
        "cells": tuple(
            cell.having(default=None) if cell.default in gone else cell
            for cell in declared.cells
            if cell.arm not in gone
        ),
        "contrasts": tuple(one for one in declared.contrasts if not {one.a, one.b} & gone),
        "tunings": {arm: found for arm, found in declared.tunings.items() if arm not in gone},
        "baseline": "" if declared.baseline in gone else declared.baseline,
    }
    return replace(study, declaration=declared.having(**changes)) if gone else study
