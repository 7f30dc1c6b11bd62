"""Fields of a run that must agree with each other, once each has a value of its own kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglib.losses import loss_spec
from seglib.models import MODELS, ModelTraits
from study.values import ConfigError

# Seeds of trials and re-ranked candidates are never the seeds of the runs that are reported.
SEED_RANGES = {
    "final": range(0, 1000),
    "trial": range(1000, 100_000),
    "rerank": range(100_000, 200_000),
}


def check_start(run: Mapping[str, Any], network: ModelTraits) -> None:
    """What a run starts from: the weights of its encoder, its seed.

    Args: run: its fields. Raises: ConfigError.
    """
    if run["init"] == "pretrained" and not network.encoder:
        able = ", ".join(name for name, other in MODELS.items() if other.encoder)
        raise ConfigError(
            f"{run['model']} has no pretrained encoder; use init=scratch or one of {able}"
        )
    if (run["init"] == "pretrained") != bool(run["weights"]):
        raise ConfigError(
            "weights must be set exactly for init=pretrained, got "
            f"init={run['init']} and weights {run['weights'][:12]!r}"
        )
    allowed = SEED_RANGES[run["role"]]
    if run["seed"] not in allowed:
        where = f"[{allowed.start}, {allowed.stop})"
        raise ConfigError(f"seed of a {run['role']} run must be in {where}, got {run['seed']}")


def check_training(run: Mapping[str, Any], network: ModelTraits) -> None:
    """How it is trained. As `check_start`."""
    weighted = (run["class_weight_exponent"], run["background_multiplier"]) != (0.0, 1.0)
    if weighted and not loss_spec(run["loss"]).cross_entropy:
        raise ConfigError(
            f"class weights do not apply to {run['loss']}: it has no cross-entropy part"
        )
    if run["batch_size"] % run["accumulate"]:
        raise ConfigError(
            f"accumulate must divide batch_size, got {run['accumulate']} and {run['batch_size']}"
        )
    if run["batch_size"] // run["accumulate"] < network.min_crops:
        raise ConfigError(
            f"batch_size / accumulate must be at least {network.min_crops} for {run['model']}, "
            f"got {run['batch_size']} / {run['accumulate']}"
        )
    if run["scale_min"] > run["scale_max"]:
        raise ConfigError(
            f"scale_min must not exceed scale_max, got {run['scale_min']} and {run['scale_max']}"
        )
