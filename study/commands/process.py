"""First of all in the process, before the imports that take seconds: `begin`.

Imports the standard library alone.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import threading
import traceback
import types
import warnings
from pathlib import Path

from study.commands.failure import REFUSED, fail, in_thread
from study.commands.signals import during_imports
from study.commands.streams import complain, open_closed
from study.commands.words import one_line


def begin() -> None:
    """Have streams and signals in order, and every error and warning off the terminal."""
    open_closed()
    during_imports()
    if not sys.warnoptions:  # else whoever gave -W wants to see them
        os.environ["PYTHONWARNINGS"] = "ignore"  # of workers
        warnings.simplefilter("ignore")
    logging.lastResort = logging.NullHandler()  # what a library says to nobody is for nobody
    sys.excepthook = _at_import
    sys.unraisablehook = lambda _: None
    threading.excepthook = in_thread


def _at_import(
    kind: type[BaseException], error: BaseException, _: types.TracebackType | None
) -> None:
    """What the imports of `runs.py` raised, or its matrices: a line, and the code of a refusal."""
    os._exit(_import_failed(error))


def _import_failed(error: BaseException) -> int:
    lines = [
        f.lineno
        for f in traceback.extract_tb(error.__traceback__)
        if f.name == "<module>" and os.path.abspath(f.filename) == os.path.abspath(sys.argv[0])
    ]
    name = matrix_at(Path(sys.argv[0]), lines[-1] or 0) if lines else ""
    said = one_line(str(error))
    if name:
        complain(
            f"matrix {name} (line {lines[-1]} of {sys.argv[0]}) must be a Matrix, got: {said}; "
            "mend it there"
        )
        return REFUSED
    return fail(error)


def matrix_at(file: Path, line: int) -> str:
    """The key of the dict entry of a module that holds a line; "" where none does."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and value.lineno <= line <= (
                    value.end_lineno or 0
                ):
                    return str(key.value)
    return ""
