"""One run in this process: same seed same numbers, arms paired, trials blind to test, failures."""

import json
import shutil

import numpy as np
import pytest
import torch

from seglib.metrics import CONTRACT, mean_iou
from seglib.models import build_model
from seglib.models.weights import file_sha256
from seglib.predict import evaluate
from study.execution import parts
from study.execution.panel import panel_indices
from study.execution.parts import initial_model, start_bias, training_parts
from study.record import RunDir
from tests.study.execution.tiny import config, cut, do, numbers


@pytest.mark.slow
def test_same_seed_same_numbers(store, tmp_path):
    (state, one), (_, two) = do(store, tmp_path / "1"), do(store, tmp_path / "2")
    assert state == "finished" and numbers(one) == numbers(two) and len(numbers(one)) == 3
    first, second = (np.load(tmp_path / n / "confusion.npz") for n in "12")
    assert sorted(first.files) == ["dev", "dev_names", "test", "test_names"]
    for name in first.files:
        assert np.array_equal(first[name], second[name])
    assert numbers(do(store, tmp_path / "3", seed=1)[1]) != numbers(one)


def test_results_are_whole(store, tmp_path):
    _, events = do(store, tmp_path / "1")
    last = events[-1]
    assert last.event == "finished" and 0 <= last.metrics["test/miou"] <= 1
    assert last.contract == CONTRACT
    assert {"test/iou/square", "dev/miou", "test/miou_foreground"} <= set(last.metrics)
    there = {p.name for p in (tmp_path / "1").iterdir()} - {"lock"}
    assert there == {
        "config.json",
        "journal.jsonl",
        "best.pt",
        "confusion.npz",
        "history.json",
        "panel.npz",
        "panel.png",
    }
    with np.load(tmp_path / "1/confusion.npz") as file:
        assert file["test"].shape == (4, 3, 3) and file["dev"].shape == (4, 3, 3)
        truth = store.test().class_pixels
        assert np.array_equal(file["test"].sum(2), truth)
    stored = json.loads((tmp_path / "1/config.json").read_text())
    assert stored["run_id"] == config(store).run_id and stored["config"]["width"] == 4


def test_a_run_needs_the_store_alone(folder, store, tmp_path):
    shutil.rmtree(folder)  # what happens to the files while a study runs does it no harm
    assert do(store, tmp_path / "1")[0] == "finished"


@pytest.mark.slow
def test_arms_are_paired(store):
    """At one seed all arms see the same crops; arms of a network start from the same weights."""
    fit_split, _ = store.development(split_seed=0, dev_share=0.2)
    for model in ("unet", "resnetunet"):
        states, crops = [], []
        for loss in ("bce", "focal_tversky"):
            arm = config(store, model=model, loss=loss, output_bias="frequencies")
            start = initial_model(arm, 3)
            assert start_bias(start, arm, fit_split) == ""
            shares = fit_split.class_pixels.sum(0) / fit_split.class_pixels.sum()
            assert np.allclose(start.head.bias.detach().sigmoid().numpy(), shares, rtol=1e-4)
            states.append(start.state_dict())
            crops.append(next(training_parts(arm, fit_split)[1](1)))
        assert all(torch.equal(a, b) for a, b in zip(*map(dict.values, states), strict=True))
        assert torch.equal(crops[0][0], crops[1][0]) and torch.equal(crops[0][1], crops[1][1])
    other = initial_model(config(store, seed=1), 3).state_dict()
    base = initial_model(config(store), 3).state_dict()
    assert not torch.equal(other["head.weight"], base["head.weight"])


@pytest.mark.slow
def test_scratch_and_pretrained_differ_in_the_encoder_only(store, tmp_path):
    torch.manual_seed(9)
    path = tmp_path / "w.pt"
    torch.save(build_model("resnetunet", n_classes=2).encoder.state_dict(), path)
    scratch = initial_model(config(store, model="resnetunet"), 3).state_dict()
    pretrained = initial_model(
        config(
            store,
            model="resnetunet",
            init="pretrained",
            weights=file_sha256(path),
            weights_source="file",
            weights_path=str(path),
        ),
        3,
    ).state_dict()
    differ = {k.split(".")[0] for k in scratch if not torch.equal(scratch[k], pretrained[k])}
    assert differ == {"encoder"}


def test_a_trial_never_opens_test(store, tmp_path):
    for name in ("development.bin", "test.bin"):
        assert (store.path / name).exists()
    (store.path / "test.bin").unlink()
    state, events = do(store, tmp_path / "trial", role="trial", seed=1000)
    assert state == "finished" and "test/miou" not in events[-1].metrics
    with np.load(tmp_path / "trial/confusion.npz") as file:
        assert sorted(file.files) == ["dev", "dev_names"]
    state, events = do(store, tmp_path / "final")  # the check can fail: a final run needs the file
    assert state == "failed" and "test.bin" in events[-1].error


