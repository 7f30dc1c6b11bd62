"""--sync: bring MLflow up to date with a study on disk."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from study.commands.console import step
from study.commands.hooks import Analysis
from study.commands.lock import study_lock
from study.commands.name import study_name
from study.commands.request import Request
from study.continuing import check_runs
from study.errors import shown
from study.study import load
from study.tracking import store
from study.tracking.moved import check, settle
from study.tracking.sync import sync as send


def sync(request: Request, console: Console, analysis: Analysis) -> int:
    """Send what is missing; 1 when some of it cannot be read."""
    out = request.out
    study, uri = load(out / study_name(request), to_run=False), store.tracking_uri(out)
    store.probe(uri)
    for note in settle(out):
        console.print(f"note: {note}")
    check(out, study.name)

    def aggregate(arms: Sequence[str]) -> dict[str, dict[str, float]]:
        check_runs(study)
        return analysis.aggregate(study.path, arms)

    with study_lock(study), step(console, f"sending study {study.name}") as progress:
        done = send(study, out, aggregate, progress)
    where = f"MLflow at {shown(uri)}"
    if done.n_sent or done.problems:
        console.print(f"sync: {done.n_sent} of {done.n_runs} runs brought up to date in {where}")
    else:
        console.print(f"sync: {where} had all {done.n_runs} runs as they are; nothing to send")
    for problem in done.problems:
        console.print(f"not sent: {problem}", style="red")
    return 1 if done.problems else 0
