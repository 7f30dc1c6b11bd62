"""An Optuna study on a server belongs to one folder, wherever that lies; of copies to one."""

import shutil

import optuna
import pytest

from study.record import RecordError
from study.tuning.options import TuningError
from tests.study.tuning.pretend import begin, play

KEPT = "another folder, or a copy of this one, has gone on with; go on with it there, or --set tune"


@pytest.fixture(autouse=True)
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("OPTUNA_STORAGE", f"sqlite:///{tmp_path}/shared.db")


@pytest.fixture
def out(tmp_path):
    """A folder with a tuning that is half done."""
    tuning = begin(tmp_path / "out", trials=3, pruner="none")
    play(tuning)
    tuning.close()
    return tmp_path / "out"


def go_on(out, trials):
    tuning = begin(out, trials=trials, pruner="none")
    play(tuning)
    tuning.close()
    return len(tuning.counted())


def test_a_moved_folder_goes_on(out, tmp_path):
    moved = out.rename(tmp_path / "moved")
    assert go_on(moved, 4) == 4 and go_on(moved, 5) == 5
    (tmp_path / "link").symlink_to(moved)
    assert go_on(tmp_path / "link", 6) == 6


def test_of_copies_the_first_to_go_on_has_it(out, tmp_path):
    copies = [shutil.copytree(out, tmp_path / name) for name in "ab"]
    assert go_on(copies[0], 4) == 4
    for other in (out, copies[1]):
        with pytest.raises(TuningError, match=KEPT):
            go_on(other, 5)
    assert go_on(copies[0], 5) == 5
    begin(out, trials=3, pruner="none", name="other").close()


def test_a_copy_taken_over_stops_the_first_at_its_next_trial(out, tmp_path):
    first = begin(out, trials=6, pruner="none")
    copy = shutil.copytree(out, tmp_path / "copy")
    second = begin(copy, trials=6, pruner="none")
    with pytest.raises(TuningError, match=KEPT):
        play(first)
    play(second)
    assert len(second.counted()) == 6
    first.close(), second.close()


def test_another_folder_is_refused(out, tmp_path):
    with pytest.raises(TuningError, match=KEPT):
        go_on(tmp_path / "elsewhere", 4)
    assert go_on(out, 4) == 4


def test_a_kill_between_the_two_tokens_loses_nothing(out, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "set_user_attr", killed)
            with pytest.raises(KeyboardInterrupt):
                begin(out, trials=4, pruner="none")
    assert go_on(out, 4) == 4


def old(out):
    """As versions before left it: no token, but the path of the folder."""
    tuning = begin(out, trials=3, pruner="none")
    storage, number = tuning.optuna._storage, tuning.optuna._study_id
    tuning.close()
    (tuning.place.runs / "owner.json").unlink()
    del storage._studies[number].user_attrs["owner"]
    storage.set_study_user_attr(number, "folder", "/where/it/was")
    return tuning


def test_a_tuning_of_before_belongs_where_its_runs_are(out, tmp_path):
    old(out)
    with pytest.raises(TuningError, match=KEPT):
        go_on(tmp_path / "elsewhere", 4)
    moved = out.rename(tmp_path / "moved")
    assert go_on(moved, 4) == 4


@pytest.mark.parametrize("name", ["../../x", "/tmp", "", "a" * 300, 3])
def test_a_run_id_of_the_database_becomes_no_path(out, name):
    tuning = old(out)
    storage = tuning.optuna._storage
    attrs = next(iter(storage._studies[tuning.optuna._study_id].trials)).user_attrs
    attrs["run_id"] = name
    with pytest.raises(RecordError, match="trial 0 of the Optuna study .* must have a run id"):
        go_on(out, 4)
    assert not (out / "tuning" / tuning.place.key / "owner.json").exists()


def test_what_is_planted_for_the_token_is_refused(out, tmp_path):
    file = next((out / "tuning").glob("*/owner.json"))
    file.rename(tmp_path / "theirs")
    file.symlink_to(tmp_path / "theirs")
    with pytest.raises(RecordError, match="owner.json must be a plain file, got a link"):
        go_on(out, 4)
