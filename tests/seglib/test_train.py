"""fit: resumes bit for bit, stops, refuses a non-finite loss; schedules; whole-image prediction."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from seglib.data.augment import Augmentation, CropSampler
from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.losses import build_loss
from seglib.models import build_model
from seglib.predict import Stopped, evaluate, predict
from seglib.train import (
    OPTIMIZERS,
    NonFiniteLoss,
    Recipe,
    evaluation_epochs,
    fit,
    gradients,
    lr_factor,
    make_optimizer,
)


@pytest.fixture
def parts(folder, tmp_path):
    store = build_store(open_folder(folder), tmp_path / "store", max_side=None)
    fit_split, dev = store.development(split_seed=0, dev_share=0.2)
    sampler = CropSampler(fit_split, Augmentation(crop_px=16), batch_size=4, seed=3)
    recipe = Recipe(n_epochs=3, lr=1e-2, weight_decay=0.01, evaluate_at=frozenset({2, 3}))
    return sampler, recipe, dev


def new_model():
    torch.manual_seed(0)
    return build_model("unet", n_classes=3, width=4).to(memory_format=torch.channels_last)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resume_is_bit_for_bit(parts, optimizer):
    sampler, recipe, dev = parts
    recipe = dataclasses.replace(recipe, optimizer=optimizer)
    loss = build_loss("dice_bce", n_classes=3)

    def score(model):
        return evaluate(model, dev, multiple=8)

    whole = new_model()
    results = list(fit(whole, loss, sampler, recipe, evaluate=score))
    assert [r.epoch for r in results] == [1, 2, 3]
    assert [r.confusions is None for r in results] == [True, False, False]
    assert results[2].train["loss"] == pytest.approx(
        results[2].train["bce"] + results[2].train["dice"]
    )
    first = new_model()
    generator = fit(first, loss, sampler, recipe, evaluate=score)
    next(generator)
    state = copy.deepcopy(next(generator).state())
    second = build_model("unet", n_classes=3, width=4).to(memory_format=torch.channels_last)
    rest = list(fit(second, loss, sampler, recipe, evaluate=score, state=state))
    assert [r.epoch for r in rest] == [3]
    assert rest[0].train["loss"] == results[2].train["loss"]
    assert np.array_equal(rest[0].confusions.dense(), results[2].confusions.dense())
    for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_optimizers_step_as_they_should():
    """Two steps on the gradient 1 from 1, rate 0.1, decay 0.5; by hand."""
    found = {}
    for name in OPTIMIZERS:
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = make_optimizer(name, [weight], lr=0.1, weight_decay=0.5)
        for _ in range(2):
            weight.grad = torch.ones(1)
            optimizer.step()
        found[name] = weight.item()
    # sgd: g = 1 + 0.5 w, v = 0.9 v + g, w -= 0.1 (g + 0.9 v); w: 1, 0.715, 0.335575
    # adamw: w -= 0.1 (0.5 w + 1), the moments of a constant gradient being 1
    assert found == pytest.approx({"adamw": 0.7075, "sgd": 0.335575}, abs=1e-6)
    with pytest.raises(ValueError, match="optimizer must be one of adamw, sgd, got 'lion'"):
        make_optimizer("lion", [weight], lr=0.1, weight_decay=0)


@pytest.mark.parametrize("loss, same", [("ce", True), ("bce", True), ("dice", False)])
def test_parts_of_a_batch_add_up(loss, same):
    """Equal valid pixels, no batch norm: a mean over pixels is the mean of the parts' means."""
    model = torch.nn.Conv2d(3, 3, 3)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, 3, 12, 12, generator=generator)
    masks = torch.randint(0, 3, (8, 10, 10), generator=generator)
    found = {}
    for n_parts in (1, 3, 4, 8):  # 3: of 3, 3 and 2 images
        model.zero_grad()
        recipe = Recipe(n_epochs=1, lr=0.1, weight_decay=0, accumulate=n_parts)
        values = gradients(model, build_loss(loss, n_classes=3), images, masks, recipe)
        found[n_parts] = torch.cat([values["loss"].view(1), model.weight.grad.flatten()])
    for n_parts in (3, 4, 8):
        assert torch.allclose(found[n_parts], found[1], rtol=1e-5, atol=1e-7) == same


def test_stop_discards_the_partial_epoch(parts):
    sampler, recipe, _ = parts
    polls = iter([False, False, False, True])
    results = list(
        fit(
            new_model(),
            build_loss("bce", n_classes=3),
            sampler,
            recipe,
            should_stop=lambda: next(polls),
        )
    )
    assert [r.epoch for r in results] == [1]


def test_non_finite_loss_names_epoch_and_term(parts):
    sampler, recipe, _ = parts
    model = new_model()
    torch.nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(NonFiniteLoss, match="epoch 1, step 1 of 2: term bce, dice; try a lower lr"):
        next(fit(model, build_loss("dice_bce", n_classes=3), sampler, recipe))


def test_one_cycle_is_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=0.3, cycle_momentum=False
    )
    top = 0.3 * 101 - 1  # the step at which torch's warm-up ends
    for step in range(101):
        progress = 0.3 * step / top if step < top else 0.3 + 0.7 * (step - top) / (100 - top)
        assert lr_factor("onecycle", progress, 0.3) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=2e-4
        )
        optimizer.step()
        if step < 100:
            theirs.step()
    assert lr_factor("onecycle", 0.3, 0.3) == 1.0
    assert lr_factor("cosine", 1.0, 0.1) == pytest.approx(0.0)
    assert lr_factor("constant", 0.5, 0.3) == 1.0


def test_evaluation_epochs():
    assert evaluation_epochs(3) == {1, 2, 3}
    assert evaluation_epochs(60) == set(range(6, 61, 6))
    assert 24 in evaluation_epochs(24, 10)


def test_prediction_keeps_the_size_and_does_not_depend_on_padding_neighbours():
    model = new_model().eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 21, 35, 3), dtype=np.uint8)
    maps = predict(model, images, multiple=8)
    assert {(one.shape, one.dtype) for one in maps} == {((21, 35), np.dtype(np.uint8))}
    assert np.array_equal(maps[1], predict(model, images[1:2], multiple=8)[0])
    mixed = [images[0], images[1][:18, :33], images[2]]  # all are padded to 24 x 40
    alone = predict(model, [mixed[1]], multiple=8)[0]
    assert alone.shape == (18, 33)
    assert np.array_equal(predict(model, mixed, multiple=8)[1], alone)
    with torch.no_grad():
        model.head.bias[2] += 100
    assert all((one == 2).all() for one in predict(model, images, multiple=8))
    again = predict(model, images, multiple=8, n_classes=2)  # 2 cannot win
    assert all(map(np.array_equal, again, maps))


def test_evaluation_stops_when_told(parts):
    _, _, dev = parts
    with pytest.raises(Stopped):
        evaluate(new_model(), dev, multiple=8, should_stop=lambda: True)
