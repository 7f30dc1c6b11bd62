"""No part of a password, user or token is shown, whatever its characters and wherever it stands."""

import base64
import json
import urllib.parse

import pytest
import sqlalchemy

from study.errors import one_line, shown

USER = "annika"
PASSWORDS = (
    "plain-hunter2",
    "with@an-at",
    "two@signs@here",
    "a/slash/within",
    "hash#within",
    "quest?mark-it",
    "per%cent%41",
    "a space within",
    "colon:within",
    "am&per=sand",
    "brackets[within]",
    "quo'te\"within",
    "back\\slash-n",
    "Größe-Straße",
    "пароль",
    "密码密码密码",
    "plus+within",
    "semi;colon,comma",
    "<b>html</b>",
    "UPPER-lower",
    "postgresql",
    "dollar$(whoami)`x`",
    "*star***",
    "emoji\U0001f600emoji",
)


def ways(password):
    """Addresses that hold a password, raw or encoded, in each place where one may stand."""
    once, plus = urllib.parse.quote(password, safe=""), urllib.parse.quote_plus(password)
    odbc = f"DRIVER=x;SERVER=h;UID={USER};PWD={password}"
    for text in dict.fromkeys((password, once)):
        yield f"https://{USER}:{text}@mlflow.example/prefix"
        yield f"postgresql+psycopg://{USER}:{text}@db.example:5432/runs?sslmode=require"
        yield f"{USER}:{text}@localhost:5000"  # no scheme
        yield f"http:/{USER}:{text}@localhost:5000"
        yield f"mysql://{text}@db.example/runs"  # a token alone
        yield f"host=db.example user={USER} password={text}"
    yield f"postgresql://db.example/runs?user={USER}&password={plus}&sslmode=require"
    yield f"postgresql://db.example/runs?sslpassword={plus}&sslkey={plus}"
    yield f"https://mlflow.example/?access_token={plus}"
    yield f"https://mlflow.example/?a=b&{once}#view"  # a token without a name
    yield f"https://mlflow.example/#{once}"
    yield f"file://{USER}:{once}@host/folder"
    yield f"mssql+pyodbc:///?odbc_connect={urllib.parse.quote_plus(odbc)}"


def messages(address, password):
    """What a driver or a server may say: as it was given, decoded, encoded, split too early."""
    yield address
    yield f"could not parse {address!r}"
    yield json.dumps({"error": f"no host in {address}"})
    yield urllib.parse.unquote(address)
    yield f"400 for url: {urllib.parse.quote(address, safe=':/?=&@')}"
    yield f"invalid dsn: {urllib.parse.quote(address, safe='')}"
    yield f'connection failed: FATAL: password authentication failed for user "{USER}"'
    yield f"no login with {password} here, and {urllib.parse.quote(password)}"
    yield f"(1045) Access denied for user '{USER}'@'db' (using password: YES) ({password!r})"
    for at in ("@", "/", ":", "#", "?", "&", "["):  # the rest is taken for a host or a port
        if at in password:
            yield f'could not translate host name "{password.split(at)[-1].lower()}" to address'
            yield f"invalid literal for int() with base 10: '{password.split(at)[0]}'"


def left(password, text):
    """Parts of a password, of 4 letters and more, that stand in a text."""
    whole = urllib.parse.unquote(text).lower()
    parts = {password[i : i + 4].lower() for i in range(len(password) - 3)}
    ours = "could not parse invalid literal postgresql translate host name within"
    return {one for one in parts if one in whole and one not in ours and "*" not in one}


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_part_of_a_password_is_shown(password, monkeypatch):
    for number, address in enumerate(ways(password)):
        monkeypatch.setenv(("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE")[number % 2], address)
        for message in messages(address, password):
            text = shown(message)
            assert not left(password, text), (address, message, text)
            if USER in address:
                assert USER not in text.lower(), (address, message, text)
            assert not left(password, one_line(ValueError(message)))


def test_what_a_driver_really_says_of_an_address(monkeypatch):
    """Every address, as SQLAlchemy takes it, and each cut of a long message."""
    n = 0
    for password in PASSWORDS:
        for address in ways(password):
            monkeypatch.setenv("OPTUNA_STORAGE", address)
            try:
                sqlalchemy.create_engine(address).connect()
            except Exception as error:
                assert not left(password, one_line(error)), (address, error)
                n += 1
    assert n > 300
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://annika:correct-horse@host")
    for n_before in range(270, 310):
        text = one_line(ValueError("." * n_before + " correct-horse"))
        assert not left("correct-horse", text)


@pytest.mark.parametrize("name", ["PASSWORD", "TOKEN", "USERNAME"])
def test_a_login_in_a_variable_of_its_own_is_not_shown(name, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "annika")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "tr0ub4dor")
    monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "s3cr3t-w0rd")
    assert "s3cr3t" not in shown("denied for s3cr3t-w0rd and s3cr3t%2Dw0rd")
    login = base64.b64encode(b"annika:tr0ub4dor").decode()
    if name == "TOKEN":
        assert shown(f"header {login} refused") == "header *** refused"
    assert "abcdef123456" not in shown("Authorization: Bearer abcdef123456")


@pytest.mark.parametrize(
    "text, wanted",
    [  # nothing of it is in the environment: known by its look
        ("http://me:secret@host:5000/a", "http://***@host:5000/a"),
        ("http://me:se/cr@et@host and http://b:c@d", "http://***@host and http://***@d"),
        ("host=h password=secret port=1", "host=h password=*** port=1"),
        ("password='a b' x=1", "password=*** x=1"),
        ("db?user=me&password=a%20b&sslmode=require", "db?user=***&password=***&sslmode=require"),
        ("?odbc_connect=UID%3Dme%3BPWD%3Dsecret", "?odbc_connect=UID%3D***%3BPWD%3D***"),
        ('failed for user "me"', "failed for user ***"),
        # and what holds no secret stays as it is
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("sqlite+pysqlite:////a%3F/x@y.db", "sqlite+pysqlite:////a%3F/x@y.db"),
        ("no such table: runs", "no such table: runs"),
        ("http://127.0.0.1:9/prefix", "http://127.0.0.1:9/prefix"),
    ],
)
def test_a_login_is_known_by_its_look(text, wanted):
    assert shown(text) == wanted


def test_the_rest_of_a_line_can_still_be_read(monkeypatch):
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://postgres:pw@db.example:5432/runs?sslmode=x")
    assert shown("postgresql://postgres:pw@db.example:5432/runs?sslmode=x") == (
        "postgresql://***@db.example:5432/runs?sslmode=x"
    )
    text = "a port of db.example, sslmode and runs"
    assert shown(text) == text
