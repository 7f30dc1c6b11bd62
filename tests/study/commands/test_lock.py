"""The lock of a study: a second driver is told who has it, whatever was planted beside it."""

import os

import pytest

from study.commands.lock import study_lock
from study.record import RecordError
from study.study import StudyError
from tests.helpers import new_study


@pytest.fixture
def study(tmp_path):
    one = new_study(tmp_path / "s")
    one.save()
    return one


def test_the_owner_is_told_and_a_planted_one_is_not(study, tmp_path):
    (tmp_path / "secret").write_text("mine")
    owner = study.path / "driver.pid"
    owner.symlink_to(tmp_path / "secret")
    with study_lock(study):
        assert owner.read_text() == str(os.getpid()) and not owner.is_symlink()
        with pytest.raises(StudyError, match=f"is being run by process {os.getpid()}; wait"):
            study_lock(study).__enter__()
        owner.write_text("\033]0;owned\a")
        with pytest.raises(StudyError, match=r"is being run by process \?; wait"):
            study_lock(study).__enter__()
        for plant in (os.mkfifo, lambda path: path.symlink_to(tmp_path / "secret")):
            owner.unlink()
            plant(owner)
            with pytest.raises(RecordError, match="driver.pid must be a plain file, got a"):
                study_lock(study).__enter__()
    assert (tmp_path / "secret").read_text() == "mine"


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/nowhere")])
def test_a_lock_that_is_no_file_is_refused(study, plant):
    plant(study.path / "driver.lock")
    with pytest.raises(RecordError, match="driver.lock must be a plain file, got a"):
        study_lock(study).__enter__()
