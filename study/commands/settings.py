"""Settings: what `--set name=value` says, sorted, parsed and checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from seglib.losses import LOSSES, loss_spec
from study.commands.request import Request
from study.config import ENVIRONMENT, RECIPE, TUNINGS, parse_value
from study.record.files import Scalar
from study.tuning.options import TuneOptions
from study.values import ConfigError, unknown_name

LOSS_PARAMS = {f"loss.{param}" for spec in LOSSES.values() for param in spec.params}
SETTABLE = set(ENVIRONMENT) - {"store", "weights_path", "device"}


@dataclass(frozen=True)
class Settings:
    """Sorted settings."""

    recipe: Mapping[str, Scalar]
    loss_params: Mapping[str, Scalar]  # `loss.<param>`
    environment: Mapping[str, Scalar]
    tuned: bool = False  # tuned cells are wanted
    tune: TuneOptions = TuneOptions()
    steps: int | None = None  # of a run, at least; the epochs follow
    retries: int = 1  # times that --grid begins a run again that failed or died


def read_settings(request: Request, losses: Collection[str]) -> Settings:
    """The settings of a command line for a matrix of these losses.

    Raises: ConfigError in one line: unknown name with near misses, or a value that is not allowed.
    """
    texts = pairs_of(request.set, "--set")
    tuned, tune = _tuning(request.verb == "tune", texts)
    retries = _retries(request.verb == "tune", texts)
    steps = _steps(texts)
    if texts.get("precision") == "auto":
        del texts["precision"]
    found = parse_settings(texts, losses, request.matrix)
    return replace(found, tuned=tuned, tune=tune, retries=retries, steps=steps)


def pairs_of(texts: Iterable[str], flag: str) -> dict[str, str]:
    """`a=b` texts as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise ConfigError(f"{flag} must look like name=value, got {text!r}")
        if name in found:
            raise ConfigError(f"{flag} {name} must be given once, got {found[name]} and {value}")
        found[name] = value
    return found


def parse_settings(
    texts: Mapping[str, str], losses: Collection[str] = tuple(LOSSES), matrix: str = "default"
) -> Settings:
    """Texts sorted into recipe, loss parameters and environment, each parsed and checked.

    A loss parameter is checked by the rule of every loss of the matrix that declares it.
    """
    recipe: dict[str, Scalar] = {}
    environment: dict[str, Scalar] = {}
    loss_params: dict[str, Scalar] = {}
    for name, text in texts.items():
        if name in LOSS_PARAMS:
            loss_params[name] = _loss_param(name, text, losses, matrix)
        elif name in RECIPE:
            recipe[name] = parse_value(name, text)
        elif name in SETTABLE:
            environment[name] = parse_value(name, text)
        else:
            known = {*RECIPE, *LOSS_PARAMS, *SETTABLE, "tuning", "tune.trials", "retries", "steps"}
            raise unknown_name(name, known, "--set field")
    return Settings(recipe, loss_params, environment)


def _loss_param(name: str, text: str, losses: Collection[str], matrix: str) -> Scalar:
    short = name.removeprefix("loss.")
    rules = {loss: loss_spec(loss).params.get(short) for loss in losses}
    declared = {loss: rule for loss, rule in rules.items() if rule is not None}
    if not declared:
        raise ConfigError(f"--set {name}: no loss of matrix {matrix} declares it")
    values = [rule.check(f"{loss}: {name}", text) for loss, rule in declared.items()]
    return values[0]


def _steps(texts: dict[str, str]) -> int | None:
    """Take `steps` out of the settings."""
    text = texts.pop("steps", None)
    if text is not None and "epochs" in texts:
        raise ConfigError("--set steps and --set epochs say the same thing twice; give one of them")
    if text is not None and (not text.isdecimal() or not int(text)):
        raise ConfigError(f"steps must be a whole number, 1 or more, got {text!r}")
    return None if text is None else int(text)


def _retries(tuning: bool, texts: dict[str, str]) -> int:
    """Take `retries` out of the settings."""
    text = texts.pop("retries", None)
    if text is not None and tuning:
        raise ConfigError("--set retries belongs to --grid; a failed trial is not tried again")
    if text is not None and not text.isdecimal():
        raise ConfigError(f"retries must be a whole number, 0 or more, got {text!r}")
    return 1 if text is None else int(text)


def _tuning(tuning: bool, texts: dict[str, str]) -> tuple[bool, TuneOptions]:
    """Take `tuning` and `tune.*` out of the settings: whether tuned cells are wanted, and how."""
    wanted = texts.pop("tuning", None)
    if wanted not in (None, *TUNINGS):
        raise ConfigError(f"tuning must be one of {', '.join(TUNINGS)}, got {wanted!r}")
    if wanted is not None and tuning:
        raise ConfigError("--set tuning belongs to --grid; --tune tunes the default arms")
    given = {name: texts.pop(name) for name in list(texts) if name.startswith("tune.")}
    options = TuneOptions.from_settings(given)
    if not tuning and (others := [name for name in given if name != "tune.name"]):
        raise ConfigError(f"--set {others[0]} belongs to --tune")
    return wanted == "tuned", options
