"""The command line from its words to an exit code: which verb does what, what an error looks like.

The verbs are imported when they are called: torch, mlflow and optuna are slow to import.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from study.commands.console import make_console
from study.commands.hooks import Analysis
from study.commands.parser import parse
from study.commands.request import Request
from study.commands.signals import EXIT_CODE, interruptible
from study.matrix import Matrix
from study.values import ConfigError, unknown_name


def run(argv: Sequence[str] | None, matrices: Mapping[str, Matrix], analysis: Analysis) -> int:
    """Run one command; bad input is one line on stderr and exit code 2."""
    console = make_console()
    try:
        request = parse(argv, matrices)
        if request.matrix not in matrices:
            raise unknown_name(request.matrix, matrices, "--matrix")
    except ConfigError as error:
        return _refuse(error)
    with interruptible(_last_words(request)):
        try:
            return _verb(request, matrices[request.matrix], console, analysis)
        except (ValueError, OSError) as error:
            return _refuse(error)
        except KeyboardInterrupt:
            console.print(_last_words(request))
            return EXIT_CODE


def _refuse(error: Exception) -> int:
    print(f"runs.py: {' '.join(str(error).splitlines())}", file=sys.stderr)
    return 2


def _last_words(request: Request) -> str:
    again = request.verb in ("grid", "tune")
    return "interrupted" + (f"; continue with: {request.command()}" if again else "")


def _verb(request: Request, matrix: Matrix, console: Console, analysis: Analysis) -> int:
    # imports in here: each verb loads what it needs, and worker processes load none of it
    if request.verb == "check":
        from study.commands.check import check

        return check(request, console, analysis)
    if request.verb == "report":
        from study.commands.report import report

        return report(request, console, analysis)
    if request.verb == "sync":
        from study.commands.sync import sync

        return sync(request, console, analysis)
    return _study_verb(request, matrix, console, analysis)


def _study_verb(request: Request, matrix: Matrix, console: Console, analysis: Analysis) -> int:
    """--plan, --tune and --grid."""
    # imports in here: as in _verb
    from study.commands.session import open_session, study_lock
    from study.tracking.moved import check, settle
    from study.tracking.store import probe, tracking_uri

    if request.verb != "plan":
        probe(tracking_uri(request.out))
    session = open_session(request, matrix, console)
    if request.verb == "plan":
        from study.commands.plan import plan

        return plan(session, console)
    for note in settle(session.out):
        console.print(f"note: {note}", soft_wrap=True)
    check(session.out, session.study.name)
    with study_lock(session.study):
        session.resolve_weights()
        if request.verb == "tune":
            from study.commands.tune import tune

            session.study.save()
            return tune(session, console)
        from study.commands.grid import grid

        session.add_tuned_cells()
        for cell, seed in session.runs():
            session.study.config(cell, seed)  # every chosen run is possible, or nothing starts
        session.study.save()
        return grid(session, console, analysis)
