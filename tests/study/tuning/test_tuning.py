"""Tuning: budgets, interruption, refusals and what the search is worth, without training."""

import itertools
import math
from collections import defaultdict

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import runs
import study.tuning.search
from study.commands.session import TuneOptions
from study.execution.executor import Event
from study.matrix import Matrix
from study.record.rundir import RunDir
from study.tuning.search import CellTuning, TuningError, make_pruner, make_sampler, tuned_values
from tests.helpers import new_study

EPOCHS = 4
OPEN_STORAGE = study.tuning.search.open_storage
DATA = {
    "name": "d",
    "fingerprint": "d" * 64,
    "background": True,
    "classes": ["background", "cat", "dog", "cow"],
    "pixel_share": {"fit": [0.7, 0.2, 0.06, 0.04], "dev": [0.7, 0.2, 0.1, 0.0]},
}


@pytest.fixture(autouse=True)
def storages(monkeypatch):
    """Optuna's memory in place of a database, kept as long as the test; `real` turns it off."""
    kept = defaultdict(optuna.storages.InMemoryStorage)
    monkeypatch.setattr(study.tuning.search, "open_storage", kept.__getitem__)


@pytest.fixture
def real(monkeypatch, storages):
    monkeypatch.setattr(study.tuning.search, "open_storage", OPEN_STORAGE)


def begin(path, loss="dice_bce", **options):
    declared = new_study(path / "s", epochs=EPOCHS, warmup_frac=0.0)
    declared.declaration["data"] = DATA
    cell = next(c for c in declared.cells if c["arm"] == f"unet-scratch-{loss}")
    return CellTuning(path, declared, cell, TuneOptions(**options))


def score(config):
    """What a pretended run reaches: best at a share of 0.3 and a doubled learning rate."""
    off = (config.loss_params.get("share", 0.3) - 0.3) ** 2
    off += 0.1 * (math.log(config.lr_multiplier / 2)) ** 2
    return max(0.0, 0.8 - off - 0.1 * config.class_weight_exponent)


class Stop(Exception):
    """The driver is killed here."""


def play(tuning, slots=2, *, value=score, kill_at=None, ends=None, disk_full=False):
    """What workers and driver do, an epoch a turn. `kill_at`: events until the driver dies.

    `ends` maps the number of a job to how it ends ("failed" or "died") after its second epoch.
    Returns: run ids in the order in which they were begun.
    """
    begun, under_way, stopped, n_events = [], {}, set(), itertools.count()

    class Executor:
        def stop(self, run_id, reason):
            stopped.add(run_id)

    def tell(job, kind, row):
        if next(n_events) == kill_at:
            raise Stop
        tuning.take(Event(job, kind, row), Executor())

    jobs = tuning.jobs(lambda config: config, "")
    while True:
        while len(under_way) < slots and (job := next(jobs, None)) is not None:
            run_dir = RunDir(job.path)
            run_dir.create(job.config.record(job.arm))
            begun.append(job.config.run_id)
            under_way[job.config.run_id] = (job, run_dir, len(begun) - 1)
        if not under_way:
            return begun
        for run_id, (job, run_dir, number) in list(under_way.items()):
            epoch = len(run_dir.epochs()) + 1
            end = (ends or {}).get(number)
            if run_id in stopped or (end and epoch > 2):
                kind = "stopped" if run_id in stopped else end
                reason = {"reason": "pruned"} if run_id in stopped else {}
                row = run_dir.append(kind, error="boom", disk_full=disk_full, **reason)
            elif epoch > job.config.epochs:
                kind, row = "finished", run_dir.append("finished")
            else:
                reached = value(job.config) * epoch / job.config.epochs
                metrics = {"dev/miou": reached, "dev/iou/dog": reached / 2, "dev/iou/cow": None}
                metrics = {k: None if v is None or math.isnan(v) else v for k, v in metrics.items()}
                kind, row = "epoch", run_dir.append("epoch", epoch=epoch, metrics=metrics)
            if kind != "epoch":
                del under_way[run_id]
            tell(job, kind, row)


