"""Owns what a report says of runs that did not learn: lines of the lead, and a section.

What was seen, without a claiming word. Must not know: how it is computed, files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.figures.style import count
from analysis.records import Study
from analysis.report.blocks import Section, as_is, grid_or
from analysis.tables.signs import predictions
from analysis.tables.signs import signs as table_of_signs
from seglib.metrics import Predicted, listed

TITLE = "Collapsed and stalled runs"
MOST_ARMS = 4  # that the lead names
MOST_ROWS = 100  # of the table on the page; the file has all


def sign_sentences(study: Study) -> list[str]:
    """What no run predicts, then arm by arm what its runs predict alone or never; then curves."""
    seen = predictions(study)
    runs = [one for those in seen.values() for one in those]
    nowhere = set.intersection(*(set(one.never) for one in runs)) if runs else set()
    names = [study.classes[i] for i in sorted(nowhere)]
    runs_text = (
        "the one finished run" if len(runs) == 1 else f"any of the {len(runs)} finished runs"
    )
    lines = [f"Never predicted on test by {runs_text}: {listed(names)}."] if names else []
    arms = [text for arm, those in seen.items() if (text := _arm(study, arm, those, nowhere))]
    lines += arms[:MOST_ARMS]
    if more := len(arms[MOST_ARMS:]):
        lines.append(f"{count(more, 'more arm')} with such runs: under {TITLE}.")
    return lines + _curves(study)


def _arm(study: Study, arm: str, runs: Sequence[Predicted], nowhere: set[int]) -> str:
    """How many runs of an arm predict one class alone, and how many of the others never one that
    some run does; "" for none."""
    alone = Counter(one.only for one in runs if one.only is not None)
    others = [one for one in runs if one.only is None]
    missed = Counter(label for one in others for label in one.never if label not in nowhere)
    parts = [
        f"predicted only {study.classes[label]} in {n} of {count(len(runs), 'run')}"
        for label, n in alone.items()
    ]
    if missed:
        names = [f"{study.classes[label]} in {n}" for label, n in missed.most_common()]
        whole = f"the other {len(others)}" if alone else count(len(others), "run")
        parts.append(f"never predicted {listed(names)} of {whole}")
    return f"{arm}, on test: {'; '.join(parts)}." if parts else ""


def _curves(study: Study) -> list[str]:
    kinds = Counter(table_of_signs(study)["kind"])
    told = {
        "no rise": "dev mIoU never rose above its first evaluation",
        "plateau": "the train loss did not fall by 2 % over the second half",
    }
    n = len(study.finished())
    parts = [f"in {kinds[kind]} {text}" for kind, text in told.items() if kinds[kind]]
    return [f"Of {count(n, 'finished run')}, {'; '.join(parts)} (under {TITLE})."] if parts else []


def collapsed(study: Study) -> Section:
    """Every sign of every run."""
    caption = (
        "What each finished run shows under the weights of its best dev epoch: every valid pixel "
        "predicted as one class; classes in the truth that it never predicts; no dev evaluation "
        "above the first of three or more; a train loss whose median over the last quarter of the "
        "epochs is not 2 % below that over the second (8 epochs or more). Nothing here is tested, "
        "and none of it says why."
    )
    table = table_of_signs(study)
    if len(table) > MOST_ROWS:
        caption = f"The first {MOST_ROWS} of {len(table)}; all are in tables/signs.csv. {caption}"
    none = "No finished run predicts one class alone, misses a class, or stands still."
    return Section(TITLE, [grid_or(none, table[:MOST_ROWS], as_is("run", "kind", "what"), caption)])
