"""RunConfig: the one record that says what a run is, and the hash of it that is its name.

Every field is identity (two runs that differ in it are different runs) or environment (where and
how fast it ran). `run_id` hashes the identity fields as canonical JSON and leaves out fields at
the default they had when they were introduced, so a new field never renames an old run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import Any

from seglib.losses import LOSSES, introduced_params, resolve_params
from seglib.models import (
    DECODERS,
    ENCODERS,
    MODELS,
    OPTIONS,
    model_source,
    model_traits,
)
from seglib.recipe import OPTIMIZERS, SCHEDULES
from study.agreement import SEED_RANGES, check_start, check_training
from study.record import RunRecord
from study.record.files import Scalar
from study.values import ConfigError, check_value, digest, read_value, unknown_name
from study.values import environment as _environment
from study.values import identity as _identity

INITS = ("scratch", "pretrained")
TUNINGS = ("default", "tuned")
TRAIN_VOID = ("ignore", "class")
PRECISIONS = ("fp32", "bf16")
OUTPUT_BIASES = ("drawn", "frequencies")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run. Compared axes have no default; a preset or the command line fills the rest."""

    data: str = _identity("fingerprint of the data set")
    model: str = _identity("network: one of MODELS, module:factory or smp:Decoder/encoder")
    init: str = _identity("starting weights of the encoder", choices=INITS)
    loss: str = _identity("training loss", choices=tuple(LOSSES))
    seed: int = _identity("drives weights, order and augmentation", low=0)

    role: str = _identity("what the run is for", "final", choices=tuple(SEED_RANGES))
    tuning: str = _identity("where the loss settings come from", "default", choices=TUNINGS)
    weights_source: str = _identity("where pretrained weights come from", "")
    weights: str = _identity("sha256 of the pretrained weights", "")
    loss_params: Mapping[str, float | str] = _identity("what the loss declares, resolved", {})
    model_source: str = _identity("sha256 of a module:factory's file, or smp's version", "")
    class_weight_exponent: float = _identity(
        "rho in w_c = f_c^-rho, on the cross-entropy part", 0.0, low=0.0, high=2.0
    )
    background_multiplier: float = _identity(
        "extra factor on the background's class weight", 1.0, low=0.0, high=100.0
    )
    lr_multiplier: float = _identity("factor on lr, tuned per arm", 1.0, low=1e-3, high=1e3)

    width: int | None = _identity("channels of the first level of unet", 64, low=1, high=512)
    encoder: str | None = _identity("encoder of resnetunet", "resnet18", choices=ENCODERS)
    decoder: str | None = _identity(
        "channels of resnetunet's decoder", "light", choices=DECODERS, omit=("light", None)
    )
    branch: int | None = _identity(
        "channels of resnetunet's full-resolution branch; 0 for none",
        32,
        low=0,
        high=512,
        omit=(0, None),
    )
    output_bias: str = _identity(
        "bias of the last layer at the start: drawn, or the logits of the classes' frequencies",
        "frequencies",
        choices=OUTPUT_BIASES,
        omit=("drawn",),
    )
    max_side: int | None = _identity("longer image side is reduced to this, pixels", None, low=16)
    train_void: str = _identity(
        "void in training: ignored, or learnt as one more class", "ignore", choices=TRAIN_VOID
    )
    split_seed: int = _identity("seed of the fit/dev draw", 0, low=0)
    dev_share: float = _identity("share of training images cut off as dev", 0.2, low=0.01, high=0.9)
    dev_images: int = _identity("most dev images evaluated during training", 300, low=1)
    epochs: int = _identity("passes over the fit images", 60, low=1, high=100_000)
    batch_size: int = _identity("crops a step", 8, low=1, high=4096)
    accumulate: int = _identity(
        "parts a batch is split into to save memory; what looks at a whole batch (batch norm, "
        "region losses) sees a part",
        1,
        low=1,
    )
    optimizer: str = _identity("AdamW, or SGD with momentum", "adamw", choices=OPTIMIZERS)
    lr: float = _identity("peak learning rate", 1e-3, low=0.0)
    weight_decay: float = _identity("weight decay of the optimizer", 0.01, low=0.0)
    schedule: str = _identity("learning-rate schedule", "onecycle", choices=SCHEDULES)
    warmup_frac: float = _identity("share of steps with a rising rate", 0.3, low=0.0, high=0.9)
    n_evaluations: int = _identity("dev evaluations spread over a run", 10, low=1)
    precision: str = _identity("arithmetic of the forward pass", "fp32", choices=PRECISIONS)
    crop_px: int = _identity("side of the training crop, pixels", 224, low=8, high=8192)
    scale_min: float = _identity("smallest random scale", 0.5, low=0.05, high=20.0)
    scale_max: float = _identity("largest random scale", 2.0, low=0.05, high=20.0)
    rotation_deg: float = _identity("largest random rotation, degrees", 10.0, low=0.0, high=180.0)
    flip: bool = _identity("mirror half of the crops", True)
    brightness: float = _identity("largest relative change", 0.2, low=0.0, high=1.0)
    contrast: float = _identity("largest relative change", 0.2, low=0.0, high=1.0)
    saturation: float = _identity("largest relative change", 0.2, low=0.0, high=1.0)
    hue_deg: float = _identity("largest hue rotation, degrees", 10.0, low=0.0, high=180.0)

    device: str = _environment("torch device", "cpu")
    threads: int = _environment("torch threads of a worker", 1, low=1)
    loader_threads: int = _environment("threads that prepare crops", 1, low=1)
    checkpoint_s: float | None = _environment(
        "seconds between checkpoints; default the larger of 60 s and 50 x their cost", None, low=0
    )
    store: str = _environment("folder of the decoded data", "")
    weights_path: str = _environment("file of the pretrained weights", "")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RunConfig:
        """The run of these values, e.g. of a stored record. Raises: ConfigError in one line."""
        needed = {name for name, spec in FIELDS.items() if _needed(spec)}
        if lacking := sorted(needed - values.keys()):
            raise ConfigError(f"a run must have {', '.join(lacking)}, got none")
        if more := [name for name in values if name not in FIELDS]:
            raise unknown_name(more[0], FIELDS, "field of a run")
        return cls(**values)

    def __post_init__(self) -> None:
        for name, spec in FIELDS.items():
            if name != "loss_params":
                self._set(name, check_value(spec, getattr(self, name)))
        self._set("loss_params", resolve_params(self.loss, self.loss_params))
        network = model_traits(self.model)
        for name in set(OPTIONS) - set(network.options):
            self._set(name, None)  # it does not apply, so that it cannot tell runs apart
        if self.model not in MODELS:
            self._set("model_source", model_source(self.model, expected=self.model_source))
        elif self.model_source:
            raise ConfigError(f"model_source must be empty for {self.model}, which is not yours")
        check_start(vars(self), network)
        check_training(vars(self), network)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def n_outputs(self, n_classes: int) -> int:
        """Logits of the network: the classes, and void where it is learnt as one more."""
        return n_classes + (self.train_void == "class")

    @property
    def options(self) -> dict[str, object]:
        """What the network is built with: the options that apply to it."""
        return {name: getattr(self, name) for name in model_traits(self.model).options}

    @property
    def classifier(self) -> str:
        """The torchvision classifier whose weights a pretrained start takes; "" for none."""
        return model_traits(self.model).classifier_for(self.encoder)

    @property
    def network(self) -> str:
        """Model and init, e.g. `resnetunet-pretrained`; its options where not the usual."""
        shown = model_traits(self.model).options
        extra = [
            shown[name].format(value)
            for name, value in self.options.items()
            if value != FIELDS[name].default
        ]
        return "-".join([self.model, *extra, self.init])

    def identity(self, *, without: Iterable[str] = ()) -> dict[str, object]:
        """The identity fields that are not at the default they had when introduced."""
        result: dict[str, object] = {}
        for name, spec in FIELDS.items():
            value = getattr(self, name)
            if not spec.metadata["identity"] or name in without:
                continue
            if name == "loss_params":
                defaults = introduced_params(self.loss)
                value = {k: v for k, v in sorted(value.items()) if v != defaults[k]}
            if value not in spec.metadata["omit"]:
                result[name] = value
        return result

    @property
    def run_id(self) -> str:
        """16 hex digits naming this run."""
        return digest(self.identity())

    @property
    def cell_id(self) -> str:
        """16 hex digits naming this run's arm and recipe: all but the seed."""
        return digest(self.identity(without=("seed",)))

    def record(self, arm: str) -> RunRecord:
        """What config.json of the run directory holds."""
        return RunRecord(
            run_id=self.run_id,
            cell_id=self.cell_id,
            arm=arm,
            network=self.network,
            config=asdict(self),
        )


def _needed(spec: Field[Any]) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING


FIELDS: dict[str, Field[Any]] = {spec.name: spec for spec in fields(RunConfig)}
AXES = ("model", "init", "loss", "tuning", "seed")
FOUND = ("weights", "weights_source", "model_source")  # what a run's files say of themselves
# What a study's base recipe holds: everything that neither an axis, a role nor the data decides.
RECIPE = tuple(
    name
    for name, spec in FIELDS.items()
    if spec.metadata["identity"] and name not in (*AXES, "data", "role", *FOUND, "loss_params")
)
ENVIRONMENT = tuple(name for name, spec in FIELDS.items() if not spec.metadata["identity"])


def parse_value(name: str, text: str) -> Scalar:
    """The value of a `--set name=text`, checked."""
    return read_value(FIELDS[name], text)
