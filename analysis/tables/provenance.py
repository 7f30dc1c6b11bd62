"""Owns what a reader needs to check or repeat a study: data, weights, commits, commands.

Must not know: metrics, tables, pages.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from analysis.declaration import Cell
from analysis.records import Study
from analysis.report.render import Block, Code, Text, percent

KNOWN_DATA = ("shapes", "voc2007", "voc2012")  # anything else is named by its path


def provenance(study: Study) -> dict[str, str]:
    """Where data, weights and code came from, as label and value."""
    declaration, data = study.declaration, study.data
    weights = declaration.get("weights") or {}
    if "source" in weights:  # a study from before weights were kept per encoder
        weights = {"encoder": weights}
    void = data.get("void_share", {})
    return {
        "study created": declaration.get("created", "not recorded"),
        "matrix": declaration.get("matrix", "not recorded"),
        "data": f"{data['name']}, {data.get('path', 'path not recorded')}",
        "data fingerprint": data["fingerprint"],
        "images larger than": f"{data['max_side']} px a side are stored reduced"
        if data.get("max_side")
        else "no limit, all stored at full size",
        "void share of pixels": ", ".join(f"{k} {percent(v)}" for k, v in void.items()),
        "pretrained weights": "; ".join(
            f"{encoder}: {file['source']}, sha256 {file['sha256']}"
            for encoder, file in weights.items()
        )
        or "none",
        "commits of the finished runs": ", ".join(_commits(study)) or "none",
        "tables as CSV": "in tables/ beside this report",
    }


def _commits(study: Study) -> list[str]:
    """Commits of every attempt of the finished runs."""
    attempts = (attempt for run in study.finished() for attempt in run.environments)
    return sorted({str(attempt.get("commit") or "not recorded") for attempt in attempts})


def commands(study: Study, place: Path) -> list[Block]:
    """What to type to get these runs and this report again; `place` is the study's folder."""
    declaration, data = study.declaration, study.data
    where = ["--study", place.name]
    if place.parent.name != "outputs":
        where += ["--out", str(place.parent)]
    given = declaration.get("given", {})
    known = data["name"] in KNOWN_DATA
    named = data["name"] if known else data.get("path", data["name"])
    grid = ["--data", str(given.get("data", named))]
    grid += ["--matrix", str(declaration["matrix"])] if "matrix" in declaration else []
    if pretrained := declaration.get("pretrained"):
        grid += ["--pretrained", str(pretrained)]
    if study.seeds:
        grid += ["--seeds", str(max(study.seeds) + 1)]  # a count: seeds 0, 1, ...
    commits = _commits(study)
    recorded = len(commits) == 1 and commits != ["not recorded"]
    grid += [word for k, v in given.get("set", {}).items() for word in ("--set", f"{k}={v}")]
    grid += [word for axis in only(study) for word in ("--only", axis)]
    lines = [shlex.join(["git", "checkout", commits[0].rstrip("+")])] if recorded else []
    lines.append(shlex.join(["python", "runs.py", "--grid", *grid, *where]))
    lines.append(shlex.join(["python", "runs.py", "--report", *where]))
    blocks: list[Block] = [Code(lines)]
    if any(commit.endswith("+") for commit in commits):
        blocks.append(Text("The code had uncommitted changes (a + behind the commit)."))
    untuned = [cell.arm for cell in study.cells if cell.values.get("tuning") != "tuned"]
    never = [arm for arm in untuned if not study.runs_of(arm)]
    if never and not only(study):
        blocks.append(Text(f"The command runs more than was run here: {', '.join(never)}."))
    if len(untuned) < len(study.cells):
        blocks.append(
            Text(
                "The tuned arms come after it: --tune with the same flags, then --grid "
                "again with --set tuning=tuned."
            )
        )
    return blocks


def only(study: Study) -> list[str]:
    """`axis=value,...` texts for --only that choose the arms that ran; [] if none do, or all ran.

    Tuned arms apart: they are made from others.
    """
    left = [cell for cell in study.cells if cell.values.get("tuning") != "tuned"]
    ran = [cell for cell in left if study.runs_of(cell.arm)]
    found = []
    for axis in dict.fromkeys(("network", "loss", *(axis for cell in ran for axis in cell.values))):
        chosen = dict.fromkeys(_value(cell, axis) for cell in ran)
        kept = [cell for cell in left if _value(cell, axis) in chosen]
        if len(kept) < len(left):
            left = kept
            found.append(f"{axis}={','.join(chosen)}")
    return found if ran and len(left) == len(ran) else []


def _value(cell: Cell, axis: str) -> str:
    """A cell's value as --only compares it."""
    return cell.network if axis == "network" else str(cell.values.get(axis))
