"""The smallest run, done in this process."""

from study.config import RunConfig
from study.execution.run import run
from study.record import RunDir
from tests.helpers import BASE_RUN, TINY

LONG = {"epochs": 5, "checkpoint_s": 0.0}


def config(store, **values):
    usual = {**BASE_RUN, **TINY, "loss": "dice_bce", "crop_px": 16}
    return RunConfig.of(usual | {"data": store.fingerprint, "store": str(store.path)} | values)


def do(store, path, **values):
    """State of the run, and its events."""
    events = []
    state = run(config(store, **values), RunDir(path), arm="a", emit=events.append)
    return state, events


def cut(store, path, n_epochs, **values):
    """The same, stopped after so many epochs."""
    events = []
    state = run(
        config(store, **values),
        RunDir(path),
        arm="a",
        emit=events.append,
        should_stop=lambda: sum(event.event == "epoch" for event in events) >= n_epochs,
    )
    return state, events


def numbers(events):
    """Everything a run measured but time and memory."""
    return [
        {
            k: v
            for k, v in event.metrics.items()
            if not k.startswith("system/") and k != "train/images_per_s"
        }
        for event in events
        if event.event in ("epoch", "finished")
    ]
