"""Owns the wording of the answer: numbers of `analysis.answer` in, plain sentences out.

A word that claims (higher, lower, equivalent) stands only where an adjusted interval carries it.
Must not know: files, figures, pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.answer import TERCILES, Answer, Compared
from analysis.records import Study
from analysis.statistics.intervals import verdict
from analysis.tables import tables

POINTS = 100  # mIoU points per unit


def points(value: float) -> str:
    """A difference in mIoU points, signed: 0.0523 -> "+5.2"."""
    text = f"{POINTS * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def between(low: float, high: float) -> str:
    """An interval in points; in words where it holds every difference there can be, or only one."""
    if low <= -1 and high >= 1:
        return "beyond ±100, too few seeds to say anything"
    return "the same in every run" if low == high else f"{points(low)} to {points(high)}"


def sentences(study: Study, answer: Answer) -> list[str]:
    """The answer in a few sentences, each true by itself."""
    lines = [_setting(study), *_choice(study, answer), *_tally(answer)]
    told = sorted(answer.contrasts, key=lambda one: one.verdict == "cannot be told")  # they first
    lines += [contrast_sentence(study, answer, one) for one in told if not _never_run(study, one)]
    if skipped := sum(_never_run(study, one) for one in answer.contrasts):
        arms = [cell.arm for cell in study.cells if not study.runs_of(cell.arm)]
        lines.append(
            f"Planned contrasts not compared because an arm was not run: {skipped} of "
            f"{len(answer.contrasts)} (not run: {', '.join(arms)})."
        )
    lines += tuned_sentences(study, answer)
    lines += [text for one in answer.contrasts if (text := trade_sentence(one))]
    lines += _noise(answer)
    lines += _gaps(study)
    return lines


def _setting(study: Study) -> str:
    recipe, n_images = study.declaration["recipe"], study.data["n_images"]
    parts = [f"{recipe['epochs']} epochs"] if "epochs" in recipe else []
    networks = dict.fromkeys(cell.network for cell in study.cells)
    parts.append(f"networks {', '.join(networks)}")
    weights = study.declaration.get("weights") or {}
    files = [weights] if "source" in weights else list(weights.values())
    if files:
        sources = ", ".join(dict.fromkeys(file["source"] for file in files))
        parts.append(f"pretrained weights: {sources}")
    return (
        f"Study of {study.data['name']} ({n_images['fit']} fit, {n_images['dev']} dev, "
        f"{n_images['test']} test images): {'; '.join(parts)}."
    )


def _choice(study: Study, answer: Answer) -> list[str]:
    if answer.chosen is None:
        return ["No run is finished: there is nothing to compare."]
    done = study.finished(answer.chosen)
    dev, test = (np.mean([run.result[key] for run in done]) for key in ("dev/miou", "test/miou"))
    return [
        f"Chosen on dev alone (highest mean dev mIoU, {dev:.3f}): {answer.chosen}, with test "
        f"mIoU {test:.3f} ({_seeds(len(done))}). Being chosen is no claim that it differs from "
        "the next."
    ]


def _tally(answer: Answer) -> list[str]:
    known = [one for one in answer.contrasts if one.seeds_known]
    if len(known) < 2:
        return []
    counts = {
        word: sum(one.verdict == word for one in known)
        for word in ("better", "worse", "equivalent", "cannot be told")
    }
    told = counts["better"] + counts["worse"]
    return [
        f"Of {len(known)} planned contrasts with an interval, {told} can be told apart, "
        f"{counts['equivalent']} are equivalent, {counts['cannot be told']} cannot be told."
    ]


def _never_run(study: Study, compared: Compared) -> bool:
    return any(not study.runs_of(arm) for arm in (compared.a, compared.b))


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _n(compared: Compared) -> str:
    a, b = compared.seeds_a, compared.seeds_b
    if a == b:
        return f"{_seeds(len(a))} each"
    lists = " against ".join(", ".join(map(str, seeds)) for seeds in (a, b))
    return f"{_seeds(len(a))} against {_seeds(len(b))}: {lists}"


def contrast_sentence(study: Study, answer: Answer, compared: Compared) -> str:
    """What one planned contrast says, with estimate, interval and n."""
    a, b = compared.a, compared.b
    if compared.difference is None or compared.miou is None:
        sides = ((a, compared.seeds_a), (b, compared.seeds_b))
        lacking = [arm for arm, seeds in sides if not seeds]
        states = ", ".join(f"{arm} ({tables.status(study.runs_of(arm))})" for arm in lacking)
        return f"{a} against {b}: no comparison, without a finished run: {states}."
    estimate = points(float(compared.difference.miou.estimate))
    if not compared.seeds_known:
        return (
            f"{a} against {b}: {estimate} points of test mIoU ({_n(compared)}); with one seed "
            "on a side seed noise is unknown, so nothing is claimed."
        )
    family = sum(one.family == compared.family and one.seeds_known for one in answer.contrasts)
    level = "95 % interval" + (
        f", adjusted for the {family} contrasts of {compared.family}" if family > 1 else ""
    )
    weights = _weights(study, compared)
    where = f"{answer.n_images} test images"
    if compared.difference.images_fixed:
        where = f"on these {answer.n_images} images"
    elif answer.n_units < answer.n_images:
        where += f" in {answer.n_units} groups"
    facts = (
        f"{estimate} points of test mIoU ({level}: "
        f"{between(compared.miou.low, compared.miou.high)}; {_n(compared)}, {where}{weights})"
    )
    d = f"{POINTS * answer.smallest:.3g}"
    return {
        "better": f"{a} scores higher than {b}: {facts}.",
        "worse": f"{a} scores lower than {b}: {facts}.",
        "equivalent": f"{a} and {b} are equivalent within {d} points: {facts}.",
        "cannot be told": f"{a} against {b}: the difference cannot be told, {facts}.",
    }[compared.verdict] + _class_claims(study, compared)


def tuned_sentences(study: Study, answer: Answer) -> list[str]:
    """Worse, or only untuned: a planned contrast beside the same one between the tuned sisters.

    Two verdicts side by side; that they differ is not claimed.
    """
    sister = {
        cell["default"]: cell["arm"] for cell in study.declaration["cells"] if "default" in cell
    }
    known = {(one.a, one.b): one for one in answer.contrasts if one.seeds_known}
    lines = []
    for (a, b), untuned in known.items():
        tuned = known.get((sister.get(a), sister.get(b)))
        if tuned is None:
            continue
        budgets = {
            study.declaration["tunings"].get(arm, {}).get("budget_epochs")
            for arm in (tuned.a, tuned.b)
        }
        parts = []
        for when, one in (("at the default settings", untuned), ("with both tuned", tuned)):
            said = {
                "better": "scores higher",
                "worse": "scores lower",
                "equivalent": f"is equivalent within {POINTS * answer.smallest:.3g} points",
                "cannot be told": "cannot be told apart",
            }[one.verdict]
            parts.append(
                f"{when} it {said} ({points(float(one.difference.miou.estimate))} points, "
                f"{between(one.miou.low, one.miou.high)})"
            )
        question = {
            "worse": "Worse, or only untuned?",
            "better": "Better, or is only the other untuned?",
        }
        lines.append(
            f"{question.get(untuned.verdict, 'Untuned and tuned:')} {a} against {b}: "
            f"{'; '.join(parts)}."
        )
        if len(budgets) == 1 and None not in budgets:
            lines[-1] += f" Each was given {budgets.pop()} epochs of trials."
    return lines


def _weights(study: Study, compared: Compared) -> str:
    """Which pretrained weights a contrast speaks of, where it has any."""
    sources = dict.fromkeys(
        source
        for arm in (compared.a, compared.b)
        for run in study.finished(arm)
        if (source := run.config.get("weights_source"))
    )
    return f", weights: {', '.join(sources)}" if sources else ""


def _class_claims(study: Study, compared: Compared) -> str:
    parts = []
    for word, wanted in (("higher", "better"), ("lower", "worse")):
        found = [
            f"{name} {points(float(compared.classes.estimate[i]))} ("
            f"{between(compared.classes.low[i], compared.classes.high[i])})"
            for i, (name, what) in enumerate(
                zip(study.classes, compared.class_verdicts, strict=True)
            )
            if what == wanted
        ]
        parts += [f"{word} on {', '.join(found)}"] if found else []
    return (
        f" Per class (95 %, adjusted over the classes), {compared.a} is {'; '.join(parts)}."
        if parts
        else ""
    )


def trade_sentence(compared: Compared) -> str:
    """One sentence where frequent and rare classes move in opposite ways; else ""."""
    if compared.terciles is None or not compared.seeds_known:
        return ""
    rare, _, frequent = verdict(compared.terciles, 0.0)
    moves = [
        f"{name} classes {points(float(compared.terciles.estimate[i]))} points "
        f"({between(compared.terciles.low[i], compared.terciles.high[i])})"
        for i, name in enumerate(TERCILES)
    ]
    if (rare, frequent) == ("worse", "better"):
        return (
            f"{compared.a} against {compared.b} buys frequent classes with rare ones: "
            f"{moves[2]}, {moves[0]} (95 %, adjusted over the three groups; {_n(compared)})."
        )
    if (rare, frequent) == ("better", "worse"):
        return (
            f"{compared.a} against {compared.b} buys rare classes with frequent ones: "
            f"{moves[0]}, {moves[2]} (95 %, adjusted over the three groups; {_n(compared)})."
        )
    return ""


def _noise(answer: Answer) -> list[str]:
    lines, d = [], f"{POINTS * answer.smallest:.3g}"
    for row in answer.noise.to_dict("records"):
        if math.isnan(row["detectable"]):
            lines.append(
                f"{row['network']}: no two of its arms have two seeds, so the noise "
                "between seeds is unknown."
            )
            continue
        text = (
            f"{row['network']}, {_seeds(row['n'])} per arm: a true difference of "
            f"{POINTS * row['detectable']:.1f} points between {row['a']} and {row['b']} would "
            "be told 4 times in 5 (not adjusted), a smaller one less often"
        )
        need = row["seeds needed"]
        if math.isfinite(need):
            text += f"; for {d} points, {need:.0f} seeds per arm"
        elif not math.isnan(need):
            text += f"; for {d} points no number of seeds up to 1000 would do on these images"
        lines.append(text + ".")
    return lines


def _gaps(study: Study) -> list[str]:
    lines = []
    for cell in study.cells:
        runs = study.runs_of(cell.arm)
        failed: Sequence = [run for run in runs if run.state == "failed"]
        if failed:
            seeds = ", ".join(f"{run.seed} ({run.error})" for run in failed)
            left = len(study.finished(cell.arm))
            lines.append(f"{cell.arm} failed at seed {seeds}; n left: {left}.")
    counts = {arm: n for arm, n in tables.n_finished(study).items() if n}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{arm} {n}" for arm, n in counts.items())
        lines.append(f"Unequal numbers of seeds: {shown}.")
    absent = [
        name for name, there in zip(study.classes, study.present("test"), strict=True) if not there
    ]
    if absent:
        lines.append(f"Not in test, so without a score: {', '.join(absent)}.")
    return lines
