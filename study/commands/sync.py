"""--sync: bring MLflow up to date with a study on disk."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from study.commands.console import step
from study.commands.hooks import Analysis
from study.commands.request import Request
from study.commands.session import study_lock, study_name
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
        console.print(f"note: {note}", soft_wrap=True)
    check(out, study.name)
    aggregate = partial(analysis.aggregate, study.path)
    with study_lock(study), step(console, f"sending study {study.name}") as progress:
        done = send(study, out, aggregate, progress)
    console.print(
        f"sync: {done.n_sent} of {done.n_runs} runs brought up to date in MLflow at {shown(uri)}",
        soft_wrap=True,
    )
    for problem in done.problems:
        console.print(f"not sent: {problem}", style="red", soft_wrap=True)
    return 1 if done.problems else 0
