"""`--only`: which cells and seeds of a study a command works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from study.config import AXES, ConfigError, unknown_name
from study.record import Cell


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
        there = {str(cell.levels.get(name)) for cell in cells}
        if missing := sorted(wanted - there):
            raise ConfigError(
                f"--only {name} must be among {', '.join(sorted(there))}, got {', '.join(missing)}"
            )
        chosen = [cell for cell in chosen if str(cell.levels.get(name)) in wanted]
    if not chosen:
        raise ConfigError(f"--only {' --only '.join(only)} must leave at least one cell, got none")
    return chosen


def without_tuning(only: Iterable[str]) -> list[str]:
    """`--only` before tuned cells exist: less what it says of tuning."""
    return [text for text in only if not text.startswith("tuning=")]


def chosen_seeds(only: Iterable[str], n_seeds: int) -> list[int]:
    """The seeds below `n_seeds` that `--only` names, all of them where it names none."""
    wanted = only_values(only).get("seed")
    if wanted is None:
        return list(range(n_seeds))
    if bad := sorted(wanted - set(map(str, range(n_seeds)))):
        raise ConfigError(f"--only seed must be below --seeds {n_seeds}, got {', '.join(bad)}")
    return [seed for seed in range(n_seeds) if str(seed) in wanted]
