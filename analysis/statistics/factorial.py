"""Owns main effects and interactions of crossed axes, as weights of the arms.

Must not know: scores, runs, files, wording.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain, combinations, product

import numpy as np

Axes = Mapping[str, Sequence[Hashable]]  # name -> the level of each of A arms
Weights = dict[tuple[Hashable, Hashable, Hashable], np.ndarray]
INTERACTION = "interaction"


def crossed(axes: Axes) -> dict[str, Sequence[Hashable]]:
    """The axes of these that tell arms apart: less those that follow from the ones before.

    What a network or a loss alone sets is no axis of its own; an axis of one level is none.
    """
    kept: dict[str, Sequence[Hashable]] = {}
    for name, labels in axes.items():
        before = list(zip(*kept.values(), strict=True)) or [()] * len(labels)
        if len({*zip(before, labels, strict=True)}) > len({*before}):
            kept[name] = labels
    return kept


def levels(axes: Axes) -> dict[str, list[Hashable]]:
    """The levels of each axis in the order given."""
    return {name: list(dict.fromkeys(labels)) for name, labels in axes.items()}


def absent(axes: Axes) -> list[tuple[Hashable, ...]]:
    """The combinations of levels that no arm has, or more than one."""
    cells = list(zip(*axes.values(), strict=True))
    return [cell for cell in product(*levels(axes).values()) if cells.count(cell) != 1]


def factorial_weights(axes: Axes) -> Weights:
    """Contrasts of cell means of a full grid of crossed axes, one arm per cell.

    Returns: weights (A,) by name, later level minus earlier in the order given:
        (axis, a, b): mean over all other axes of a minus b;
        ("interaction", (a, b), (l, k)): a minus b under l, minus a minus b under k, two axes at a
        time, mean over the others.
    Raises: ValueError if a cell is missing or double.
    """
    if wrong := absent(axes):
        raise ValueError(
            f"every combination of {', '.join(axes)} must have exactly one arm, got not so for "
            f"{wrong}; leave a level of it out"
        )
    found: Weights = {}
    n, named = len(next(iter(axes.values()))), levels(axes)
    assert len({*chain(*named.values())}) == sum(map(len, named.values())), "names tell axes apart"
    for name, labels in axes.items():
        for b, a in combinations(named[name], 2):
            found[name, a, b] = _sign(labels, a, b) / (n // len(named[name]))
    for first, second in combinations(axes, 2):
        n_others = n // (len(named[first]) * len(named[second]))
        for b, a in combinations(named[first], 2):
            for k, l in combinations(named[second], 2):  # noqa: E741
                signs = _sign(axes[first], a, b) * _sign(axes[second], l, k)
                found[INTERACTION, (a, b), (l, k)] = signs / n_others
    return found


def _sign(labels: Sequence[Hashable], a: Hashable, b: Hashable) -> np.ndarray:
    return np.array([(label == a) - float(label == b) for label in labels])