def rerun(tuning):
    """Pretend the re-runs of the candidates."""
    for job in tuning.rerank_jobs(lambda config: config, ""):
        run_dir = RunDir(job.path)
        run_dir.create(job.config.record(job.arm))
        for epoch in range(1, EPOCHS + 1):
            reached = score(job.config) - 0.01 * (job.config.seed % 2)
            run_dir.append(
                "epoch", epoch=epoch, metrics={"dev/miou": reached, "dev/iou/dog": reached / 2}
            )
        run_dir.append("finished")
    assert not tuning.missing()
    return tuning.finish()


def test_the_budget_is_epochs_and_pruning_buys_trials(tmp_path):
    tuning = begin(tmp_path, epochs=80, pruner="median", sampler="random")
    play(tuning)
    states = [t.state.name for t in tuning.counted()]
    assert "PRUNED" in states and len(states) > 80 / EPOCHS
    trained = sum(len(RunDir(p).epochs()) for p in tuning.runs.iterdir() if p.is_dir())
    assert trained == tuning.spent() and 80 - EPOCHS < trained <= 80
    assert tuning.counted()[0].params == tuning.default  # trial 0
    assert [t.params["loss.share"] for t in tuning.counted()[:2]] == [0.5, 0.75]  # published
    result = rerun(tuning)
    assert result["epochs"] == trained and result["budget_epochs"] == 80
    assert result["dev_rerank"] == max(result["candidates"].values())
    assert result["dev_rerank"] == pytest.approx(score(tuning.config(result["params"])) - 0.005)
    tuning.close()


def test_no_trial_is_lost_or_doubled_wherever_the_driver_dies(tmp_path):
    whole = begin(tmp_path / "whole", trials=7, pruner="none")
    play(whole)
    n_events = 7 * (EPOCHS + 1)
    for kill_at in range(0, n_events, 3):
        path = tmp_path / str(kill_at)
        tuning = begin(path, trials=7, pruner="none")
        with pytest.raises(Stop):
            play(tuning, kill_at=kill_at)
        tuning.close()
        again = begin(path, trials=7, pruner="none")
        play(again)
        counted = again.counted()
        assert len(counted) == 7 and {t.state for t in counted} == {TrialState.COMPLETE}
        runs_done = [p for p in again.runs.iterdir() if p.is_dir()]
        assert len(runs_done) == 7  # what was cut off was continued in its own directory
        assert len({t.user_attrs["run_id"] for t in counted}) == 7
        for path in runs_done:
            assert [row["epoch"] for row in RunDir(path).rows() if row["event"] == "epoch"] == [
                1,
                2,
                3,
                4,
            ]
        again.close()
    whole.close()


def test_forty_queued_trials_run_once_each_on_four_workers(tmp_path):
    tuning = begin(tmp_path, trials=42, pruner="none")  # with the default and a published point
    shares = np.linspace(0.1, 0.9, 40)
    for share in shares:
        tuning.optuna.enqueue_trial(tuning.default | {"loss.share": float(share)})
    begun = play(tuning, slots=4)
    assert len(begun) == len(set(begun)) == 42
    tried = [t.params["loss.share"] for t in tuning.counted()][2:]
    assert tried == pytest.approx(shares)
    tuning.close()


def test_a_killed_worker_s_trial_is_begun_once_more_and_counts_once(tmp_path):
    tuning = begin(tmp_path, trials=4, pruner="none")
    begun = play(tuning, slots=1, ends={3: "died"})
    assert begun[4:] == [begun[3]] and len(set(begun)) == 4
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 4
    tuning.close()
    twice = begin(tmp_path / "twice", trials=4, pruner="none")
    begun = play(twice, slots=1, ends={1: "died", 2: "died"})  # the same one again
    assert begun[1] == begun[2] and len(begun) == 5
    states = [t.state.name for t in twice.counted()]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"]
    twice.close()


