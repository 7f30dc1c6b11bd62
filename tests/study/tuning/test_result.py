"""What tunings chose, and the tuned sisters that it gives the arms."""

import pytest

import runs
from study.tuning.options import TuningError
from study.tuning.result import tuned_values
from tests.helpers import how_tuned, new_study
from tests.study.tuning.pretend import begin, play, rerun, score


def test_random_search_of_the_same_budget_is_kept_as_the_control(tmp_path):
    results = []
    for options in ({}, {"sampler": "random", "name": "random"}):
        tuning = begin(tmp_path, trials=6, **options)
        play(tuning, value=lambda config: score(config) / (1 + config.class_weight_exponent))
        results.append(rerun(tuning))
        tuning.close()
    cells = [tuning.cell]
    ((values, chosen),) = tuned_values(tmp_path, tuning.study, cells).values()
    assert {k: values[k] for k in results[0].params} == results[0].params
    assert chosen.control.dev_rerank == results[1].dev_rerank
    other = begin(tmp_path, loss="bce", trials=5)
    play(other)
    rerun(other)
    other.close()
    with pytest.raises(TuningError, match="tuned alike .* got unet-scratch-dice_bce 24, miou, tpe"):
        tuned_values(tmp_path, tuning.study, [*cells, other.cell])


def test_the_control_is_a_search_of_its_own_and_alike(tmp_path):
    points = {}
    for options in ({}, {"sampler": "random", "name": "random"}):
        tuning = begin(tmp_path, trials=8, pruner="none", **options)
        play(tuning)
        points[tuning.options.sampler] = [tuple(t.params.values()) for t in tuning.counted()]
        tuning.close()
    shared = set(points["tpe"]) & set(points["random"])
    assert len(shared) == 2  # the default and the published point, no start-up point
    for name, options in (("", {}), ("random", {"sampler": "random", "objective": "rare"})):
        tuning = begin(tmp_path / "odd", trials=4, name=name, **options)
        play(tuning)
        rerun(tuning)
        tuning.close()
    ((_, chosen),) = tuned_values(tmp_path / "odd", tuning.study, [tuning.cell]).values()
    assert chosen.control is None  # its objective is another


def test_a_budget_that_is_spent_cannot_shrink_and_arms_are_tuned_alike(tmp_path):
    for loss, trials in (("dice_bce", 4), ("bce", 6)):
        tuning = begin(tmp_path, loss=loss, trials=trials, pruner="none")
        play(tuning)
        rerun(tuning)
        tuning.close()
    with pytest.raises(
        TuningError,
        match="trained 24 epochs of trials already, more than the "
        "budget of 16; give --set tune.epochs=24 or more",
    ):
        begin(tmp_path, loss="bce", trials=4, pruner="none")
    dice, bce = (
        tuning.study.declaration.cell(f"unet-scratch-{loss}") for loss in ("dice_bce", "bce")
    )
    tuning.study.add_tuned(tuned_values(tmp_path, tuning.study, [dice]))
    with pytest.raises(TuningError, match="tuned alike"):  # also one after the other
        tuned_values(tmp_path, tuning.study, [bce])


def test_tuned_sisters_bring_their_contrasts(tmp_path):
    study = new_study(tmp_path / "s", matrix=runs.MATRICES["tuned"])
    assert runs.MATRICES["tuned"].tuned and len(study.cells) == 4
    planned = len(study.declaration.contrasts)
    chosen = {"tuning": "tuned", "lr_multiplier": 2.0}
    tuned = {c.arm: (c.values | chosen, how_tuned(epochs=1)) for c in study.cells}
    study.add_tuned(tuned)
    again = {arm: (values, how_tuned(epochs=2)) for arm, (values, _) in tuned.items()}
    study.add_tuned(again)
    assert [c.arm for c in study.cells[4:]] == [f"{arm}-tuned" for arm in tuned]
    families = [c.family for c in study.declaration.contrasts]
    assert families.count("tuning") == 4 and families.count("loss, tuned") == planned == 3
    assert study.declaration.tunings["unet-scratch-bce-tuned"] == how_tuned(epochs=2)
