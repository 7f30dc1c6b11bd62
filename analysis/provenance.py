"""Owns what a reader needs to check or repeat a study: data, weights, commits, commands.

Must not know: metrics, tables, pages.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from analysis.records import Study
from analysis.render import Block, Code, Text, percent

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
            for encoder, file in weights.items()) or "none",
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
    lines = [shlex.join(["git", "checkout", commits[0].rstrip("+")])] if recorded else []
    lines.append(shlex.join(["python", "runs.py", "--grid", *grid, *where]))
    lines.append(shlex.join(["python", "runs.py", "--report", *where]))
    blocks: list[Block] = [Code(lines)]
    if any(commit.endswith("+") for commit in commits):
        blocks.append(Text("The code had uncommitted changes (a + behind the commit)."))
    return blocks
