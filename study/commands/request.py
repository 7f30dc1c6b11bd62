"""Request: what the user asked for, typed and checked; and the command lines that ask for it.

`--only` and `--set` stay text here: `choice` and `settings` read them.
"""

from __future__ import annotations

import re
import typing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from study.commands.words import command_line
from study.config import SEED_RANGES, ConfigError

Verb = typing.Literal["convert", "check", "grid", "plan", "tune", "report", "sync"]
# Flags that a verb has no use for, and why.
USELESS: dict[str, tuple[tuple[str, ...], str]] = {
    "check": (("only", "study", "budget", "seeds"), "it looks at the data alone"),
    "convert": (
        ("only", "study", "budget", "seeds", "workers", "pretrained", "set"),
        "it reads and writes folders of images alone",
    ),
    "report": (("only", "set", "budget"), "it shows the whole study"),
    "sync": (("only", "set", "budget"), "it sends the whole study"),
}
CONVERT_FLAGS = ("to", "labels", "groups", "format")

FLAGS = ("data", "study", "matrix", "budget", "seeds", "workers", "device", "out", "pretrained")


class Request(BaseModel):
    """One command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Verb
    data: str = "shapes"
    study: str | None = None
    matrix: str = "default"
    only: tuple[str, ...] = ()
    budget: str | None = None
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

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, values: dict[str, object]) -> dict[str, object]:
        """Names go into paths, JSON and databases: some letters, and Unicode."""
        for name, value in values.items():
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and (not text or re.search("[\0\ud800-\udfff]", text)):
                    raise ValueError(f"--{name} must be some text in UTF-8, got {text!r}")
        return values

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
        verb_word, flags = verb or self.verb, list(FLAGS)
        words = ["python", "runs.py", f"--{verb_word}"]
        if verb_word in ("convert", "check"):
            words[2:] = _flag(verb_word, self.data)
            flags.remove("data")
        for name in (*flags, *CONVERT_FLAGS):
            if (value := getattr(self, name)) != type(self).model_fields[name].default:
                words += _flag(name, str(value))
        settings = [
            text
            for text in self.set
            if verb is None or not text.startswith("tune.") or text.startswith("tune.name=")
        ]
        words += [word for text in self.only for word in _flag("only", text)]
        words += [
            word for text in (*settings, *filter(None, [extra])) for word in _flag("set", text)
        ]
        return command_line(words)

    def about(self, verb: Verb, study: str) -> str:
        """The command line of a verb that needs a study's name and place alone."""
        return Request(verb=verb, study=study, out=self.out).command()


def _flag(name: str, value: str) -> list[str]:
    """A flag with its value as it is read back, a value that begins with - too."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


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
