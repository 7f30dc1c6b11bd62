"""Owns the answer in a few sentences: which, in which order, and those about the whole study.

A word that claims (higher, lower, equivalent) stands only where an adjusted interval carries it.
Must not know: files, figures, pages.
"""

from __future__ import annotations

import math

import numpy as np

from analysis.answer import Answer, Compared, Crossing, Planned
from analysis.figures.style import count
from analysis.records import Study
from analysis.report.contrast_sentences import contrast_sentence, trade_sentence, tuned_sentences
from analysis.report.signs import sign_sentences
from analysis.report.wording import POINTS, smallest_points
from analysis.tables.arms import n_finished
from seglib.metrics import listed


def sentences(study: Study, answer: Answer) -> list[str]:
    """The answer in a few sentences, each true by itself."""
    lines = [_setting(study), *sign_sentences(study), *_choice(study, answer), *_tally(answer)]
    ordered = sorted(answer.contrasts, key=lambda one: not _told(one))
    lines += [
        contrast_sentence(study, answer, one) for one in ordered if not _never_run(study, one)
    ]
    if skipped := sum(_never_run(study, one) for one in answer.contrasts):
        arms = [cell.arm for cell in study.cells if not study.runs_of(cell.arm)]
        lines.append(
            f"Planned contrasts not compared because an arm was not run: {skipped} of "
            f"{len(answer.contrasts)} (not run: {', '.join(arms)})."
        )
    lines += tuned_sentences(study, answer)
    lines += [text for one in answer.compared if (text := trade_sentence(one))]
    lines += _noise(study, answer)
    lines += _gaps(study)
    return lines


def _told(planned: Planned) -> bool:
    return isinstance(planned, Compared) and planned.verdict != "cannot be told"


def _never_run(study: Study, planned: Planned) -> bool:
    return any(not study.runs_of(arm) for arm in (planned.a, planned.b))


def _setting(study: Study) -> str:
    recipe, n_images = study.declaration.recipe, study.data.n_images
    epochs = dict.fromkeys(cell.values.get("epochs", recipe["epochs"]) for cell in study.cells)
    parts = [f"{' or '.join(map(str, epochs))} epoch{'' if list(epochs) == [1] else 's'}"]
    networks = dict.fromkeys(cell.network for cell in study.cells)
    parts.append(f"networks {', '.join(networks)}")
    if sources := dict.fromkeys(file.source for file in study.declaration.weights.values()):
        parts.append(f"pretrained weights: {', '.join(sources)}")
    return (
        f"Study of {study.data.name} ({n_images['fit']} fit, {n_images['dev']} dev, "
        f"{n_images['test']} test images): {'; '.join(parts)}."
    )


def _choice(study: Study, answer: Answer) -> list[str]:
    if answer.chosen is None:
        return ["No run is finished: there is nothing to compare."]
    done = study.finished(answer.chosen)
    dev, test = (np.mean([run.result[key] for run in done]) for key in ("dev/miou", "test/miou"))
    return [
        f"Chosen on dev alone (highest mean dev mIoU, {dev:.3f}): {answer.chosen}, with test "
        f"mIoU {test:.3f} ({count(len(done), 'seed')}). Being chosen is no claim that it differs "
        "from the next."
    ]


def _tally(answer: Answer) -> list[str]:
    verdicts = [one.verdict for one in answer.known]
    if len(verdicts) < 2:
        return []
    told = verdicts.count("better") + verdicts.count("worse")
    return [
        f"Of {len(verdicts)} planned contrasts with an interval, {told} can be told apart, "
        f"{verdicts.count('equivalent')} are equivalent, {verdicts.count('cannot be told')} cannot "
        "be told."
    ]


def _noise(study: Study, answer: Answer) -> list[str]:
    lines, d = [], smallest_points(answer.smallest)
    for row in answer.noise.to_dict("records"):
        if math.isnan(row["detectable"]):
            lines.append(_unknown_noise(study, row["network"]))
            continue
        text = (
            f"{row['network']}, {count(row['n'], 'seed')} per arm: a true difference of "
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


def _unknown_noise(study: Study, network: str) -> str:
    """Why the seeds of a network tell nothing: which of its arms have only one."""
    arms = [cell.arm for cell in study.cells if cell.network == network]
    n_seeds = {arm: n for arm, n in n_finished(study).items() if arm in arms and n}
    single = [arm for arm, n in n_seeds.items() if n == 1]
    few = len(n_seeds) - len(single) < 2
    why = "no two of its arms have" if few else "no planned contrast of its arms has"
    return (
        f"{network}: {why} two seeds{'' if few else ' on both sides'}, so the noise between seeds "
        f"is unknown (one seed: {', '.join(single)})."
    )


def effects_sentence(grid: Crossing) -> str:
    """What keeps the effects of a study's axes from being told."""
    if len(grid.axes) < 2:
        return (
            "Main effects need two axes of two levels or more, such as networks and losses; the "
            f"arms shown have {next(iter(grid.axes), 'none')}{' alone' if grid.axes else ''}."
        )
    named = axes_named(grid)
    if grid.absent:
        cells = [" with ".join(cell) for cell in grid.absent]
        return (
            f"Main effects of {named} need an arm for every combination; of {grid.n_cells}, "
            f"{len(cells)} {'has' if len(cells) == 1 else 'have'} none: {listed(cells)}."
        )
    return (
        f"Main effects of {named} need a finished run of every arm; still without one: "
        f"{listed(grid.waiting)}."
    )


def axes_named(grid: Crossing) -> str:
    """The axes of two levels or more: "network, loss and augmentation"."""
    *first, last = grid.axes
    return f"{', '.join(first)} and {last}" if first else last


def _gaps(study: Study) -> list[str]:
    lines = []
    for cell in study.cells:
        failed = [run for run in study.runs_of(cell.arm) if run.state == "failed"]
        if failed:
            seeds = ", ".join(f"{run.seed} ({run.error})" for run in failed)
            left = len(study.finished(cell.arm))
            lines.append(f"{cell.arm} failed at seed {seeds}; n left: {left}.")
    counts = {arm: n for arm, n in n_finished(study).items() if n}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{arm} {n}" for arm, n in counts.items())
        lines.append(f"Unequal numbers of seeds: {shown}.")
    absent = [
        name for name, there in zip(study.classes, study.present("test"), strict=True) if not there
    ]
    if absent:
        lines.append(f"Not in test, so without a score: {', '.join(absent)}.")
    return lines
