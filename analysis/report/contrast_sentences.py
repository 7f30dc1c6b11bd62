"""Owns the sentences about planned contrasts.

A word that claims (higher, lower, equivalent) stands only where an adjusted interval carries it.
Must not know: files, figures, pages.
"""

from __future__ import annotations

from analysis.answer import TERCILES, Answer, Compared, Planned
from analysis.records import Study
from analysis.report.wording import between, n_seeds, points, smallest_points, told
from analysis.statistics.intervals import Intervals, verdict
from analysis.tables.arms import status


def contrast_sentence(study: Study, answer: Answer, planned: Planned) -> str:
    """What one planned contrast says, with estimate, interval and n."""
    a, b = planned.a, planned.b
    if not isinstance(planned, Compared):
        sides = ((a, planned.seeds_a), (b, planned.seeds_b))
        lacking = [arm for arm, seeds in sides if not seeds]
        states = ", ".join(f"{arm} ({status(study.runs_of(arm))})" for arm in lacking)
        return f"{a} against {b}: no comparison, without a finished run: {states}."
    if not planned.seeds_known:
        return (
            f"{a} against {b}: {points(planned.estimate)} points of test mIoU "
            f"({n_seeds(planned)}); with one seed on a side seed noise is unknown, so nothing is "
            "claimed."
        )
    facts = _facts(study, answer, planned)
    return {
        "better": f"{a} scores higher than {b}: {facts}.",
        "worse": f"{a} scores lower than {b}: {facts}.",
        "equivalent": f"{a} and {b} are equivalent within {smallest_points(answer.smallest)} "
        f"points: {facts}.",
        "cannot be told": f"{a} against {b}: the difference cannot be told, {facts}.",
    }[planned.verdict] + _class_claims(study, planned)


def _facts(study: Study, answer: Answer, compared: Compared) -> str:
    """Estimate, interval, seeds, images and weights."""
    family = sum(one.family == compared.family for one in answer.known)
    level = "95 % interval" + (
        f", adjusted for the {family} contrasts of {compared.family}" if family > 1 else ""
    )
    where = f"{answer.n_images} test images"
    if compared.difference.images_fixed:
        where = f"on these {answer.n_images} images"
    elif answer.n_units < answer.n_images:
        where += f" in {answer.n_units} groups"
    return (
        f"{points(compared.estimate)} points of test mIoU ({level}: "
        f"{between(compared.miou.low, compared.miou.high)}; {n_seeds(compared)}, "
        f"{where}{_weights(study, compared)})"
    )


def _weights(study: Study, compared: Compared) -> str:
    """Which pretrained weights a contrast speaks of, where it has any."""
    sources = dict.fromkeys(
        str(source)
        for arm in (compared.a, compared.b)
        for run in study.finished(arm)
        if (source := run.config.get("weights_source"))
    )
    return f", weights: {', '.join(sources)}" if sources else ""


def _class_claims(study: Study, compared: Compared) -> str:
    parts = []
    for word, wanted in (("higher", "better"), ("lower", "worse")):
        found = [
            _group(name, compared.classes, i)
            for i, name in enumerate(study.classes)
            if compared.class_verdicts[i] == wanted
        ]
        parts += [f"{word} on {', '.join(found)}"] if found else []
    return (
        f" Per class (95 %, adjusted over the classes), {compared.a} is {'; '.join(parts)}."
        if parts
        else ""
    )


def _group(name: str, intervals: Intervals, index: int, unit: str = "") -> str:
    one = intervals.at(index)
    return f"{name} {points(one.estimate)}{unit} ({between(one.low, one.high)})"


def tuned_sentences(study: Study, answer: Answer) -> list[str]:
    """Worse, or only untuned: a planned contrast beside the same one between the tuned sisters.

    Two verdicts side by side; that they differ is not claimed.
    """
    sister = {cell.default: cell.arm for cell in study.cells if cell.default}
    known = {(one.a, one.b): one for one in answer.known}
    questions = {
        "worse": "Worse, or only untuned?",
        "better": "Better, or is only the other untuned?",
    }
    lines = []
    for (a, b), untuned in known.items():
        tuned = known.get((sister.get(a, ""), sister.get(b, "")))
        if tuned is None:
            continue
        parts = [
            f"{when} it {_said(one, answer.smallest)} ({told(one)})"
            for when, one in (("at the default settings", untuned), ("with both tuned", tuned))
        ]
        question = questions.get(untuned.verdict, "Untuned and tuned:")
        lines.append(f"{question} {a} against {b}: {'; '.join(parts)}.")
        budgets = {study.declaration.tunings[arm].budget_epochs for arm in (tuned.a, tuned.b)}
        if len(budgets) == 1:
            lines[-1] += f" Each was given {budgets.pop()} epochs of trials."
    return lines


def _said(compared: Compared, smallest: float) -> str:
    return {
        "better": "scores higher",
        "worse": "scores lower",
        "equivalent": f"is equivalent within {smallest_points(smallest)} points",
        "cannot be told": "cannot be told apart",
    }[compared.verdict]


def trade_sentence(compared: Compared) -> str:
    """One sentence where frequent and rare classes move in opposite ways; else ""."""
    if compared.terciles is None or not compared.seeds_known:
        return ""
    rare, _, frequent = verdict(compared.terciles, 0.0)
    moves = {
        name: _group(f"{name} classes", compared.terciles, i, " points")
        for i, name in enumerate(TERCILES)
    }
    won, lost = {
        ("worse", "better"): ("frequent", "rare"),
        ("better", "worse"): ("rare", "frequent"),
    }.get((str(rare), str(frequent)), ("", ""))
    if not won:
        return ""
    return (
        f"{compared.a} against {compared.b} buys {won} classes with {lost} ones: {moves[won]}, "
        f"{moves[lost]} (95 %, adjusted over the three groups; {n_seeds(compared)})."
    )