def test_failed_trials_cost_their_length_and_all_failed_is_an_error(tmp_path):
    tuning = begin(tmp_path, trials=3)
    play(tuning, ends=dict.fromkeys(range(3), "failed"))
    assert tuning.n_left() == 0 and len(tuning.counted()) == 3
    with pytest.raises(TuningError, match="no trial was completed, got 3 failed; see their"):
        tuning.finish()
    tuning.close()


def test_an_undefined_objective_fails_the_trial(tmp_path):
    tuning = begin(tmp_path, trials=3)
    play(tuning, value=lambda config: math.nan if config.loss_params["share"] == 0.75 else 0.5)
    states = [t.state.name for t in tuning.counted()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]
    tuning.close()


def test_the_rare_objective_is_the_rarest_third_of_what_dev_shows(tmp_path):
    tuning = begin(tmp_path, trials=3, objective="rare")
    assert tuning.rare == ["dog"]  # cow is rarer, but not in dev; background never counts
    play(tuning)
    assert tuning.counted()[0].value == pytest.approx(
        score(tuning.config(tuning.default)) * (3 / 4 + 1) / 2 / 2
    )
    tuning.close()


def test_resumed_tunings_do_not_repeat_their_first_points(tmp_path):
    for trials in (4, 8):
        tuning = begin(tmp_path, trials=trials)
        play(tuning)
        tuning.close()
    shares = [t.params["loss.share"] for t in tuning.counted()]
    assert len(set(shares)) == len(shares) == 8


@pytest.mark.parametrize("kind", ["median", "hyperband", "none"])
def test_nothing_is_pruned_within_the_warm_up(kind):
    study = optuna.create_study(
        direction="maximize", pruner=make_pruner(kind, 4, 12), sampler=make_sampler("random", 0)
    )
    ended = []
    for number in range(30):
        trial = study.ask()
        for epoch in range(1, 13):
            trial.report((1 - number / 30) * epoch, epoch)  # each worse than all before
            if trial.should_prune():
                ended.append(epoch)
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, 1 - number / 30)
    assert (not ended) if kind == "none" else (len(ended) >= 5 and min(ended) > 4)


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
    key, storage = tuning.key, tuning.optuna._storage
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


def test_storage_that_cannot_be_opened_is_one_line(tmp_path, monkeypatch, real):
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning/optuna.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(TuningError, match=r"storage sqlite:///.*optuna.db must be a database"):
        begin(tmp_path, trials=3)
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql+nothing://me:secret@host/db")
    with pytest.raises(TuningError, match="must be a database that answers") as error:
        begin(tmp_path, trials=3)
    assert "secret" not in str(error.value)


def test_nothing_to_tune_and_too_small_budgets_are_refused(tmp_path):
    cell = {"model": "unet", "init": "scratch", "loss": "jaccard", "lr_multiplier": 2.0}
    study = new_study(tmp_path / "s", matrix=Matrix(cells=(cell,), baseline=cell))
    study.declaration["data"] = DATA
    with pytest.raises(TuningError, match="has nothing to tune: its matrix sets all of it"):
        CellTuning(tmp_path, study, study.cells[0], TuneOptions())
    with pytest.raises(TuningError, match="at least the 4 epochs of one trial of unet"):
        begin(tmp_path, epochs=3)


def test_random_search_of_the_same_budget_is_kept_as_the_control(tmp_path):
    results = []
    for options in ({}, {"sampler": "random", "name": "random"}):
        tuning = begin(tmp_path, trials=6, **options)
        play(tuning, value=lambda config: score(config) / (1 + config.class_weight_exponent))
        results.append(rerun(tuning))
        tuning.close()
    cells = [tuning.cell]
    ((values, chosen),) = tuned_values(tmp_path, tuning.study, cells).values()
    assert {k: values[k] for k in results[0]["params"]} == results[0]["params"]
    assert chosen["control"]["dev_rerank"] == results[1]["dev_rerank"]
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
    assert "control" not in chosen  # its objective is another


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
        next(c for c in tuning.study.cells if c["arm"] == f"unet-scratch-{loss}")
        for loss in ("dice_bce", "bce")
    )
    tuning.study.add_cells(tuned_values(tmp_path, tuning.study, [dice]))
    with pytest.raises(TuningError, match="tuned alike"):  # also one after the other
        tuned_values(tmp_path, tuning.study, [bce])


