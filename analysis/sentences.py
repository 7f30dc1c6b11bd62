"""Owns the wording of the answer: numbers of `analysis.answer` in, plain sentences out.

A word that claims (higher, lower, equivalent) stands only where an adjusted interval carries it.
Must not know: files, figures, pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis import tables
from analysis.answer import TERCILES, Answer, Compared
from analysis.records import Study
from analysis.stats import Interval, verdict

POINTS = 100  # mIoU points per unit


def points(value: float) -> str:
    """A difference in mIoU points, signed: 0.0523 -> "+5.2"."""
    text = f"{POINTS * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def between(interval: Interval) -> str:
    return f"{points(float(interval.low))} to {points(float(interval.high))}"


def sentences(study: Study, answer: Answer) -> list[str]:
    """The answer in a few sentences, each true by itself."""
    lines = [_setting(study), *_choice(study, answer)]
    lines += [contrast_sentence(study, answer, one) for one in answer.contrasts
              if not _never_run(study, one)]
    if skipped := sum(_never_run(study, one) for one in answer.contrasts):
        lines.append(f"Planned contrasts not compared because an arm was not run: {skipped} of "
                     f"{len(answer.contrasts)}.")
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
    return (f"Study of {study.data['name']} ({n_images['fit']} fit, {n_images['dev']} dev, "
            f"{n_images['test']} test images): {'; '.join(parts)}.")


def _choice(study: Study, answer: Answer) -> list[str]:
    if answer.chosen is None:
        return ["No run is finished: there is nothing to compare."]
    done = study.finished(answer.chosen)
    dev, test = (np.mean([run.result[key] for run in done]) for key in ("dev/miou", "test/miou"))
    return [f"Chosen on dev alone (highest mean dev mIoU, {dev:.3f}): {answer.chosen}, with test "
            f"mIoU {test:.3f} ({_seeds(len(done))}). Being chosen is no claim that it differs from "
            "the next."]


def _never_run(study: Study, compared: Compared) -> bool:
    return any(not study.runs_of(arm) for arm in (compared.a, compared.b))


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _n(compared: Compared) -> str:
    a, b = len(compared.seeds_a), len(compared.seeds_b)
    same = compared.seeds_a == compared.seeds_b
    return f"{_seeds(a)} each" if same else f"{_seeds(a)} against {_seeds(b)}, not the same ones"


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
        few = ("one seed" if min(len(compared.seeds_a), len(compared.seeds_b)) == 1
               else "these seeds")
        return (f"{a} against {b}: {estimate} points of test mIoU with {few} ({_n(compared)}); "
                "seed noise is unknown, so nothing is claimed.")
    family = sum(one.family == compared.family and one.seeds_known for one in answer.contrasts)
    level = "95 % interval" + (
        f", adjusted for the {family} contrasts of {compared.family}" if family > 1 else "")
    weights = _weights(study, compared)
    where = (f"on these {answer.n_images} images" if compared.difference.images_fixed
             else f"{answer.n_images} test images")
    facts = (f"{estimate} points of test mIoU ({level}: {between(compared.miou)}; {_n(compared)}, "
             f"{where}{weights})")
    d = f"{POINTS * answer.smallest:.3g}"
    return {
        "better": f"{a} scores higher than {b}: {facts}.",
        "worse": f"{a} scores lower than {b}: {facts}.",
        "equivalent": f"{a} and {b} are equivalent within {d} points: {facts}.",
        "cannot be told": f"{a} against {b}: the difference cannot be told, {facts}.",
    }[compared.verdict] + _class_claims(study, compared)


def _weights(study: Study, compared: Compared) -> str:
    """Which pretrained weights a contrast speaks of, where it has any."""
    sources = dict.fromkeys(
        source for arm in (compared.a, compared.b) for run in study.finished(arm)
        if (source := run.config.get("weights_source")))
    return f", weights: {', '.join(sources)}" if sources else ""


def _class_claims(study: Study, compared: Compared) -> str:
    parts = []
    for word, wanted in (("higher", "better"), ("lower", "worse")):
        found = [
            f"{name} {points(float(compared.classes.estimate[i]))}"
            for i, (name, what) in enumerate(zip(study.classes, compared.class_verdicts,
                                                 strict=True)) if what == wanted]
        parts += [f"{word} on {', '.join(found)}"] if found else []
    return f" Per class, adjusted over the classes: {'; '.join(parts)}." if parts else ""


def trade_sentence(compared: Compared) -> str:
    """One sentence where frequent and rare classes move in opposite ways; else ""."""
    if compared.terciles is None or not compared.seeds_known:
        return ""
    rare, _, frequent = verdict(compared.terciles, 0.0)
    moves = [
        f"{name} classes {points(float(compared.terciles.estimate[i]))} points "
        f"({points(float(compared.terciles.low[i]))} to "
        f"{points(float(compared.terciles.high[i]))})"
        for i, name in enumerate(TERCILES)]
    if (rare, frequent) == ("worse", "better"):
        return (f"{compared.a} against {compared.b} buys frequent classes with rare ones: "
                f"{moves[2]}, {moves[0]}.")
    if (rare, frequent) == ("better", "worse"):
        return (f"{compared.a} against {compared.b} buys rare classes with frequent ones: "
                f"{moves[0]}, {moves[2]}.")
    return ""


def _noise(answer: Answer) -> list[str]:
    lines = []
    for row in answer.noise.to_dict("records"):
        if math.isnan(row["detectable"]):
            lines.append(f"{row['network']}: with {_seeds(row['n'])} the noise between seeds is "
                         "unknown.")
            continue
        need = row["seeds needed"]
        more = (f"{need:.0f} seeds per arm would be needed" if math.isfinite(need)
                else "no number of seeds on these images would be enough")
        lines.append(
            f"{row['network']}: with {_seeds(row['n'])} per arm, differences between its arms "
            f"below about {POINTS * row['detectable']:.1f} points can mostly not be told (80 % "
            f"power, before adjustment); for {POINTS * answer.smallest:.3g} points, {more}.")
    return lines


def _gaps(study: Study) -> list[str]:
    lines = []
    for cell in study.cells:
        runs = study.runs_of(cell.arm)
        failed: Sequence = [run for run in runs if run.state == "failed"]
        if failed:
            seeds = ", ".join(str(run.seed) for run in failed)
            left = len(study.finished(cell.arm))
            lines.append(f"{cell.arm} failed at seed {seeds} ({failed[0].error}); n left: {left}.")
    counts = {arm: n for arm, n in tables.n_finished(study).items() if n}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{arm} {n}" for arm, n in counts.items())
        lines.append(f"Unequal numbers of seeds: {shown}.")
    absent = [name for name, there in zip(study.classes, study.present("test"), strict=True)
              if not there]
    if absent:
        lines.append(f"Not in test, so without a score: {', '.join(absent)}.")
    return lines
