"""The run directory: its record, checked; its state."""

import json

import pytest

from study.config import RunConfig
from study.record import RecordError, RunDir
from tests.helpers import BASE_RUN

RECORD = RunConfig(**BASE_RUN).record("unet-scratch-bce")


def test_the_record_of_a_run_is_what_was_made(tmp_path):
    run = RunDir(tmp_path / RECORD.run_id)
    run.create(RECORD)
    assert run.record() == RECORD and run.record().seed == 0 and run.record().role == "final"
    assert RunConfig(**run.record().config).run_id == run.record().run_id
    run.create(RunConfig(**BASE_RUN).record("other"))  # what is there stays
    assert run.record().arm == "unet-scratch-bce"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"run_id": None}, "config.json must fit its format: run_id: .*, got None; move the run's"),
        ({"run_id": "../x"}, "run_id: string should match pattern .*, got '../x'; move the run's"),
        ({"cell_id": "a" * 300}, "cell_id: string should match pattern .*, got 'aaa"),
        ({"cell_id": "abcd\n"}, "cell_id: string should match pattern"),
        ({"arm": ""}, "config.json must fit its format: arm: string should have at least 1"),
        ({"run_id": "0" * 16}, f"config.json must be of run {RECORD.run_id}, got run 0000"),
        ({"arm": 3}, "config.json must fit its format: arm: .*, got 3"),
        ({"config": {"role": "final"}}, "config.json must have config.seed, got None"),
        ({"config": {"seed": 0}}, "config.json must have config.role, got None"),
        ({"config": {"seed": True, "role": "final"}}, "must have config.seed, got True"),
        ({"config": {"seed": 0, "role": "x"}}, r"config.role, got 'x' \(not final, trial, rer"),
        ({"more": 1}, "config.json must have no more, which this version does not know"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path, change, message):
    run = RunDir(tmp_path / RECORD.run_id)
    run.create(RECORD)
    stored = json.loads(run.config.read_text())
    run.config.write_text(json.dumps(stored | change))
    with pytest.raises(RecordError, match=message) as error:
        run.record()
    assert "\n" not in str(error.value)
    run.config.write_text("{")
    with pytest.raises(RecordError, match="must be a JSON object, got an unreadable file"):
        run.record()


def test_no_run_is_done_in_the_folder_of_another(tmp_path):
    run, other = RunDir(tmp_path / RECORD.run_id), RunConfig(**BASE_RUN | {"seed": 1}).record("a")
    run.create(RECORD)
    with pytest.raises(RecordError, match=f"of run {other.run_id}, got run {RECORD.run_id}; move"):
        run.create(other)
    moved = RunDir(run.path.rename(tmp_path / other.run_id))
    with pytest.raises(RecordError, match=f"of run {other.run_id}, got run {RECORD.run_id}; move"):
        moved.record()
    assert RunDir(tmp_path / RECORD.run_id).state() == "new"
