"""How an arm is tuned, as the user says it: `--set tune.*`. Imports no optuna: read at every start.

Knows nothing of studies, runs or arms.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from study.values import ConfigError, unknown_name

WHOLE = "a whole number above 0"
PREFIX = "tune."


class TuningError(ValueError):
    """A tuning cannot be started or used; the message says what to do."""


class TuneOptions(BaseModel):
    """The budget of one arm as epochs or as whole trials, and how it is searched.

    `name` tells tunings of one arm apart. A description is the rule that an error states; where
    there is none, the choices are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(12, gt=0, description=WHOLE)
    epochs: int | None = Field(None, gt=0, description=WHOLE)
    objective: Literal["miou", "rare"] = "miou"  # rare: mean IoU of the rarest third of the classes
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    pruner: Literal["median", "hyperband", "none"] = "median"
    name: str = Field("", pattern=r"^[A-Za-z0-9_]{0,40}$", description="letters, digits and _")

    @model_validator(mode="after")
    def _one_budget(self) -> typing.Self:
        if {"trials", "epochs"} <= self.model_fields_set:
            raise ValueError("give tune.trials or tune.epochs, not both: they are one budget")
        return self

    def budget(self, epochs: int) -> int:
        """Epochs that one arm may train, its trials being `epochs` long."""
        return self.epochs or self.trials * epochs

    @classmethod
    def from_settings(cls, texts: Mapping[str, str]) -> TuneOptions:
        """The options that `--set tune.<name>=<text>` gives.

        Random search is called `random` unless named: it is the control of the others.
        Raises: ConfigError in one line.
        """
        given = {name.removeprefix(PREFIX): text for name, text in texts.items()}
        if given.get("sampler") == "random":
            given.setdefault("name", "random")
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _refusal(error) from None


def _refusal(error: ValidationError) -> ConfigError:
    """The first thing that is wrong with the settings, in our words."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":  # a rule of ours says it all
        return ConfigError(str(first["ctx"]["error"]))
    name = str(first["loc"][0])
    fields = TuneOptions.model_fields
    if name not in fields:
        known = [f"{PREFIX}{known}" for known in fields]
        return unknown_name(f"{PREFIX}{name}", known, "--set field")
    choices = typing.get_args(fields[name].annotation)
    rule = fields[name].description or f"one of {', '.join(map(str, choices))}"
    return ConfigError(f"{PREFIX}{name} must be {rule}, got {first['input']!r:.60}")
