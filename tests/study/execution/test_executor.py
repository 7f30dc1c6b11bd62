"""What the executor makes of workers that end without a word."""

import errno
import multiprocessing
import os
import signal

import pytest

from study.config import RunConfig
from study.execution.executor import Job, LocalExecutor, _Worker
from study.record.rundir import RunDir
from tests.helpers import BASE_RUN as BASE
from tests.study.execution.test_run import config as tiny


class Ended:
    exitcode = -9

    def join(self):
        pass


@pytest.mark.parametrize(
    "wrote, kind, reason",
    [
        ([], "died", "worker was killed by signal 9 (SIGKILL)"),
        ([("start", {})], "died", "worker was killed by signal 9 (SIGKILL)"),
        ([("start", {}), ("failed", {"error": "new"})], "failed", "new"),
    ],
)
def test_a_killed_retry_is_not_taken_for_the_failure_before_it(tmp_path, wrote, kind, reason):
    config = RunConfig(**BASE)
    run_dir = RunDir(tmp_path / config.run_id)
    executor = LocalExecutor(1)
    run_dir.create(config.record("a"))
    run_dir.append("start")
    run_dir.append("failed", error="old")
    ours, theirs = multiprocessing.Pipe()
    worker = _Worker(Job(config, "a", run_dir.path), Ended(), ours, len(run_dir.rows()))
    executor._workers[config.run_id] = worker
    for event, values in wrote:
        run_dir.append(event, **values)
    events = list(executor._reap(worker))
    theirs.close()
    assert [event.kind for event in events] == [kind]
    assert events[0].row["error"].startswith(reason)
    assert ("possibly out of memory" in events[0].row["error"]) == (kind == "died")


def test_a_killed_worker_takes_nothing_with_it(store, tmp_path):
    """Every run ends once; the killed one is begun again and continues."""
    configs = [tiny(store, seed=seed, epochs=6, checkpoint_s=0.0) for seed in range(4)]
    jobs = [Job(c, f"seed {c.seed}", tmp_path / c.run_id) for c in configs]
    executor, ended, attempts = LocalExecutor(2), [], []
    for event in executor.run(jobs):
        if event.kind == "start":
            attempts.append((event.job.arm, event.row["attempt"]))
        if (
            event.kind == "epoch"
            and event.row["epoch"] == 3
            and event.job == jobs[0]
            and ("seed 0", 2) not in attempts
        ):
            os.kill(executor._workers[event.job.config.run_id].process.pid, signal.SIGKILL)
        if event.kind in ("finished", "died"):
            ended.append((event.job.arm, event.kind))
        if event.kind == "died":
            assert "killed by signal 9 (SIGKILL), possibly out of memory" in event.row["error"]
            executor.again(event.job)
    once = [f"seed {i}" for i in range(4)]
    assert sorted(ended) == [("seed 0", "died"), *((name, "finished") for name in once)]
    assert sorted(attempts) == sorted([("seed 0", 2), *((name, 1) for name in once)])
    starts = [row for row in RunDir(jobs[0].path).rows() if row["event"] == "start"]
    assert starts[1]["after_epoch"] >= 2


def test_a_full_disk_starts_no_more_runs(tmp_path, monkeypatch):
    jobs = [Job(RunConfig(**BASE | {"seed": i}), "a", tmp_path / str(i)) for i in range(3)]
    executor = LocalExecutor(1)

    def start(job):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(executor, "_start", start)
    events = list(executor.run(jobs))
    assert [(e.kind, e.job) for e in events] == [("failed", jobs[0])] and executor.disk_full
    assert "No space left on device" in events[0].row["error"]
