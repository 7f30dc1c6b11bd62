"""`--only`: its text read, and which cells and seeds of a study it chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from study.config import AXES, FIELDS, parse_value
from study.record import Cell
from study.record.files import Scalar, as_text
from study.values import ConfigError, unknown_name


def only_values(only: Iterable[str]) -> dict[str, set[str]]:
    """`axis=a,b` and `axis=a,other=c` texts as axis -> values; repeated axes add up."""
    found: dict[str, set[str]] = {}
    for text in only:
        name = ""
        for part in text.split(","):
            before, equals, after = part.partition("=")
            name, value = (before, after) if equals else (name, part)
            if not name or not value:
                raise ConfigError(f"--only must look like axis=value,..., got {text!r}")
            found.setdefault(name, set()).add(value)
    return found


def choose(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that `--only` names; an axis or value that no cell has is an error."""
    known = {*AXES, "network", "arm"} | {name for cell in cells for name in cell.levels}
    chosen = list(cells)
    for name, wanted in only_values(only).items():
        if name not in known:
            raise unknown_name(name, known, "--only axis")
        if name == "seed":
            continue
        there = {as_text(cell.levels.get(name)) for cell in cells}
        wanted = {_as_written(name, text) for text in wanted}
        if missing := sorted(wanted - there):
            raise ConfigError(
                f"--only {name} must be among {', '.join(sorted(there))}, got {', '.join(missing)}"
            )
        chosen = [cell for cell in chosen if as_text(cell.levels.get(name)) in wanted]
    if not chosen:
        raise ConfigError(f"--only {' --only '.join(only)} must leave at least one cell, got none")
    return chosen


def may_match(where: Mapping[str, Scalar], only: Sequence[str]) -> bool:
    """Whether `--only` leaves room for cells that have all values of `where`."""
    wanted = only_values(only)
    return all(
        as_text(value) in {_as_written(name, text) for text in wanted[name]}
        for name, value in where.items()
        if name in wanted
    )


def _as_written(name: str, text: str) -> str:
    """The text of a value as a cell's is written: 1e-3 and 0.001 are one."""
    try:
        if name in FIELDS:
            return as_text(parse_value(name, text))
        return as_text(float(text)) if name.startswith("loss.") else text
    except ValueError:
        return text  # no cell has it, which is said; or a choice of a loss


def without_tuning(only: Iterable[str]) -> list[str]:
    """`--only` before tuned cells exist: less what it says of tuning."""
    named = only_values(only)
    return [f"{name}={','.join(sorted(named[name]))}" for name in named if name != "tuning"]


def chosen_seeds(only: Iterable[str], n_seeds: int) -> list[int]:
    """The seeds below `n_seeds` that `--only` names, all of them where it names none."""
    wanted = only_values(only).get("seed")
    if wanted is None:
        return list(range(n_seeds))
    if bad := sorted(wanted - set(map(str, range(n_seeds)))):
        raise ConfigError(f"--only seed must be below --seeds {n_seeds}, got {', '.join(bad)}")
    return [seed for seed in range(n_seeds) if str(seed) in wanted]
