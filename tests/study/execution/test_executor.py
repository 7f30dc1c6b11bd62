"""What the executor makes of workers that end without a word."""

import errno
import multiprocessing
import os
import signal

import pytest

from study.config import RunConfig
from study.execution.executor import Job, LocalExecutor, _Worker
from study.record import RunDir
from study.record.journal import Failed, Start
from tests.helpers import BASE_RUN as BASE
from tests.study.execution.tiny import config as tiny

START = Start(attempt=1, after_epoch=0, n_parameters=1, environment={})


class Ended:
    exitcode = -9

    def join(self):
        pass


@pytest.mark.parametrize(
    "wrote, kind, reason",
    [
        ([], "died", "worker was killed by signal 9 (SIGKILL)"),
        ([START], "died", "worker was killed by signal 9 (SIGKILL)"),
        ([START, Failed(error="new")], "failed", "new"),
    ],
)
def test_a_killed_retry_is_not_taken_for_the_failure_before_it(tmp_path, wrote, kind, reason):
    config = RunConfig(**BASE)
    run_dir = RunDir(tmp_path / config.run_id)
    executor = LocalExecutor(1)
    run_dir.create(config.record("a"))
    run_dir.append(START)
    run_dir.append(Failed(error="old"))
    ours, theirs = multiprocessing.Pipe()
    worker = _Worker(Job(config, "a", run_dir.path), Ended(), ours, len(run_dir.journal().events))
    executor._workers[config.run_id] = worker
    for event in wrote:
        run_dir.append(event)
    messages = list(executor._reap(worker))
    theirs.close()
    assert [message.event.event for message in messages] == [kind]
    assert messages[0].event.error.startswith(reason)
    assert ("possibly out of memory" in messages[0].event.error) == (kind == "died")


@pytest.mark.slow
def test_a_killed_worker_takes_nothing_with_it(store, tmp_path):
    """Every run ends once; the killed one is begun again and continues."""
    configs = [tiny(store, seed=seed, epochs=6, checkpoint_s=0.0) for seed in range(4)]
    jobs = [Job(c, f"seed {c.seed}", tmp_path / c.run_id) for c in configs]
    executor, ended, attempts = LocalExecutor(2), [], []
    for message in executor.run(jobs):
        job, event = message.job, message.event
        if event.event == "start":
            attempts.append((job.arm, event.attempt))
        first = job == jobs[0] and ("seed 0", 2) not in attempts
        if event.event == "epoch" and event.epoch == 3 and first:
            os.kill(executor._workers[job.config.run_id].process.pid, signal.SIGKILL)
        if event.event in ("finished", "died"):
            ended.append((job.arm, event.event))
        if event.event == "died":
            assert "killed by signal 9 (SIGKILL), possibly out of memory" in event.error
            executor.again(job)
    once = [f"seed {i}" for i in range(4)]
    assert sorted(ended) == [("seed 0", "died"), *((name, "finished") for name in once)]
    assert sorted(attempts) == sorted([("seed 0", 2), *((name, 1) for name in once)])
    assert RunDir(jobs[0].path).journal().starts[1].after_epoch >= 2


def test_a_full_disk_starts_no_more_runs(tmp_path, monkeypatch):
    jobs = [Job(RunConfig(**BASE | {"seed": i}), "a", tmp_path / str(i)) for i in range(3)]
    executor = LocalExecutor(1)

    def start(job):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(executor, "_start", start)
    messages = list(executor.run(jobs))
    assert [(m.event.event, m.job) for m in messages] == [("failed", jobs[0])]
    assert executor.disk_full and messages[0].event.error.startswith("disk full: ")
