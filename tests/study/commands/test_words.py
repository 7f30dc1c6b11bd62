"""The exits to a terminal and to a shell."""

import subprocess

import pytest

from study.commands.words import command_line, one_line, visible
from tests.study.commands.nasty import NASTY


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain name", "plain name"),
        ("Straße 网络 हिन्दी עברית 👩‍👩‍👧 a\u00a0b", "Straße 网络 हिन्दी עברית 👩‍👩‍👧 a\u00a0b"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\nc\td\x7f\x9b31m", r"a\rb\nc\td\x7f\x9b31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        (
            "\u2066a\u2069\u200f\u061c\ufeff\u200b\u00ad",
            r"\u2066a\u2069\u200f\u061c\ufeff\u200b\xad",
        ),
        ("\u2028\u2029\udcff", r"\u2028\u2029\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert visible(text) == shown and visible(shown) == shown


def test_lines_of_a_library_become_one():
    assert one_line(" a:\n\tb\n  c\x1b ") == r"a: b c\x1b"


@pytest.mark.parametrize("word", NASTY)
def test_a_printed_command_can_be_pasted(word):
    line = command_line(["printf", "%s", word])
    assert visible(line) == line  # nothing of it is lost on the way
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode(errors="surrogateescape") == word
