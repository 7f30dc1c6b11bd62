"""What `--budget` chose when a study was declared, and in words."""

from __future__ import annotations

import typing

from pydantic import Field

from study.record.files import OnDisk, Scalar

AtLeastOne = typing.Annotated[int, Field(ge=1)]


def steps_an_epoch(n_fit: int, batch_size: int) -> int:
    """An epoch leaves its last incomplete batch out; fewer images than a batch are one step."""
    return max(1, n_fit // batch_size)


class Budget(OnDisk):
    """The choice, beside what a study without a budget would have had."""

    given: str  # as it was typed, e.g. 1h
    n_seeds: AtLeastOne
    most_seeds: AtLeastOne
    epochs: AtLeastOne
    steps: AtLeastOne  # of a run: all of its epochs
    most_steps: AtLeastOne
    savings: tuple[str, ...] = ()  # reasons, in the order of the matrix
    narrowed: dict[str, Scalar] = {}  # fields that savings set in some cells
    left_out: dict[str, tuple[str, ...]] = {}  # reason -> arms that are no longer there
    forecast_s: float = Field(ge=0)  # of all its runs, when it was declared

    @property
    def words(self) -> str:
        """What was chosen and what was left out, as a line says it."""
        parts = [_of("seeds", self.n_seeds, self.most_seeds)]
        parts[0] += f", {_of('steps', self.steps, self.most_steps)}"
        parts += [reason for reason in self.savings if reason not in self.left_out]
        if self.left_out:
            gone = ", ".join(f"{why} ({', '.join(arms)})" for why, arms in self.left_out.items())
            parts.append(f"left out: {gone}")
        parts.append(f"forecast {self.forecast_s / 60:.1f} min")
        return f"budget {self.given}: {'; '.join(parts)}"


def _of(what: str, chosen: int, most: int) -> str:
    """2 seeds, or 2 seeds of 3."""
    word = what if chosen != 1 else what.removesuffix("s")
    return f"{chosen:,} {word}" + (f" of {most:,}" if chosen < most else "")
