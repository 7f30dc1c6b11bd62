"""The command line from its words to an exit code: which verb does what, what an error looks like.

The verbs are imported when they are called: torch, mlflow and optuna are slow to import.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from study.commands.console import make_console
from study.commands.failure import fail
from study.commands.hooks import Analysis
from study.commands.parser import parse
from study.commands.place import check_out
from study.commands.request import Request
from study.commands.signals import farewell, interruptible
from study.commands.streams import guarded, tell
from study.matrix import Matrix
from study.values import ConfigError, unknown_name


def run(argv: Sequence[str] | None, matrices: Mapping[str, Matrix], analysis: Analysis) -> int:
    """Run one command; whatever goes wrong is one line on stderr and an exit code."""
    with guarded():
        try:
            request = parse(argv, matrices)
            if request.matrix not in matrices:
                raise unknown_name(request.matrix, matrices, "--matrix")
        except ConfigError as error:
            return fail(error)
        again = request.verb in ("grid", "tune")
        with interruptible(request.command() if again else ""):
            return _ended(request, matrices[request.matrix], analysis)


def _ended(request: Request, matrix: Matrix, analysis: Analysis) -> int:
    """Do what is asked; however it ends, that is a line and an exit code."""
    try:
        check_out(request.out)
        return _verb(request, matrix, make_console(), analysis)
    except KeyboardInterrupt:
        words, stream, code = farewell()
        tell(words, sys.stdout if stream == 1 else sys.stderr)
        return code
    except BaseException as error:  # MemoryError, or what a library raises past Exception
        return fail(error, request.out)


def _verb(request: Request, matrix: Matrix, console: Console, analysis: Analysis) -> int:
    # imports in here: each verb loads what it needs, and worker processes load none of it
    if request.verb == "convert":
        from study.commands.convert import convert

        return convert(request, console)
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
    from study.commands.lock import study_lock
    from study.commands.opening import open_session
    from study.tracking.moved import check, settle
    from study.tracking.store import probe, tracking_uri

    if request.verb != "plan":
        probe(tracking_uri(request.out))
    session = open_session(request, matrix, console)
    if request.verb == "plan":
        from study.commands.plan import plan

        return plan(session, console)
    for note in settle(session.out):
        console.print(f"note: {note}")
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
