"""Request: what the user asked for, typed and checked; and the command lines that ask for it.

`--only` and `--set` stay text here: `choice` and `settings` read them.
"""

from __future__ import annotations

import shlex
import typing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from study.config import SEED_RANGES, ConfigError

Verb = typing.Literal["convert", "check", "grid", "plan", "tune", "report", "sync"]
# Flags that a verb has no use for, and why.
USELESS: dict[str, tuple[tuple[str, ...], str]] = {
    "check": (("only", "study", "seeds"), "it looks at the data alone"),
    "convert": (
        ("only", "study", "seeds", "workers", "pretrained", "set"),
        "it reads and writes folders of images alone",
    ),
    "report": (("only", "set"), "it shows the whole study"),
    "sync": (("only", "set"), "it sends the whole study"),
}
CONVERT_FLAGS = ("to", "labels", "groups", "format")


class Request(BaseModel):
    """One command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Verb
    data: str = "shapes"
    study: str | None = None
    matrix: str = "default"
    only: tuple[str, ...] = ()
    seeds: int | None = Field(None, ge=1, le=len(SEED_RANGES["final"]))
    workers: int | None = Field(None, ge=1, le=1024)
    device: str = "auto"
    out: Path = Path("outputs")
    pretrained: str | None = None
    set: tuple[str, ...] = ()
    to: Path | None = None
    labels: Path | None = None
    groups: str | None = None
    format: str | None = None

    @model_validator(mode="after")
    def _nothing_useless(self) -> typing.Self:
        flags, why = USELESS.get(self.verb, ((), ""))
        if any(getattr(self, flag) for flag in flags):
            names = [f"--{flag}" for flag in flags]
            listed = f"{', '.join(names[:-1])} or {names[-1]}"
            raise ValueError(f"--{self.verb} takes no {listed}: {why}")
        own = [f"--{flag}" for flag in CONVERT_FLAGS if getattr(self, flag) is not None]
        if own and self.verb != "convert":
            raise ValueError(f"--{self.verb} takes no {own[0]}: it belongs to --convert")
        if self.verb == "convert" and self.to is None:
            raise ValueError("--convert must be told where to write, got no --to FOLDER; add it")
        return self

    @classmethod
    def checked(cls, values: dict[str, object]) -> Request:
        """A request of what was typed. Raises: ConfigError in one line."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(_complaint(error)) from None

    def command(self, verb: Verb | None = None, extra: str = "") -> str:
        """The command line that asks for this; `verb` and one more setting for a next step."""
        words = ["python", "runs.py", f"--{verb or self.verb}"]
        flags: tuple[str, ...] = (
            "study",
            "matrix",
            "seeds",
            "workers",
            "device",
            "out",
            "pretrained",
        )
        if (verb or self.verb) in ("convert", "check"):
            words.append(self.data)
        else:
            flags = ("data", *flags)
        for name in (*flags, *CONVERT_FLAGS):
            if (value := getattr(self, name)) != type(self).model_fields[name].default:
                words += [f"--{name}", str(value)]
        settings = [
            text
            for text in self.set
            if verb is None or not text.startswith("tune.") or text.startswith("tune.name=")
        ]
        words += [word for text in self.only for word in ("--only", text)]
        words += [word for text in (*settings, *filter(None, [extra])) for word in ("--set", text)]
        return shlex.join(words)

    def about(self, verb: Verb, study: str) -> str:
        """The command line of a verb that needs a study's name and place alone."""
        return Request(verb=verb, study=study, out=self.out).command()


def _complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in the words of the command line."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    rules = {
        rule: getattr(constraint, rule)
        for constraint in Request.model_fields[name].metadata
        for rule in ("ge", "le")
        if hasattr(constraint, rule)
    }
    if first["type"] in ("greater_than_equal", "less_than_equal"):
        return (
            f"--{name} must be at least {rules['ge']} and at most {rules['le']}, got "
            f"{first['input']}"
        )
    return f"--{name}: {first['msg']}, got {first['input']!r}"
