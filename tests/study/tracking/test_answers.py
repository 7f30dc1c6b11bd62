"""What a tracking server's answer means: each tried on loopback, its line read."""

import errno
import json
import re
import time
from pathlib import Path

import pytest

from study.record import RecordError
from study.tracking import store
from study.tracking.answers import meaning
from study.tracking.experiment import Experiment
from study.tracking.outbox import Outbox
from study.tracking.store import TrackingError, probe, reason
from tests.study.tracking.stub import GOOD, SEARCH, certificate, stub

HTML = (200, {"Content-Type": "text/html"}, "<html><title>Log in</title></html>")
DENIED = json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"})


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(store, "PROBE_S", 3.0)
    monkeypatch.setattr(store, "AGAIN_S", 0.05)


def line(address):
    """What a user reads; its time is bounded."""
    began = time.monotonic()
    with pytest.raises(TrackingError) as error:
        probe(address)
    text = str(error.value)
    assert time.monotonic() - began < 15 and "\n" not in text and len(text) < 500
    assert text.startswith(f"tracking server {address} must answer, got: ") and "; " in text
    return text.split("got: ", 1)[1]


@pytest.mark.parametrize(
    "answer, wanted",
    [
        ((401, {}, "You are not authenticated"), "401 Unauthorized.*set MLFLOW_TRACKING_USERNAME"),
        ((403, {}, "Invalid Host header"), r"403 Forbidden \(Invalid Host.*--allowed-hosts"),
        ((403, {}, DENIED), "403 Forbidden.*this login may not"),
        ((404, {}, "<html>"), "404 Not Found; check host, port and path"),
        ((405, {}, ""), "405 Method Not Allowed; check host, port and path"),
        ((407, {}, ""), "407 Proxy.*mend HTTPS_PROXY"),
        ((500, {}, "<html>long</html>"), "500 Internal Server Error; look into its log"),
        ((500, {}, json.dumps({"message": "x"})), "500 Internal Server Error.*; look into its log"),
        ((599, {}, ""), "599 unknown; look into its log"),
        ((429, {"Retry-After": "1"}, ""), "429 Too Many Requests: it is busy; try again later"),
        ((502, {}, "<html>"), "502 Bad Gateway; look into its log"),
        ((503, {}, ""), "503 Service Unavailable: it is busy; try again later"),
        (HTML, "a page that is not MLflow's; check host, port and path"),
        ((200, {}, "hello"), "a page that is not MLflow's"),
        ((200, {}, '{"hello": 1}'), "a page that is not MLflow's"),
        ((200, {}, "[1]"), "a page that is not MLflow's"),
        ((302, {"Location": "http://sso.example/login"}, ""), "302, a redirect to http://sso.ex"),
        (
            (301, {"Location": f"https://there{SEARCH}"}, ""),
            "301, a redirect to https://there",
        ),
        (
            (303, {"Location": "http://me:secret@there/"}, ""),
            r"303, a redirect to http://\*\*\*@there",
        ),
    ],
)
def test_an_answer_that_is_no_success_is_said_with_what_to_do(answer, wanted):
    with stub(answer) as address:
        text = line(address)
    assert re.match(wanted, text), text
    assert "secret" not in text


def test_a_server_that_is_busy_for_a_moment_is_asked_again():
    with stub((429, {}, ""), (503, {}, ""), GOOD) as address:
        probe(address)


def test_a_prefix_is_kept():
    with stub(GOOD, prefix="/a/prefix") as address:
        probe(f"{address}/a/prefix")
        probe(f"{address}/a/prefix/")
        assert line(address).startswith("404 Not Found; check host, port and path")
        assert line(f"{address}/other").startswith("404")


def test_a_redirect_that_keeps_the_request_is_followed():
    with stub(GOOD) as there, stub((308, {"Location": there + SEARCH}, "")) as address:
        probe(address)


def test_silence_is_said():
    assert line("http://127.0.0.1:9") == ("no answer; start it or unset MLFLOW_TRACKING_URI")
    assert line("http://nosuchhost.invalid:5000").startswith("no host of that name; check host")
    with stub(GOOD, close=True) as address:
        assert line(address).startswith("the connection was closed without an answer; try https")
    with stub(GOOD, delay_s=5) as address:
        assert line(address).startswith("no answer")


def test_a_certificate_of_its_own(tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    with stub(GOOD, pem=pem, prefix="/prefix") as address:
        text = line(f"{address}/prefix")
        assert text.startswith("self-signed certificate; set MLFLOW_TRACKING_SERVER_CERT_PATH to")
        assert text.endswith("or MLFLOW_TRACKING_INSECURE_TLS=true in a network that you trust")
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(pem))
        probe(f"{address}/prefix")
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", f"{pem}.none")
        assert "mend MLFLOW_TRACKING_SERVER_CERT_PATH" in line(f"{address}/prefix")
        monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
        assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in line(f"{address}/prefix")  # not both
        monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
        probe(f"{address}/prefix")


@pytest.mark.parametrize(
    "made, wanted",
    [
        ({"days": -1}, "certificate has expired"),
        ({"address": "127.0.0.2"}, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_another_fault_of_a_certificate_is_named(tmp_path, made, wanted, monkeypatch):
    pem = certificate(tmp_path, **made)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(pem))
    with stub(GOOD, pem=pem) as address:
        assert line(address).startswith(wanted)


def test_https_and_http_taken_for_each_other(tmp_path):
    with stub(GOOD) as address:
        assert line(address.replace("http", "https")).startswith("no https there; try http://")
    with stub(GOOD, pem=certificate(tmp_path)) as address:
        text = line(address.replace("https", "http"))
    assert text.startswith("the connection was closed without an answer; try https://")


@pytest.mark.parametrize(
    "answer, wanted",
    [
        ((429, {}, ""), "429 Too Many Requests: it is busy"),
        ((500, {}, ""), "500 Internal Server Error"),
        ((401, {}, "no"), "401 Unauthorized"),
        (HTML, "a page that is not MLflow's"),
    ],
)
def test_what_went_wrong_during_a_study_is_said_at_its_end(answer, wanted):
    with stub(answer) as address:
        experiment = Experiment(address, "s", "uuid", Path("/nowhere"))
        box = Outbox(experiment)
        box.put("a", experiment.reconnect)
        assert box.close() == wanted


def test_an_error_of_ours_keeps_its_words():
    assert reason(ValueError("a\nb")) == "ValueError: a"
    assert reason(RecordError("x must be y")) == "x must be y"
    taken = NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b")
    assert reason(taken) == "/a/b must be usable, got: Not a directory"
    assert meaning(OSError("[Errno 113] No route to host"))[0] == "no way to its host"
