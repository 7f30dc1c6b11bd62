"""MLflow behind a study under way: nothing lost, nothing twice, whatever fails, and it is said."""

import threading
import time

import pytest

from study.tracking import experiment, outbox
from study.tracking.outbox import Outbox
from study.tracking.projection import Projection
from study.tracking.sender import Sender
from study.tracking.store import connect
from study.tracking.sync import sync
from tests.study.tracking.studies import aggregate, in_mlflow, make_study


class Flaky:
    """A client whose every n-th write fails: before it is done, or after (its answer is lost)."""

    def __init__(self, client, n, when, count):
        self._client, self._n, self._when, self._count = client, n, when, count

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if not name.startswith(("create_", "log_", "set_", "update_", "delete_")):
            return method

        def call(*args, **kwargs):
            self._count[0] += 1
            fails = self._count[0] % self._n == 0
            if fails and self._when == "before":
                raise ConnectionError("refused")
            result = method(*args, **kwargs)
            if fails:
                raise ConnectionError("answer lost")
            return result

        return call


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_lost_and_nothing_twice_when_writes_fail(out, uri, clean, when, monkeypatch):
    study, count = make_study(out, f"flaky-{when}"), [0]
    monkeypatch.setattr(experiment, "connect", lambda uri: Flaky(connect(uri), 11, when, count))
    monkeypatch.setattr(outbox, "RETRY_S", 0.01)
    sender = Sender(Projection(study, out))
    sender.catch_up()
    assert sender.close() == ""
    monkeypatch.undo()
    assert count[0] > 50
    sync(study, out, aggregate(study))  # the arms and the study's own run
    assert in_mlflow(uri, study.name) == clean


@pytest.mark.slow
def test_a_server_lost_after_the_start_is_said_and_sync_sends_what_is_missing(
    out, uri, clean, monkeypatch
):
    study = make_study(out, "lost")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    sender = Sender(Projection(study, out))
    sender.catch_up()
    assert sender.close() == "no answer"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync(study, out, aggregate(study)).problems == []
    assert in_mlflow(uri, "lost") == clean


class Store:
    """Stands for an experiment; `lost` is what its `reconnect` raises."""

    uri, lost = "http://user:secret@host", None

    def reconnect(self):
        if self.lost:
            raise self.lost


def test_close_claims_nothing_that_has_not_arrived():
    release = threading.Event()
    slow = Outbox(Store())
    slow.put("a", release.wait)
    began = time.monotonic()
    assert slow.close(timeout_s=0.2) == "http://***@host is slow or does not answer"
    assert time.monotonic() - began < 5
    release.set()

    def fail():
        raise ConnectionError("no answer")

    store, calls = Store(), []
    store.lost = ConnectionError("no answer")
    lost = Outbox(store)
    for key in "abc":
        lost.put(key, fail)
        lost.put(key, lambda key=key: (calls.append(key), fail()))
    assert lost.close() == "ConnectionError: no answer"
    assert set(calls) <= {"a"}  # the store is lost: not every call waits for it


@pytest.mark.slow
def test_an_outage_ends_while_the_study_goes_on(monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_S", 0.01)
    store, up, arrived = Store(), threading.Event(), []
    box = Outbox(store)

    def send(value):
        if not up.is_set():
            store.lost = ConnectionError("down")
            raise store.lost
        arrived.append(value)

    for value in (1, 2):
        box.put("a", lambda value=value: send(value))
    box.put("b", lambda: send(3))
    time.sleep(0.3)
    up.set()  # nothing new is put: what is behind is sent by itself
    deadline = time.monotonic() + 10
    while len(arrived) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert arrived == [2, 3]
    assert box.close() == ""
