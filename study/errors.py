"""How what a database or a server says is told: in one line, without secrets of its address.

Secrets are found by value (what the environment's addresses hold, split in every way in which a
driver may split them) and by pattern (what looks like a login). Only words of others are searched:
put `shown` around these, not around a whole sentence of ours.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_plus

ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "OPTUNA_STORAGE")
LOGINS = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGUSER",
    "PGPASSWORD",
    "MYSQL_PWD",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_SECRET",
)

KEY = (
    r"(?:[\w.-]*(?:passw(?:or)?d|passwort|pwd|passphrase|secret|token|credential|api_?key|sslkey|"
    r"auth|signature)[\w.-]*|user(?:_?name|_?id)?|uid|sslcert|passfile|key|sig)"
)
IS = r"\s*(?:=|%3D)\s*"
AND = r"(?:&|;|%26|%3B|\s)\s*[\w.%+ -]+?(?:=|%3D)"  # where the next pair begins
SCHEME = re.compile(r"^\s*[\w+.-]+:/+")
FILE = r"(?:sqlite(?:\+\w+)?:///|file:(?!//[^/\s]*@))"  # what follows is a path
PATH = re.compile(rf"^\s*{FILE}", re.I)
PAIR = re.compile(rf"(?<![\w%])({KEY}){IS}(.*?)(?={AND}|$)", re.I | re.S)
WORD = re.compile(rf"(?<![\w%])({KEY}){IS}(\S+)", re.I)
SEMICOLON = re.compile(rf"(?<![\w%])({KEY}){IS}([^;]+)", re.I)
PATTERNS = (
    # up to the last @ of a word: a password may hold @ and / itself
    (re.compile(rf"((?<![\w+.-])(?!{FILE})[a-z][\w+.-]*:/+)\S*@", re.I), r"\1***@"),
    (
        re.compile(rf"""(\b{KEY}\s*=\s*)("[^"]*"|'[^']*'|\{{[^}}]*\}}|[^\s&;,'")]+)""", re.I),
        r"\1***",
    ),
    (re.compile(rf"(\b{KEY}%3D)(?:(?!%3B|%26)\S)+", re.I), r"\1***"),
    (re.compile(r"""(\buser(?:name)?\s+)("[^"]*"|'[^']*')""", re.I), r"\1***"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w+/=.~-]{6,}", re.I), r"\1 ***"),
)


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says what it is, or its type when it has none.

    Secrets are left out before it is split and cut: half a password would be known by nothing.
    """
    lines = [
        line
        for line in shown(str(error)).splitlines()
        if line.strip() and not line.startswith("(raised as a result of")
    ]  # SQLAlchemy's
    return " ".join((lines or [shown(repr(error))])[0].split())[:300]


def shown(text: str) -> str:
    """A text of others with users, passwords and tokens left out."""
    known = secrets(tuple(os.environ.get(name, "") for name in (*ADDRESSES, *LOGINS)))
    spans = [found.span() for one in known for found in one.finditer(text)]
    for begin, end in reversed(_merged(spans)):
        text = f"{text[:begin]}***{text[end:]}"
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return re.sub(r"\*{3}(?:[@:/%]{0,2}\*{3})+", "***", text)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap or touch as one: readings of a secret overlap."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


@lru_cache(maxsize=8)
def secrets(values: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """What finds the secrets of the environment, as they are or encoded.

    Args: values: of ADDRESSES and LOGINS, in this order; "" where one is not set.
    """
    addresses, logins = values[: len(ADDRESSES)], values[len(ADDRESSES) :]
    found = set(itertools.chain(logins, *(secrets_of(one) for one in addresses)))
    user, password = logins[:2]
    found |= {base64.b64encode(f"{user}:{password}".encode()).decode()} if user else set()
    found |= {way(one) for one in found for way in (unquote, unquote_plus, str.strip)}
    return tuple(re.compile(_anywhere(one), re.I) for one in sorted(found) if len(one) > 1)


def secrets_of(address: str) -> Iterator[str]:
    """The parts of an address that are secret, or are in some reading of it."""
    if PATH.match(address):
        login, rest = "", address
    else:
        login, at, rest = SCHEME.sub("", address).rpartition("@")
        if not at and (port := re.match(r"([^/?#\s:]+):(?!\d*(?:[/?#]|$))([^/?#]+)", rest)):
            yield from port.groups()  # no host: a driver takes the password for the port
    if login:
        yield from _pieces(login)
        yield base64.b64encode(unquote(login).encode()).decode()
    if not PATH.match(address):  # where a token may stand without a name
        bare = [part for part in re.split("[?&#]", rest)[1:] if "=" not in part]
        yield from itertools.chain(*map(_pieces, (*bare, rest.partition("#")[2])))
    for text in {rest, unquote(rest), address, unquote(unquote(address))}:
        dsn = "://" not in text or "odbc_connect" in text  # its pairs stand apart
        for reading in (PAIR, WORD, SEMICOLON) if dsn else (PAIR,):
            for _, value in reading.findall(text):
                yield from _pieces(value.strip("'\"{}"))


def _pieces(login: str) -> Iterable[str]:
    """A login whole, its user, its password, and what is left where a driver splits too early."""
    user, _, password = login.partition(":")
    yield from (login, user, password)
    for text in {login, unquote(login)}:
        yield from re.split(r"[:@/#?&=;,\s\[\]]+", text)


def _anywhere(secret: str) -> str:
    """A pattern for a secret, any of its characters encoded; a short one as a word only.

    The scheme of an address is left: many a user is called postgres.
    """
    body = "".join(map(_char, secret)) + r"(?![\w+.-]*:/)"
    if len(secret) < 5:
        body = rf"(?<![^\W_]){body}(?![^\W_])"
    host = _as_host(secret)
    return f"{body}|{re.escape(host)}" if host else body


def _as_host(secret: str) -> str:
    """How a driver spells it that takes it for a host; "" as it is."""
    try:
        host = secret.encode("idna").decode()
    except UnicodeError:
        return ""
    return "" if host.lower() == secret.lower() else host


def _char(char: str) -> str:
    encoded = quote(char, safe="")
    ways = {char, char.lower(), encoded, html.escape(char), html.escape(char, False)}
    ways |= {char.encode("unicode_escape").decode(), f"\\{char}", quote(encoded, safe="")}
    ways |= {"+", "%2B"} if char == " " else set()
    ways |= {json.dumps(char)[1:-1]} | ({f"%{ord(char):02x}"} if ord(char) < 128 else set())
    known = sorted(ways, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, known))})"
