"""What lies in `<out>/tuning/`: a folder of trials a tuning, and beside it its result.

Named by the tuned cell's id, and by a name where one arm has several tunings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from study.record import files
from study.record.declaration import Cell, Tuned
from study.record.files import read_model

WAY_OUT = "delete it and run --tune again: it is written anew from the trials"


class TuningResult(Tuned):
    """The result of a tuning: what was chosen, from what, for how much."""

    key: str
    arm: str
    params: dict[str, float]
    trial: int  # whose settings were chosen
    candidates: dict[str, float]  # trial -> mean dev score of its re-runs

    def how(self) -> Tuned:
        """What a declaration keeps of it."""
        return Tuned(**{name: getattr(self, name) for name in Tuned.model_fields})


@dataclass(frozen=True)
class TuningPlace:
    """Where one tuning of one arm lies, and what it is called."""

    out: Path
    arm: str
    cell_id: str
    name: str = ""

    @property
    def key(self) -> str:
        return "-".join(filter(None, (self.cell_id, self.name)))

    @property
    def title(self) -> str:
        """What it is called; `name` tells several of one arm apart."""
        return " ".join(filter(None, ("tune", self.arm, self.name)))

    @property
    def runs(self) -> Path:
        """The folder of its trials and re-runs."""
        return self.out / files.TUNING / self.key

    @property
    def result(self) -> Path:
        return self.runs.with_name(f"{self.key}.json")

    def read(self) -> TuningResult | None:
        """Its result, None while there is none; RecordError when that is damaged."""
        if not self.result.exists():
            return None
        return read_model(self.result, TuningResult, WAY_OUT)


def tunings_of(out: Path, cell: Cell) -> Iterator[TuningPlace]:
    """The tunings of an untuned arm that have begun, by name."""
    if cell.tuned or not cell.cell_id:
        return
    for folder in sorted((out / files.TUNING).glob(f"{cell.cell_id}*/")):
        name = folder.name.removeprefix(cell.cell_id).removeprefix("-")
        yield TuningPlace(out, cell.arm, cell.cell_id, name)
