"""The two exits to a terminal: a text as it may be shown, a command as it can be pasted.

Names come from files, servers and other people: none of them may move a cursor, ring, set a
title, reverse what follows, or end a line. Imports the standard library alone.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable

JOINERS = "\u200c\u200d"  # some scripts and emoji need them; they change nothing else


def visible(text: str) -> str:
    r"""A text with what a terminal would obey, hide or fail on written out: \x1b, \n, \u202e."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    shown = char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
    return char if shown else char.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """`visible`, for what a library may have said in several lines."""
    return visible(re.sub(r"\s*\n\s*", " ", text.strip()))


def command_line(words: Iterable[str]) -> str:
    """Words as a shell reads them back; those that cannot be shown in its $'...' form."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if visible(word) == word:
        return shlex.quote(word)
    inside = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(c if visible(c) == c else _bytes(c) for c in inside) + "'"


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
