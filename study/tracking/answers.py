"""What a tracking server's answer, or its silence, means: why in a few words, and what to do."""

from __future__ import annotations

import os
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from study.errors import one_line, shown

if TYPE_CHECKING:
    import requests

SEARCH = "/api/2.0/mlflow/experiments/search"
START = "start it or unset MLFLOW_TRACKING_URI"
LOG = "look into its log"
TRUST = (
    "set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of its certificate, or "
    "MLFLOW_TRACKING_INSECURE_TLS=true in a network that you trust"
)
PATH = "check host, port and path of MLFLOW_TRACKING_URI"
LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
# What stands in an error of requests -> why, what to do.
SIGNS = (
    (r"CERTIFICATE_VERIFY_FAILED\] certificate verify failed: (.+?) ?\(_ssl", r"\1", TRUST),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", TRUST),
    (
        r"suitable TLS CA certificate bundle, invalid path: ([^\s\"']+)",
        r"no certificate at \1",
        "mend MLFLOW_TRACKING_SERVER_CERT_PATH",
    ),
    (r"NO_CERTIFICATE_OR_CRL|PEM lib", "no certificate in the file", TRUST),
    (r"Could not find the TLS certificate file", "no certificate of the client", TRUST),
    (
        r"(?i)certificate required|handshake failure",
        "it wants a certificate of the client",
        "set MLFLOW_TRACKING_CLIENT_CERT_PATH",
    ),
    (r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST", "no https there", "try http://"),
    (r"(?i)connection refused", "no answer", START),
    (
        r"(?i)failed to resolve|name or service not known|name resolution|getaddrinfo",
        "no host of that name",
        PATH,
    ),
    (r"(?i)unreachable|no route to host", "no way to its host", PATH),
    (
        r"(?i)password authentication failed|access denied for user|no password supplied",
        "the login is refused",
        "mend user and password in MLFLOW_TRACKING_URI",
    ),
    (r"""(?i)(database ["'].*?["'] does not exist)""", r"\1", "make it, or " + PATH),
    (r"(?i)(invalid (?:connection option|sslmode)[^\n]*)", r"\1", "mend what follows the ?"),
    (r"(?i)timed? ?out", "no answer in time", START),
    (
        r"(?i)remote end closed|connection aborted|connection reset|BadStatusLine|IncompleteRead",
        "the connection was closed without an answer",
        "try https:// where it has a certificate, or look into its log",
    ),
    (r"(?i)TooManyRedirects|exceeded \d+ redirects", "redirects without end", PATH),
)
TEMPORARY = (429, 502, 503, 504)


def meaning(error: BaseException) -> tuple[str, str]:
    """(why, what to do) of whatever was raised by a request; what to do may be ""."""
    text = " ".join(filter(None, (str(one) for one in _chain(error))))
    status = re.search(r"too many (\d{3}) error|error code (\d{3}) != |^(\d{3}) \w+ Error", text)
    if status:
        return of_status(int(next(filter(None, status.groups()))))
    if "not in a valid JSON format" in text:
        return "a page that is not MLflow's", PATH
    for pattern, why, remedy in SIGNS:
        if found := re.search(pattern, text):
            return shown(found.expand(why)).strip(), remedy
    return f"{type(error).__name__}: {one_line(error)}", ""


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def of_status(code: int, text: str = "", to: str = "") -> tuple[str, str]:
    """(why, what to do) of an answer that is no success.

    Args: text: of its body, shown where it is short. to: where a redirect leads.
    """
    name = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "unknown"
    said = f" ({shown(' '.join(text.split()))})" if 0 < len(text) <= 120 and "<" not in text else ""
    why = f"{code} {name}{said}"
    if 300 <= code < 400:
        to = shown(to.removesuffix(SEARCH) or "nowhere")
        return f"{code}, a redirect to {to}", "give the address where it leads, or " + PATH
    given = any(os.environ.get(name) for name in re.findall(r"MLFLOW_\w+", LOGIN))
    if code == HTTPStatus.UNAUTHORIZED:
        return why, f"mend {LOGIN}" if given else f"set {LOGIN}"
    if code == HTTPStatus.FORBIDDEN:
        return why, f"this login may not; see its owner, --allowed-hosts of the server, or {LOGIN}"
    if code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return why, "mend HTTPS_PROXY or NO_PROXY"
    if code in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return f"{why}: it is busy", "try again later"
    return why, LOG if code >= 500 else PATH


def ask(url: str, timeout_s: float) -> tuple[str, str, bool]:
    """Ask a server as MLflow would, without following it elsewhere.

    Returns: (why, what to do, whether it may pass by itself); why is "" where it answers well.
    """
    from mlflow.utils.credentials import get_default_host_creds  # slow to import
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(url),
            SEARCH,
            "POST",
            json={"max_results": 1},
            max_retries=0,
            timeout=timeout_s,
            raise_on_status=False,
            allow_redirects=False,
        )
    except Exception as error:  # of requests, or MLflow's word for it
        return *meaning(error), False
    return _judge(answer)


def _judge(answer: requests.Response) -> tuple[str, str, bool]:
    code = answer.status_code
    kept = code in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
    if kept:
        return "", "", False  # a POST stays one: MLflow follows it
    if code != HTTPStatus.OK:
        return *of_status(code, answer.text, answer.headers.get("Location", "")), code in TEMPORARY
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or set(body) - {"experiments", "next_page_token"}:
        return "a page that is not MLflow's", PATH, False
    return "", "", False