@pytest.mark.slow
def test_void_learnt_as_a_class_is_never_predicted_nor_scored(store, tmp_path):
    values = {"train_void": "class", "epochs": 6, "lr": 1e-2}
    fit_split, _ = store.development(split_seed=0, dev_share=0.2)
    sampler = training_parts(config(store, **values), fit_split)[1]
    labels = {int(v) for epoch in range(9) for _, masks in sampler(epoch) for v in masks.unique()}
    assert labels == {0, 1, 2, 3, 255}  # the border as one more class; outside stays void
    state, events = do(store, tmp_path / "1", **values)
    assert state == "finished"
    assert torch.load(tmp_path / "1/best.pt", weights_only=True)["head.weight"].shape[0] == 4
    with np.load(tmp_path / "1/confusion.npz") as file:
        assert file["test"].shape == (4, 3, 3)
        assert np.array_equal(file["test"].sum(2), store.test().class_pixels)
    metrics = events[-1].metrics
    assert metrics["test/miou_void_scored"] != metrics["test/miou"]
    assert "test/miou_void_scored" not in do(store, tmp_path / "2")[1][-1].metrics


def test_a_failed_run_says_why(store, tmp_path):
    state, events = do(store, tmp_path / "1", weight_decay=1e38)
    run_id = config(store, weight_decay=1e38).run_id
    assert state == "failed" == RunDir(tmp_path / "1").state()
    assert events[-1].error.startswith(f"run {run_id}: loss is not finite at epoch 2, step 1 of 2")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_continues_from_its_checkpoint(store, tmp_path, optimizer):
    values = {"epochs": 4, "checkpoint_s": 0.0, "optimizer": optimizer}
    path = tmp_path / config(store, **values).run_id
    _, whole = do(store, tmp_path / "whole", **values)
    state, seen = cut(store, path, 2, **values)
    assert state == "dead" == RunDir(path).state()
    _, rest = do(store, path, **values)
    assert rest[0].attempt == 2 and numbers(seen) + numbers(rest) == numbers(whole)
    assert [event.epoch for event in RunDir(path).journal().epochs] == [1, 2, 3, 4]


def test_epochs_trained_again_are_shown_and_not_journaled_twice(store, tmp_path):
    values = {"epochs": 3}  # too short for a checkpoint before the end
    path = tmp_path / config(store, **values).run_id
    cut(store, path, 2, **values)
    _, rest = do(store, path, **values)
    assert [event.epoch for event in rest if event.event == "epoch"] == [1, 2, 3]
    events = RunDir(path).journal().events
    assert [event.epoch for event in events if event.event == "epoch"] == [1, 2, 3]


@pytest.mark.slow
def test_best_weights_belong_to_the_best_epoch(store, tmp_path):
    values = {"epochs": 8, "lr": 0.1, "schedule": "constant", "n_evaluations": 8}
    _, whole = do(store, tmp_path / "whole", **values)
    curve = [
        event.metrics["dev/miou"]
        for event in whole
        if event.event == "epoch" and "dev/miou" in event.metrics
    ]
    assert max(curve) > curve[-1]  # the last epoch is not the best, so the two differ
    weights = torch.load(tmp_path / "whole/best.pt", weights_only=True)
    assert max(curve) == whole[-1].metrics["dev/miou"]
    model = initial_model(config(store), 3)
    model.load_state_dict(weights)
    dev = store.development(split_seed=0, dev_share=0.2)[1]
    counts = evaluate(model, dev, multiple=8).class_counts()
    assert mean_iou(counts) == pytest.approx(max(curve))


@pytest.mark.slow
def test_a_run_that_learns_nothing_says_so_once(store, tmp_path):
    values = {"epochs": 4, "n_evaluations": 4, "lr": 1e-12, "output_bias": "frequencies"}
    path = tmp_path / config(store, **values).run_id
    state, events = do(store, path, **values)
    told = [event.text for event in events if event.event == "note"]
    assert state == "finished" and told == [
        "collapsed: predicted only background on dev and test",
        "dev mIoU never rose above the first of its 4 evaluations, epoch 1",
    ]
    assert [e.event for e in events][-3:] == ["note", "note", "finished"]
    journal = path / "journal.jsonl"  # a kill between the notes and the end, then the run again
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-2]))
    _, events = do(store, path, **values)
    noted = [event.text for event in RunDir(path).journal().events if event.event == "note"]
    assert noted == told and events[-1].event == "finished"


def test_an_output_bias_that_cannot_be_set_is_told_once_of_all_attempts(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "set_output_bias", lambda *_: False)
    values = {"epochs": 3, "output_bias": "frequencies", "checkpoint_s": 0.0}
    path = tmp_path / config(store, **values).run_id
    assert cut(store, path, 1, **values)[0] == "dead"
    assert do(store, path, **values)[0] == "finished"
    noted = [event.text for event in RunDir(path).journal().events if event.event == "note"]
    assert noted.count("unet has no last convolution with a bias: output_bias is as drawn") == 1


def test_changed_data_is_found(store, tmp_path):
    state, events = do(store, tmp_path / "1", data="0" * 64)
    assert state == "failed" and "the data changed" in events[-1].error


def test_the_panel_shows_every_class(store):
    test = store.test()
    shown = test.class_pixels[panel_indices(test)].sum(0)
    assert (shown > 0).all() and sorted(panel_indices(test)) == list(range(len(test)))
    assert panel_indices(test, 2) == panel_indices(test)[:2]  # a pool that grows keeps its first
