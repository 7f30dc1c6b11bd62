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
from study.record.inside import RecordError, check_file, check_folders
from study.record.names import ArmName, TuningKey, is_tuning_name

WAY_OUT = "delete it and run --tune again: it is written anew from the trials"


class TuningResult(Tuned):
    """The result of a tuning: what was chosen, from what, for how much."""

    key: TuningKey
    arm: ArmName
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
        """The folder of its trials and re-runs; RecordError when it is a link, or no folder."""
        folder = self.out / files.TUNING / self.key
        check_folders(folder)
        return folder

    @property
    def result(self) -> Path:
        return self.out / files.TUNING / f"{self.key}.json"

    def read(self) -> TuningResult | None:
        """Its result, None while there is none; RecordError when that is damaged or another's."""
        if not check_file(self.result):
            return None
        result = read_model(self.result, TuningResult, WAY_OUT)
        if result.key != self.key:
            raise RecordError(
                f"{self.result} must have key {self.key}, got {result.key}; {WAY_OUT}"
            )
        return result


def tunings_of(out: Path, cell: Cell) -> Iterator[TuningPlace]:
    """The tunings of an untuned arm that have begun, by name; a folder called otherwise is none."""
    if cell.tuned or not cell.cell_id:
        return
    for folder in sorted((out / files.TUNING).glob(f"{cell.cell_id}*/")):
        _, dash, name = folder.name.partition("-")
        place = TuningPlace(out, cell.arm, cell.cell_id, name)
        if place.key == folder.name and is_tuning_name(name):
            yield place
