"""A half-done run and another world: other libraries, another format, another identity."""

import pytest

from study.config import RunConfig
from study.execution import preflight
from study.execution.drift import DriftError, drift
from study.execution.executor import Job
from study.execution.run import run
from study.record import JournalError, RunDir, files, write_json
from study.record.journal import Finished, Start
from study.study import StudyError
from tests.study.execution.tiny import LONG, config

FINISHED = Finished(best_epoch=5, duration_s=1.0, peak_memory_mb=1.0, metrics={}, contract={})


@pytest.mark.parametrize("word", ["start", "environment", "torch", "time"])
def test_a_damaged_start_is_a_journal_error(half, word):
    journal = half.path / files.JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(lines[0].replace(f'"{word}"', f'"{word[::-1]}"') + "".join(lines[1:]))
    with pytest.raises(JournalError, match="damaged"):
        drift(RunConfig(**half.record().config), half)


@pytest.mark.parametrize(
    "change, says",
    [
        ("torch", "torch 1.13 (now "),
        ("numpy", "numpy 1 (now "),
        ("format", "run format 2 (now 3)"),
        ("lr", "lr 0.5 (now 0.001)"),
    ],
)
def test_a_half_done_run_of_another_world_is_not_continued(kept_store, half, change, says):
    wanted, journal = config(kept_store, **LONG), half.path / files.JOURNAL
    assert drift(wanted, half) == []
    if change == "lr":
        record = half.record()
        write_json(half.config, record.having(config=record.config | {"lr": 0.5}))
    else:
        events = half.journal().events
        start = next(event for event in events if event.event == "start")
        changes = {"environment": start.environment | {change: "1.13.1"}}
        if change == "format":
            changes = {"format": 2}
        events[events.index(start)] = start.having(**changes)
        journal.write_text("".join(event.model_dump_json() + "\n" for event in events))
    half = RunDir(half.path)
    before = journal.read_bytes()
    with pytest.raises(DriftError, match="use --study NEWNAME"):
        run(wanted, half, arm="a")
    assert journal.read_bytes() == before
    with pytest.raises(StudyError) as error:
        preflight.check_drift("study s", [Job(wanted, "a", half.path)] * 2, "--study NEWNAME")
    names = f"a seed 0 ({half.run_id}), a seed 0 ({half.run_id})"
    assert f"{names}; use --study NEWNAME, or move" in str(error.value)
    assert says in str(error.value)
    half.append(FINISHED)
    assert drift(wanted, half) == []  # finished runs are untouched


def test_a_field_newer_than_a_half_done_run_that_does_not_apply_is_no_drift(kept_store, half):
    record = half.record()
    stored = {k: v for k, v in record.config.items() if k not in ("branch", "decoder")}
    write_json(half.config, record.having(config=stored))
    assert drift(config(kept_store, **LONG), RunDir(half.path)) == []


def test_a_run_without_an_epoch_is_begun_again_anywhere(kept_store, tmp_path):
    run_dir = RunDir(tmp_path / "1")
    run_dir.create(config(kept_store).record("a"))
    environment = {"torch": "1.13.1", "numpy": "1.26.0"}
    run_dir.append(Start(attempt=1, after_epoch=0, n_parameters=1, environment=environment))
    assert drift(config(kept_store), run_dir) == []
