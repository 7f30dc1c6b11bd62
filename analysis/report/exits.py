"""Owns how text leaves for each kind of file: HTML, Markdown, LaTeX, CSV; one function each.

Names come from data, matrices and other people's folders: in every file they stay text.
Must not know: pages, tables' meaning.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TextIO

import pandas as pd

ROWS = 20_000  # of a table that are turned into text at once
RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff"  # letters that run from the right
RUN = re.compile(f"[{RIGHT}](?:[{RIGHT}\\s_-]*[{RIGHT}])?")
FORMULA = tuple("=+-@＝＋－＠")  # the last four: of full width, for Chinese and Japanese
LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "`": r"\symbol{96}",
    "[": "{[}",  # after the end of a row it would begin an option
    "*": "{*}",
}


def visible(text: str) -> str:
    r"""Text whose control characters and changes of direction are seen (\u202e), not obeyed."""
    if text.isprintable():
        return text
    return "".join(one if _harmless(one) else f"\\u{ord(one):04x}" for one in text)


def _harmless(letter: str) -> bool:
    """Printed, white space, or what joins letters in Persian, Hindi and emoji."""
    if letter.isspace():
        return letter not in "\x1c\x1d\x1e\x1f\x85\u2028\u2029"
    return letter.isprintable() or letter in "\u200c\u200d"


def one_line(text: str) -> str:
    """As `visible`, its white space one space each."""
    return " ".join(visible(text).split())


def apart(text: str) -> str:
    """Names that run from the right change nothing of the order of what stands beside them."""
    return text if text.isascii() else RUN.sub(lambda found: f"\u2068{found[0]}\u2069", text)


def html(value: object) -> object:
    """What a template prints, before its mark-up is escaped."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return apart(visible(str(value))) if is_text else value


def markdown(text: str) -> str:
    """Text for a paragraph, an item or a cell: no line break, mark-up, link, formula, cell end."""
    text = apart(one_line(text))
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, entity)
    text = re.sub(r"[\\|`*\[~$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp):", r"\1&#58;", text)  # no link by itself
    text = re.sub(r"(?i)\b(www)\.", r"\1&#46;", text)
    text = re.sub(r"(?<=\w)@(?=\w)", "&#64;", text)
    # Nor a beginning that makes a list, a heading or a rule.
    text = re.sub(r"^(?:[-+](?=[\s-]|$)|[#=])", r"\\\g<0>", text)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)


def tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    text = "".join(LATEX.get(letter, letter) for letter in one_line(text))
    return text.replace("--", "-{}-")  # no dash


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers, also as text, stay as they are."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text


def write_csv(table: pd.DataFrame, file: TextIO) -> None:
    """A table as CSV; text in quotes where one holds the mark that other countries split at."""
    names = [csv_cell(str(name)) for name in table]
    columns = [table.iloc[:, index] for index in range(table.shape[1])]
    words = [_words(column) for column in columns]
    split = any(isinstance(one, str) and ";" in one for part in (names, *words) for one in part)
    writer = csv.writer(
        file,
        quoting=csv.QUOTE_NONNUMERIC if split else csv.QUOTE_MINIMAL,
        lineterminator="\n",
    )
    writer.writerow(names)
    for start in range(0, len(table), ROWS):
        rows = slice(start, start + ROWS)
        cells = (_cells(column, rows, known) for column, known in zip(columns, words, strict=True))
        writer.writerows(zip(*cells, strict=True))


def _words(column: pd.Series) -> pd.Series:
    """The safe texts of a column: of its categories where it has such, none of numbers."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.iloc[:0]
    is_coded = isinstance(column.dtype, pd.CategoricalDtype)
    return pd.Series([csv_cell(one) for one in (column.cat.categories if is_coded else column)])


def _cells(column: pd.Series, rows: slice, words: pd.Series) -> list[object]:
    """Some cells of a column as Python's values, "" where there is none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = [*words, ""]  # missing: -1
        return [known[code] for code in column.cat.codes.iloc[rows]]
    part = (column if pd.api.types.is_numeric_dtype(column.dtype) else words).iloc[rows]
    values: list[object] = part.tolist()
    missing = part.isna().to_numpy()
    if missing.any():
        return ["" if gone else value for value, gone in zip(values, missing, strict=True)]
    return values


def csv_table(table: pd.DataFrame) -> str:
    """What `write_csv` writes."""
    write_csv(table, file := io.StringIO(newline=""))
    return file.getvalue()


def latex_table(table: pd.DataFrame) -> str:
    """A table as a LaTeX tabular, every string escaped."""
    text: str = table.rename(columns=lambda name: tex(str(name))).to_latex(
        index=False,
        escape=False,
        na_rep="--",
        float_format="%.4f",
        formatters={
            tex(str(name)): (lambda value: tex(str(value)))
            for name in table.columns
            if not pd.api.types.is_numeric_dtype(table[name])
        },
    )
    return text
