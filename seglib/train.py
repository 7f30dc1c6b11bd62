"""Training as a generator: `fit` yields one result per epoch; schedules and optimizers.

State goes in and comes out, so that a caller can stop anywhere and continue at an epoch. No files,
no logging.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from seglib.data.augment import CropSampler
from seglib.losses import Loss
from seglib.metrics import Confusions
from seglib.predict import Stopped, autocast
from seglib.recipe import OPTIMIZERS, SCHEDULES, Recipe

State = dict[str, Any]  # epoch, and the state dicts of model and optimizer
_MAKE: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    # decay is added to the gradient, scaled by the rate; the momentum is Nesterov's
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


class NonFiniteLoss(RuntimeError):
    """A loss term became NaN or infinite; the message names epoch, step and term."""


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch gave. `train` holds means over the epoch; `confusions` is of the dev images
    where the epoch was evaluated; `state()` is what `fit` needs to continue after this epoch."""

    epoch: int  # 1 = first
    train: Mapping[str, float]
    confusions: Confusions | None
    state: Callable[[], State] = field(repr=False)


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer called `name`, one of OPTIMIZERS; one kernel for all parameters."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    return _MAKE[name](parameters, lr=lr, weight_decay=weight_decay, fused=True)


def evaluation_epochs(n_epochs: int, n_evaluations: int = 10) -> frozenset[int]:
    """About `n_evaluations` epochs, evenly spread, always with the last."""
    step = max(1, round(n_epochs / n_evaluations))
    return frozenset(range(n_epochs, 0, -step))


def lr_factor(schedule: str, progress: float, warmup_frac: float) -> float:
    """Share of the peak learning rate at `progress` in [0, 1] of the training.

    onecycle: cosine from 1/25 up to 1 over the warm-up, cosine down to 1e-4 (Smith & Topin 2018
    with torch's defaults); cosine: linear warm-up, then cosine to 0; constant: 1.
    """
    if schedule == "constant":
        return 1.0
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    start, end = (1 / 25, 1e-4) if schedule == "onecycle" else (0.0, 0.0)
    if progress < warmup_frac:
        rise = progress / warmup_frac
        if schedule == "onecycle":
            rise = (1 - math.cos(math.pi * rise)) / 2
        return start + (1 - start) * rise
    fall = (progress - warmup_frac) / max(1e-12, 1 - warmup_frac)
    return end + (1 - end) * (1 + math.cos(math.pi * min(1.0, fall))) / 2


def gradients(
    model: nn.Module,
    loss: Loss,
    images: torch.Tensor,
    masks: torch.Tensor,
    recipe: Recipe,
    progress: float = 1.0,
) -> dict[str, torch.Tensor]:
    """Add the gradients of one batch to the parameters, part by part.

    The loss of a batch in `recipe.accumulate` parts is the mean of the parts' losses, weighted by
    their number of images. For a mean over images that is the loss of the whole batch; batch norm,
    a mean over the valid pixels and a region loss over the batch see each part by itself.

    Args: images (B, 3, H, W) normalised, masks (B, H, W) int64; progress in [0, 1] of the training.
    Returns: the loss and its terms, scalars. Raises: NonFiniteLoss naming the terms.
    """
    sums: dict[str, torch.Tensor] = {}
    n_parts = min(recipe.accumulate, len(images))
    for part, truth in zip(images.tensor_split(n_parts), masks.tensor_split(n_parts), strict=True):
        with autocast(images.device, recipe.precision):
            logits = model(part)
        terms = loss.terms(logits, truth, progress=progress)
        total = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(total)):
            bad = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
            raise NonFiniteLoss(f"term {', '.join(bad)}")
        share = len(part) / len(images)
        torch.autograd.backward(total * share)
        for name, value in {"loss": total, **terms}.items():
            sums[name] = sums.get(name, 0) + value.detach() * share
    return sums


def fit(
    model: nn.Module,
    loss: Loss,
    sampler: CropSampler,
    recipe: Recipe,
    *,
    evaluate: Callable[[nn.Module], Confusions] | None = None,
    state: State | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[EpochResult]:
    """Train `model` in place, one result per epoch, from `state` (after its epoch) or the start.

    Args:
        model: on its device, in channels_last.
        evaluate: model -> confusions of the dev images, called at `recipe.evaluate_at`.
        state: what `EpochResult.state()` gave; the model is overwritten from it.
        should_stop: polled at each step; a partial epoch is discarded (the generator ends).
    Raises: NonFiniteLoss.
    """
    optimizer = make_optimizer(
        recipe.optimizer, model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    first = 1
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, recipe.n_epochs + 1):
        try:
            train = _train_epoch(model, loss, sampler, recipe, optimizer, epoch, should_stop)
            confusions = evaluate(model) if evaluate and epoch in recipe.evaluate_at else None
        except Stopped:
            return
        yield EpochResult(
            epoch=epoch,
            train=train,
            confusions=confusions,
            state=partial(_state, epoch, model, optimizer),
        )


def _train_epoch(
    model: nn.Module,
    loss: Loss,
    sampler: CropSampler,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    should_stop: Callable[[], bool],
) -> dict[str, float]:
    """One pass over the batches; means of the loss and its terms, the last rate, the speed."""
    model.train()
    began, n_images = time.perf_counter(), 0
    sums: dict[str, torch.Tensor] = {}
    for batch, (images, masks) in enumerate(sampler(epoch)):
        if should_stop():
            raise Stopped
        progress = ((epoch - 1) * len(sampler) + batch) / (recipe.n_epochs * len(sampler))
        lr = recipe.lr * lr_factor(recipe.schedule, progress, recipe.warmup_frac)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        try:
            values = gradients(model, loss, images, masks, recipe, progress)
        except NonFiniteLoss as error:
            raise NonFiniteLoss(
                f"loss is not finite at epoch {epoch}, step {batch + 1} of "
                f"{len(sampler)}: {error}; try a lower lr"
            ) from None
        optimizer.step()
        n_images += len(images)
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + value * len(images)
    train = {name: float(value) / n_images for name, value in sums.items()}
    spent_s = time.perf_counter() - began
    speed = {"images_per_s": n_images / spent_s} if spent_s > 0 else {}  # a clock can stand still
    return {**train, "lr": lr, **speed}


def _state(epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    return {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
