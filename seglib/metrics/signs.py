"""Signs that a run did not learn: one class predicted, classes never predicted, curves that stand.

What was seen, never why. Counts and curves in, plain sentences out; knows no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seglib.metrics.counts import totals

Counts = npt.NDArray[Any]
Kind = Literal["one class", "never predicted", "no rise", "plateau"]
MOST_NAMED = 6  # classes that a sentence names
LEAST_EPOCHS = 8  # two a quarter: from here on a plateau can be told
LEAST_EVALUATIONS = 3  # that the first of two is the higher one says little
LEAST_FALL = 0.02  # of the train loss over the second half


@dataclass(frozen=True)
class Sign:
    """One thing that was seen of a run."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Predicted:
    """Which classes the predictions of a split hold."""

    only: int | None  # all valid pixels are predicted as this class, the truth holds others too
    never: tuple[int, ...]  # in the truth, never predicted


def predicted(counts: Counts) -> Predicted:
    """What a split's predictions hold. Args: counts: (..., C, 3) TP, FP, FN, all summed."""
    tp, fp, fn = totals(counts)
    guessed, true = tp + fp > 0, tp + fn > 0
    never = tuple(np.flatnonzero(true & ~guessed).tolist())
    return Predicted(int(np.argmax(guessed)) if guessed.sum() == 1 and never else None, never)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b", or the first 6 "and 5 more"."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def signs(
    counts: Mapping[str, Counts],
    classes: Sequence[str],
    *,
    epochs: npt.ArrayLike,
    dev_miou: npt.ArrayLike,
    train_loss: npt.ArrayLike,
    ramp: float = 0.0,
) -> tuple[Sign, ...]:
    """What a finished run shows of not having learnt, most serious first; () for nothing.

    Args:
        counts: split -> (..., C, 3) TP, FP, FN under the weights of the best dev epoch.
        classes: C names.
        epochs, dev_miou, train_loss: (E,) each; NaN where not measured.
        ramp: first part of the training, in [0, 1], over which the loss itself changed.
    """
    seen: dict[tuple[Kind, str], list[str]] = {}
    for split, values in counts.items():
        if what := _prediction(predicted(values), classes):
            seen.setdefault(what, []).append(split)
    told = [Sign(kind, f"{text} {' and '.join(on)}") for (kind, text), on in seen.items()]
    rise = _no_rise(np.asarray(epochs), np.asarray(dev_miou, float))
    plateau = _plateau(np.asarray(train_loss, float), ramp)
    return (*told, *(sign for sign in (rise, plateau) if sign))


def _prediction(seen: Predicted, classes: Sequence[str]) -> tuple[Kind, str] | None:
    """The same text for two splits of which the same is seen."""
    if seen.only is not None:
        return "one class", f"collapsed: predicted only {classes[seen.only]} on"
    names = listed([classes[i] for i in seen.never])
    return ("never predicted", f"never predicted {names}, in the truth of") if names else None


def _no_rise(epochs: Counts, dev_miou: Counts) -> Sign | None:
    """No evaluation above the first; so its weights are the run's result."""
    at = np.flatnonzero(~np.isnan(dev_miou))
    if len(at) < LEAST_EVALUATIONS or dev_miou[at].max() > dev_miou[at[0]]:
        return None
    text = f"dev mIoU never rose above the first of its {len(at)} evaluations, epoch"
    return Sign("no rise", f"{text} {epochs[at[0]]}")


def _plateau(train_loss: Counts, ramp: float) -> Sign | None:
    """The median of the last quarter of the epochs is not 2 % below that of the second.

    A share of the loss, not of its fall so far: a loss that never fell has no fall to take a share
    of. Medians stand a single epoch that went wrong; the first quarter, where the learning rate
    and some losses rise, is left out.
    """
    quarter = len(train_loss) // 4
    if len(train_loss) < LEAST_EPOCHS or ramp > 1 / 4 or np.isnan(train_loss).any():
        return None
    before, after = np.median(train_loss[quarter : 2 * quarter]), np.median(train_loss[-quarter:])
    if before - after >= LEAST_FALL * abs(before):
        return None
    return Sign(
        "plateau",
        f"train loss did not fall by {100 * LEAST_FALL:.0f} % from the second to the last quarter "
        f"of the epochs ({before:.3g} to {after:.3g})",
    )
