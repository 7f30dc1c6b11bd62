"""The memory a run is said to need: near what it takes, and refused where it cannot be had."""

import re
import subprocess
import sys

import psutil
import pytest

from study.config import ConfigError
from study.execution import footprint
from study.execution.executor import Job, LocalExecutor
from study.execution.footprint import available_bytes, check_memory, run_bytes
from tests.helpers import run_command
from tests.study.execution.tiny import config

FRESH = """
import study.execution.run
from tests.study.execution.test_footprint import worker_bytes
print(worker_bytes())
"""


def worker_bytes() -> float:
    """What a worker has from its start."""
    here = psutil.Process().memory_info()
    return here.rss - here.shared


def test_more_of_anything_needs_more(store):
    def need(**values):
        return run_bytes(config(store, **values), store)

    usual = need(crop_px=64, batch_size=16, width=16)
    assert need(crop_px=128, batch_size=16, width=16) > usual
    assert need(crop_px=64, batch_size=16, width=32) > usual
    assert need(crop_px=64, batch_size=16, width=16, accumulate=2) < usual
    assert need(crop_px=64, batch_size=16, width=16, precision="bf16") < usual
    assert usual > 16e6


def test_what_cannot_fit_is_refused_with_what_to_set(store, monkeypatch):
    one = config(store, batch_size=16)
    here = worker_bytes()
    need = run_bytes(one, store)
    monkeypatch.setattr(footprint, "available_bytes", lambda: here + 2.5 * need)
    alone, at_once = check_memory([one, one], store, 2)
    assert here + need == pytest.approx(alone, rel=0.1) and at_once > alone
    monkeypatch.setattr(footprint, "available_bytes", lambda: 0.4 * (here + need))
    said = r"must fit into the memory that is free, .* GB, got .* GB each for unet-w4-scratch"
    with pytest.raises(ConfigError, match=f"1 run at once {said}.*try --set batch_size=8"):
        check_memory([one], store, 1)
    monkeypatch.setattr(footprint, "available_bytes", lambda: here + 5 * need)
    with pytest.raises(ConfigError, match=f"99 runs at once {said}.*; use --workers [345]$"):
        check_memory([one], store, 99)


def test_a_control_group_limits_what_is_free(tmp_path):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 400000\ninactive_file 100000\n")
    assert footprint._group_free(tmp_path) == 400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert footprint._group_free(tmp_path) == float("inf")
    assert footprint._group_free(tmp_path / "none") == float("inf")
    assert 0 < available_bytes() <= psutil.virtual_memory().total


def test_the_plan_says_it_and_refuses_what_cannot_fit(folder, tmp_path, capfd, monkeypatch):
    words = ("--plan", "--only", "loss=bce", "--only", "model=unet", "--seeds", "1")
    assert run_command(*words, out=tmp_path, data=folder) == 0
    assert re.search(r"memory: up to \d\.\d GB a run, ", capfd.readouterr().out)
    monkeypatch.setattr(footprint, "available_bytes", lambda: 1e6)
    for verb in ("--plan", "--grid"):
        assert run_command(verb, *words[1:], out=tmp_path / verb, data=folder) == 2
        assert "must fit into the memory that is free, 0.0 GB" in capfd.readouterr().err
        assert not list(tmp_path.glob(f"{verb}/*/runs"))


@pytest.mark.slow
def test_it_is_near_what_a_run_takes(store, tmp_path):
    one = config(store, width=32, crop_px=96, batch_size=8, epochs=1)
    fresh = [sys.executable, "-c", FRESH]  # this process has grown by other tests
    here = float(subprocess.run(fresh, capture_output=True, text=True, check=True).stdout)
    need = run_bytes(one, store) + here
    *_, last = [m.event for m in LocalExecutor(1).run([Job(one, "a", tmp_path / one.run_id)])]
    assert last.event == "finished", last
    assert need == pytest.approx(last.peak_memory_mb * 2**20, rel=0.3)
