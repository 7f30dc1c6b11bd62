"""What the executor makes of workers that end without a word."""

import multiprocessing

import pytest
from test_study import BASE

from study.config import RunConfig
from study.executor import Job, LocalExecutor, _Worker
from study.rundir import RunDir


class Ended:
    exitcode = -9

    def join(self):
        pass


@pytest.mark.parametrize("wrote, kind, reason", [
    ([], "died", "worker was killed by signal 9 (SIGKILL)"),
    ([("start", {})], "died", "worker was killed by signal 9 (SIGKILL)"),
    ([("start", {}), ("failed", {"error": "new"})], "failed", "new"),
])
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
    assert events[0].row["error"] == reason
