"""How what a database says is told: in one line, and without the password of its address."""

from __future__ import annotations

import re


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says what it is, or its type when it has none."""
    lines = [
        line
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("(raised as a result of")
    ]  # SQLAlchemy's
    return (lines or [repr(error)])[0][:300]


def shown(text: str) -> str:
    """A text with the user and password of any address in it left out."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)
