"""What a run is made of, from its RunConfig: data, network, loss, sampler, recipe.

Knows nothing of run directories.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seglib.data.augment import AUGMENTATION_FIELDS, WEIGHTS, Augmentation, CropSampler
from seglib.data.store import Split, Store, open_store
from seglib.losses import Loss, build_loss, class_weights, loss_spec
from seglib.metrics import VOID
from seglib.models import (
    build_model,
    load_encoder,
    model_source,
    model_spec,
    model_traits,
    set_output_bias,
)
from seglib.recipe import Recipe
from seglib.train import evaluation_epochs
from study.config import RunConfig


@dataclass(frozen=True)
class RunData:
    """The images of a run; `dev` are those that are evaluated while it trains."""

    store: Store
    fit: Split
    dev: Split


class TrainingParts(typing.NamedTuple):
    """What `seglib.train.fit` takes beside the network."""

    loss: Loss
    sampler: CropSampler
    recipe: Recipe


def open_data(config: RunConfig) -> RunData:
    """The decoded images that the run was declared with.

    Raises: ValueError when they are others now.
    """
    store = open_store(Path(config.store))
    if store.fingerprint != config.data:
        raise ValueError(
            f"{config.store} must have fingerprint {config.data[:12]}, got "
            f"{store.fingerprint[:12]}; the data changed"
        )
    return split_data(store, config)


def split_data(store: Store, config: RunConfig) -> RunData:
    """The fit and dev images of a run; of a large dev set the same part in every run."""
    fit, dev = store.development(split_seed=config.split_seed, dev_share=config.dev_share)
    if len(dev) > config.dev_images:
        rng = np.random.default_rng([config.split_seed, len(dev)])
        dev = dev.subset(np.sort(rng.permutation(len(dev))[: config.dev_images]).tolist())
    return RunData(store, fit, dev)


def multiple_of(config: RunConfig) -> int:
    """What the run's network needs height and width of an image to be multiples of."""
    return model_spec(config.model).multiple


def build_network(config: RunConfig, n_classes: int) -> nn.Module:
    """The network of a run, its weights from torch's global generator."""
    if config.model_source:  # the file may have changed since the driver looked
        model_source(config.model, expected=config.model_source)
    return build_model(config.model, n_classes=config.n_outputs(n_classes), **config.options)


def n_parameters(config: RunConfig, n_classes: int) -> int:
    """Number of weights of a run's network; nothing is allocated where torch can do without."""
    return _n_parameters(
        config.model, tuple(sorted(config.options.items())), config.n_outputs(n_classes)
    )


@cache
def _n_parameters(model: str, options: tuple[tuple[str, object], ...], n_outputs: int) -> int:
    device = "meta" if model_traits(model).meta else "cpu"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        network = build_model(model, n_classes=n_outputs, **dict(options))
    return sum(p.numel() for p in network.parameters())


def initial_model(config: RunConfig, n_classes: int) -> nn.Module:
    """The network with the weights it starts from: a function of network and seed, not of the loss.

    Scratch and pretrained networks of one model share every weight but the encoder's.
    """
    state = np.random.SeedSequence([config.seed, 0, WEIGHTS]).generate_state(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state[0]))
        model = build_network(config, n_classes)
    if config.init == "pretrained":
        encoder = model.get_submodule(model_spec(config.model).encoder)
        load_encoder(encoder, Path(config.weights_path), sha256=config.weights)
    return placed(model, config)


def start_bias(model: nn.Module, config: RunConfig, fit_split: Split) -> str:
    """Set the last layer's bias as `output_bias` says; a note where that cannot be done.

    The same for every loss, so that the arms of a network go on starting from the same weights.
    """
    if config.output_bias == "drawn" or set_output_bias(
        model, _class_frequencies(config, fit_split)
    ):
        return ""
    return f"{config.model} has no last convolution with a bias: output_bias is as drawn"


def placed(model: nn.Module, config: RunConfig) -> nn.Module:
    """The network where and as the run works on it."""
    return model.to(torch.device(config.device)).to(memory_format=torch.channels_last)


def training_parts(config: RunConfig, fit_split: Split) -> TrainingParts:
    """The loss, the sampler and the recipe of a run."""
    n_real = fit_split.class_pixels.shape[1]
    sampler = CropSampler(
        fit_split,
        Augmentation(**{name: getattr(config, name) for name in AUGMENTATION_FIELDS}),
        batch_size=config.batch_size,
        seed=config.seed,
        device=config.device,
        n_threads=config.loader_threads,
        void_label=n_real if config.train_void == "class" else VOID,
    )
    recipe = Recipe(
        n_epochs=config.epochs,
        lr=config.lr * config.lr_multiplier,
        weight_decay=config.weight_decay,
        optimizer=config.optimizer,
        schedule=config.schedule,
        warmup_frac=config.warmup_frac,
        precision=config.precision,
        accumulate=config.accumulate,
        evaluate_at=evaluation_epochs(config.epochs, config.n_evaluations),
    )
    return TrainingParts(_loss(config, fit_split), sampler, recipe)


def _class_frequencies(config: RunConfig, fit_split: Split) -> npt.NDArray[np.float64]:
    """Share of each output's class among the pixels that are learnt."""
    pixels = fit_split.class_pixels
    if config.train_void == "class":
        pixels = np.column_stack([pixels, fit_split.void_pixels])
    shares: npt.NDArray[np.float64] = pixels.sum(0) / max(1, pixels.sum())
    return shares


def _loss(config: RunConfig, fit_split: Split) -> Loss:
    weights, frequencies = None, _class_frequencies(config, fit_split)
    if loss_spec(config.loss).cross_entropy:
        weights = class_weights(
            frequencies.tolist(),
            exponent=config.class_weight_exponent,
            background_multiplier=config.background_multiplier,
        )
    return build_loss(
        config.loss, n_classes=len(frequencies), class_weights=weights, **config.loss_params
    )
