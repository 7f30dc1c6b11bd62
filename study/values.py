"""What a field of a record that people write may hold: rules, one form, a text, a hash.

Knows no field by name. A rule that a value breaks is one line that says the rule and the value.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import typing
from collections.abc import Iterable
from dataclasses import MISSING, Field, field

import numpy as np

from study.record.files import Scalar

KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


class ConfigError(ValueError):
    """A field has an unknown name or a value that is not allowed."""


def identity(help: str, default: object = MISSING, **rules: object) -> typing.Any:
    """A field that tells runs apart.

    `introduced`: its first default, kept when the default changes. `omit`: the values at which a
    hash leaves it out, that one alone unless given.
    """
    omit = typing.cast("tuple[object, ...]", rules.setdefault("omit", (default,)))
    rules.setdefault("introduced", omit[0])
    factory = {"default_factory": dict} if default == {} else {"default": default}
    return field(
        metadata={"help": help, "identity": True, **rules},
        **({} if default is MISSING else factory),
    )


def environment(help: str, default: object, **rules: object) -> typing.Any:
    return field(default=default, metadata={"help": help, "identity": False, **rules})


def kind_of(spec: Field[typing.Any]) -> tuple[type, bool]:
    """The scalar type of a field and whether None is allowed, as its annotation says."""
    name = str(spec.type)
    return KINDS[name.removesuffix(" | None")], name.endswith(" | None")


def canonical(spec: Field[typing.Any], value: typing.Any) -> typing.Any:
    """`value` in the one form of its field: 30 and 30.0 are the same run, and NumPy's are Python's.

    What does not have the field's type is returned as it is, for `check_value` to refuse.
    """
    if isinstance(value, np.generic):
        value = value.item()
    kind, _ = kind_of(spec)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value) + 0.0  # of -0.0 that makes 0.0
        except OverflowError:
            return math.inf
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    return value


def check_value(spec: Field[typing.Any], value: object) -> Scalar:
    """The canonical value; ConfigError unless it has the declared type, range or choice."""
    kind, optional = kind_of(spec)
    value = canonical(spec, value)
    if value is None and optional:
        return None
    if not isinstance(value, bool | int | float | str) or type(value) is not kind:
        raise ConfigError(f"{spec.name} must be {kind.__name__}, got {value!r}")
    rules = spec.metadata
    if "choices" in rules and value not in rules["choices"]:
        raise ConfigError(
            f"{spec.name} must be one of {', '.join(rules['choices'])}, got {value!r}"
        )
    low, high = rules.get("low", -math.inf), rules.get("high", math.inf)
    if isinstance(value, (int, float)) and not (low <= value <= high and abs(value) < math.inf):
        raise ConfigError(f"{spec.name} must be in [{low}, {high}], got {value}")
    return value


def read_value(spec: Field[typing.Any], text: str) -> Scalar:
    """The value that a text means for a field; ConfigError with the rule where it means none."""
    name, (kind, optional) = spec.name, kind_of(spec)
    value: object = text
    if optional and spec.default is None and text.lower() in ("none", "null"):
        value = None
    elif kind is bool:
        table = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in table:
            raise ConfigError(f"{name} must be true or false, got {text!r}")
        value = table[text.lower()]
    elif kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            raise ConfigError(f"{name} must be {kind.__name__}, got {text!r}") from None
    return check_value(spec, value)


def unknown_name(name: str, known: Iterable[str], what: str) -> ConfigError:
    """The error for an unknown name, with the nearest known ones."""
    known = sorted(known)
    hint = nearest(name, known) or f"known: {', '.join(known)}"
    return ConfigError(f"{what} {name!r} is unknown; {hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The question whether one of the nearest known names was meant; "" where none is near."""
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else ""


def digest(value: object) -> str:
    """First 16 hex digits of the sha256 of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