def test_a_study_that_a_dead_driver_left_half_made_is_taken_over(tmp_path):
    tuning = begin(tmp_path, trials=3)
    key, storage = tuning.key, tuning.optuna._storage
    tuning.close()
    optuna.delete_study(study_name=key, storage=storage)
    optuna.create_study(study_name=key, storage=storage, direction="maximize")
    tuning = begin(tmp_path, trials=3)
    assert tuning.optuna.user_attrs["objective"] == "miou"
    tuning.close()


def test_a_trial_that_met_a_full_disk_is_begun_again(tmp_path):
    tuning = begin(tmp_path, trials=3, pruner="none")
    begun = play(tuning, slots=1, ends=dict.fromkeys(range(5), "failed"), disk_full=True)
    assert len(begun) == 8 and len(set(begun)) == 3
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 3
    tuning.close()


def test_a_parameter_switched_off_is_not_searched(tmp_path):
    declared = new_study(tmp_path / "s", epochs=EPOCHS, background_multiplier=0.0)
    declared.declaration["data"] = DATA
    tuning = CellTuning(tmp_path, declared, declared.cells[0], TuneOptions(trials=3))
    assert set(tuning.space) == set(tuning.default) == {"class_weight_exponent", "lr_multiplier"}
    tuning.close()


def test_tuned_sisters_bring_their_contrasts(tmp_path):
    study = new_study(tmp_path / "s", matrix=runs.MATRICES["tuned"])
    assert runs.MATRICES["tuned"].tuned and len(study.cells) == 4
    planned = len(study.declaration["contrasts"])
    tuned = {
        c["arm"]: ({**c["values"], "tuning": "tuned", "lr_multiplier": 2.0}, {"epochs": 1})
        for c in study.cells
    }
    study.add_cells(tuned)
    study.add_cells({arm: (values, {"epochs": 2}) for arm, (values, _) in tuned.items()})  # again
    assert [c["arm"] for c in study.cells[4:]] == [f"{arm}-tuned" for arm in tuned]
    families = [c["family"] for c in study.declaration["contrasts"]]
    assert families.count("tuning") == 4 and families.count("loss, tuned") == planned == 3
    assert study.declaration["tunings"]["unet-scratch-bce-tuned"] == {"epochs": 2}


def test_the_search_halves_the_regret_of_random_search():
    """On a cheap objective in five dimensions, median over 20 repeats, the space of a loss."""
    from study.tuning.search import search_space

    space = search_space("focal_tversky_bce", True)
    assert len(space) == 5

    def unit(name, value):
        d = space[name]
        if d.log:
            return math.log(value / d.low) / math.log(d.high / d.low)
        return (value - d.low) / (d.high - d.low)

    def regret(kind, seed):
        study = optuna.create_study(direction="maximize", sampler=make_sampler(kind, seed))
        best = np.random.default_rng(seed).uniform(0.2, 0.8, 5)
        for _ in range(40):
            trial = study.ask(space)
            at = [unit(name, trial.params[name]) for name in space]
            study.tell(trial, -float(np.sum((np.array(at) - best) ** 2)))
        return -study.best_value

    found = {
        kind: np.median([regret(kind, seed) for seed in range(20)]) for kind in ("tpe", "random")
    }
    assert found["tpe"] <= found["random"] / 2


def test_the_gaussian_process_asks_too(tmp_path):
    tuning = begin(tmp_path, loss="bce", trials=7, sampler="gp", pruner="none")
    play(tuning)
    assert [t.state for t in tuning.counted()] == [TrialState.COMPLETE] * 7
    tuning.close()
