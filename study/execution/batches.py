"""Whether a network can learn from the smallest part of a batch that a run will show it.

Batch norm needs two values a channel where it is smallest: one crop whose side has shrunk to one
pixel there has one. The network itself is asked, by a pass of that very part. Knows no command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

import torch

from seglib.models import build_model, model_traits
from study.config import ConfigError, RunConfig
from study.execution.parts import multiple_of

N_CLASSES = 3  # as good as any
MOST_PX = 1024  # no larger crop is suggested


def smallest_part(config: RunConfig, n_fit: int) -> int:
    """Crops in the smallest part of any batch, as `CropSampler` cuts them and `gradients` those."""
    n_crops = min(config.batch_size, n_fit)
    return n_crops // min(config.accumulate, n_crops)


def check_batches(configs: Iterable[RunConfig], n_fit: Callable[[RunConfig], int]) -> None:
    """Raise ConfigError for a run whose network refuses its smallest part, with what to set.

    Args: n_fit: how many fit images a run has.
    """
    for config in configs:
        n_images = n_fit(config)
        if smallest_part(config, n_images) > 1:
            continue  # two values a channel, whatever the network
        if wrong := _refusal(config, 1, config.crop_px):
            remedies = _remedies(config, n_images) or ["use another model"]
            raise ConfigError(
                f"a part of a batch must give {config.model} two values a channel or more, got 1 "
                f"crop of {config.crop_px} px ({_why(config, n_images)}): {wrong}; "
                f"{', or '.join(remedies)}"
            )


def _why(config: RunConfig, n_fit: int) -> str:
    """Where the size of a part comes from."""
    images = f"{n_fit} fit image{'s' * (n_fit != 1)}"
    split = f" in {config.accumulate} parts" * (config.accumulate > 1)
    return f"batches of {config.batch_size}{split}, {images}"


def _remedies(config: RunConfig, n_fit: int) -> list[str]:
    """What would do, each tried."""
    found = []
    if not _refusal(config, 2, config.crop_px):
        if n_fit < 2:
            found.append("give 2 or more images to fit (the train list)")
        elif config.batch_size < 2:
            found.append("--set batch_size=2")
        else:
            found.append(f"--set accumulate={_fewer_parts(config, n_fit)}")
    crop_px, multiple = config.crop_px + multiple_of(config), multiple_of(config)
    while crop_px <= MOST_PX and _refusal(config, 1, crop_px):
        crop_px = crop_px // multiple * 2 * multiple
    if crop_px <= MOST_PX:
        found.append(f"--set crop_px={crop_px}")
    return found


def _fewer_parts(config: RunConfig, n_fit: int) -> int:
    """The most parts that leave two crops in each."""
    fewer = range(1, config.accumulate)
    whole = [n for n in fewer if config.batch_size % n == 0]
    return max(n for n in whole if smallest_part(replace(config, accumulate=n), n_fit) > 1)


def _refusal(config: RunConfig, n_crops: int, crop_px: int) -> str:
    """What the network says of so many crops; "" when it takes them."""
    return _asked(config.model, tuple(sorted(config.options.items())), n_crops, crop_px)


@cache
def _asked(model: str, options: tuple[tuple[str, object], ...], n_crops: int, crop_px: int) -> str:
    device = "meta" if model_traits(model).meta else "cpu"
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
            network = build_model(model, n_classes=N_CLASSES, **dict(options))
            network.train()(torch.zeros(n_crops, 3, crop_px, crop_px))
    except Exception as error:  # torch's, or whatever the user's code raises
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""
