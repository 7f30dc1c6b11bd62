"""Owns what a reader needs to check or repeat a study: data, weights, commits, commands.

Must not know: metrics, tables, pages.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from analysis.records import Study
from analysis.report.blocks import Block, Code, Text, percent
from study.record.files import as_text


def provenance(study: Study) -> dict[str, str]:
    """Where data, weights and code came from, as label and value."""
    declaration, data = study.declaration, study.data
    weights = [
        f"{encoder}: {file.source}, sha256 {file.sha256}"
        for encoder, file in declaration.weights.items()
    ]
    return {
        "study created": declaration.created,
        "matrix": declaration.matrix,
        "data": f"{data.name}, {data.path}",
        "data fingerprint": data.fingerprint,
        "images larger than": f"{data.max_side} px a side are stored reduced"
        if data.max_side
        else "no limit, all stored at full size",
        "void share of pixels": ", ".join(f"{k} {percent(v)}" for k, v in data.void_share.items()),
        "pretrained weights": "; ".join(weights) or "none",
        "networks from elsewhere": "; ".join(map(": ".join, declaration.sources.items())) or "none",
        "commits of the finished runs": ", ".join(_commits(study)) or "none",
        "tables as CSV": "in tables/ beside this report",
    }


def _commits(study: Study) -> list[str]:
    """Commits of every attempt of the finished runs."""
    attempts = (attempt for run in study.finished() for attempt in run.environments)
    return sorted({str(attempt.get("commit") or "not recorded") for attempt in attempts})


def commands(study: Study, place: Path) -> list[Block]:
    """What to type to get these runs and this report again; `place` is the study's folder."""
    where = ["--study", place.name]
    if place.parent.name != "outputs":
        where += ["--out", str(place.parent)]
    grid = _grid_flags(study)
    commits = _commits(study)
    recorded = len(commits) == 1 and commits != ["not recorded"]
    lines = [shlex.join(["git", "checkout", commits[0].rstrip("+")])] if recorded else []
    lines.append(shlex.join(["python", "runs.py", "--grid", *grid, *where]))
    lines.append(shlex.join(["python", "runs.py", "--report", *where]))
    blocks: list[Block] = [Code(lines)]
    if any(commit.endswith("+") for commit in commits):
        blocks.append(Text("The code had uncommitted changes (a + behind the commit)."))
    never = [cell.arm for cell in study.untuned if not study.runs_of(cell.arm)]
    if never and not only(study):
        blocks.append(Text(f"The command runs more than was run here: {', '.join(never)}."))
    if len(study.untuned) < len(study.cells):
        blocks.append(
            Text(
                "The tuned arms come after it: --tune with the same flags, then --grid "
                "again with --set tuning=tuned."
            )
        )
    return blocks


def _grid_flags(study: Study) -> list[str]:
    """The flags that --grid was given, as far as they choose what is run."""
    declaration = study.declaration
    flags = ["--data", declaration.given.data, "--matrix", declaration.matrix]
    flags += ["--pretrained", declaration.pretrained]
    if study.seeds:
        flags += ["--seeds", str(max(study.seeds) + 1)]  # a count: seeds 0, 1, ...
    flags += [word for k, v in declaration.given.set.items() for word in ("--set", f"{k}={v}")]
    return flags + [word for axis in only(study) for word in ("--only", axis)]


def only(study: Study) -> list[str]:
    """`axis=value,...` texts for --only that choose the arms that ran; [] if none do, or all ran.

    Tuned arms apart: they are made from others.
    """
    left = list(study.untuned)
    ran = [cell for cell in left if study.runs_of(cell.arm)]
    axes = dict.fromkeys(axis for cell in ran for axis in (*cell.factors, *cell.levels))
    found = []
    for axis in dict.fromkeys(("network", "loss", *axes)):
        if axis == "arm":  # any choice could be told by it
            continue
        chosen = dict.fromkeys(as_text(cell.levels.get(axis)) for cell in ran)
        kept = [cell for cell in left if as_text(cell.levels.get(axis)) in chosen]
        if len(kept) < len(left):
            left = kept
            found.append(f"{axis}={','.join(chosen)}")
    return found if ran and len(left) == len(ran) else []
