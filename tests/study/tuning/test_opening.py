"""Beginning a tuning and going on with one: what is refused, where the search begins."""

import optuna
import pytest

from study.matrix import Matrix
from study.record import RecordError
from study.tuning.opening import open_tuning
from study.tuning.options import TuneOptions, TuningError
from tests.helpers import new_study
from tests.study.tuning.pretend import DATA, EPOCHS, begin


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "rare"}, r"miou \(now rare\); give the same again, or --set tune.name"),
        ({"sampler": "random"}, r"made for sampler tpe \(now random\)"),
        ({"pruner": "none"}, r"made for pruner median \(now none\)"),
    ],
)
def test_a_tuning_made_for_something_else_is_refused(tmp_path, change, message):
    begin(tmp_path, trials=3).close()
    with pytest.raises(TuningError, match=message):
        begin(tmp_path, trials=3, **change)
    begin(tmp_path, trials=3, name="other", **change).close()
    begin(tmp_path, trials=3).close()  # nothing stays locked


def test_another_direction_space_or_data_is_refused(tmp_path):
    tuning = begin(tmp_path, trials=3)
    key, storage = tuning.place.key, tuning.optuna._storage
    tuning.close()
    tuning.optuna.set_user_attr("data", "another")
    with pytest.raises(TuningError, match=r"made for data another \(now dddddddddddd\)"):
        begin(tmp_path, trials=3)
    optuna.delete_study(study_name=key, storage=storage)
    optuna.create_study(study_name=key, storage=storage, direction="minimize")
    with pytest.raises(
        TuningError,
        match=(rf"{key} of unet-scratch-dice_bce was made for direction minimize \(now maximize"),
    ):
        begin(tmp_path, trials=3)
    optuna.load_study(study_name=key, storage=storage).enqueue_trial({})
    with pytest.raises(
        TuningError,
        match=(
            r"data None .*space None \(now background_multiplier 0.25 to 2, .*loss.share 0.1 to"
        ),
    ):
        begin(tmp_path, trials=3)


def test_nothing_to_tune_and_too_small_budgets_are_refused(tmp_path):
    cell = {"model": "unet", "init": "scratch", "loss": "jaccard", "lr_multiplier": 2.0}
    study = new_study(tmp_path / "s", data=DATA, matrix=Matrix(cells=(cell,), baseline=cell))
    with pytest.raises(TuningError, match="has nothing to tune: its matrix sets all of it"):
        open_tuning(tmp_path, study, study.cells[0], TuneOptions())
    with pytest.raises(TuningError, match="at least the 4 epochs of one trial of unet"):
        begin(tmp_path, epochs=3)


def test_a_study_that_a_dead_driver_left_half_made_is_taken_over(tmp_path):
    tuning = begin(tmp_path, trials=3)
    key, storage = tuning.place.key, tuning.optuna._storage
    tuning.close()
    optuna.delete_study(study_name=key, storage=storage)
    optuna.create_study(study_name=key, storage=storage, direction="maximize")
    tuning = begin(tmp_path, trials=3)
    assert tuning.optuna.user_attrs["objective"] == "miou"
    tuning.close()


def test_a_parameter_switched_off_is_not_searched(tmp_path):
    declared = new_study(tmp_path / "s", data=DATA, epochs=EPOCHS, background_multiplier=0.0)
    tuning = open_tuning(tmp_path, declared, declared.cells[0], TuneOptions(trials=3))
    assert set(tuning.space) == set(tuning.default) == {"class_weight_exponent", "lr_multiplier"}
    tuning.close()


@pytest.mark.parametrize("name", ["optuna.db", "optuna.db-journal", "optuna.db-wal"])
def test_a_database_that_is_a_link_is_not_opened(tmp_path, name):
    begin(tmp_path, trials=3).close()
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / "tuning" / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(RecordError, match=f"{name} must be a plain file, got a link"):
        begin(tmp_path, trials=3)
    assert (tmp_path / "theirs").read_text() == "mine"


@pytest.mark.parametrize("name", ["driver.lock", ""])
def test_a_tuning_through_a_link_is_refused(tmp_path, name):
    tuning = begin(tmp_path, trials=3)
    tuning.close()
    path = tuning.place.runs / name
    path.rename(tmp_path / "theirs")
    path.symlink_to(tmp_path / "theirs")
    with pytest.raises(RecordError, match="must be a .*, got a link"):
        begin(tmp_path, trials=3)
