"""study.json: what a study compares, written when it is created and held to ever after.

The shape alone: what a cell's settings mean is `study.study`'s.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, model_validator

from study.record import files
from study.record.budget import Budget, steps_an_epoch
from study.record.data import DataFacts, Share
from study.record.files import OnDisk, Scalar, read_model
from study.record.inside import RecordError, check_file, read_bytes
from study.record.names import ArmName, CellId, StudyName, StudyUuid

FORMAT = 2  # of study.json
NEEDED = ("model", "init", "loss", "tuning")  # what every cell says
WAY_OUT = "restore it, use the version that wrote it, or --study NEWNAME"


class Cell(OnDisk):
    """One arm: what it sets, its name, and its identity once that is known."""

    values: dict[str, Scalar]  # RunConfig fields; `loss.<param>` for a parameter of its loss
    factors: dict[str, str] = {}  # its level of each factor
    label: str = ""  # replaces what follows the network in its name
    default: ArmName | None = None  # of a tuned arm: the arm it was tuned from
    arm: ArmName
    network: str
    cell_id: CellId | None  # None: a pretrained arm whose weights' hash is not known yet

    @model_validator(mode="after")
    def _says_what_it_trains(self) -> typing.Self:
        if lacking := [name for name in NEEDED if name not in self.values]:
            raise ValueError(f"a cell must have {', '.join(lacking)}, got {self.values}")
        return self

    @property
    def levels(self) -> dict[str, Scalar]:
        """All by which a cell can be chosen or compared: fields, factors, label, names."""
        named = {"label": self.label} if self.label else {}
        return {**self.values, **self.factors, **named, "network": self.network, "arm": self.arm}

    @property
    def loss(self) -> str:
        return str(self.values["loss"])

    @property
    def tuned(self) -> bool:
        return self.values.get("tuning") == "tuned"

    @property
    def variant(self) -> str:
        """What tells it from the other arms of its network: the rest of its name."""
        return self.arm.removeprefix(f"{self.network}-")


class Contrast(OnDisk):
    """A planned difference, arm `a` minus arm `b`; a family is adjusted together."""

    name: str
    family: str
    a: str
    b: str


class Excluded(OnDisk):
    """Cells of the matrix that do not exist."""

    where: dict[str, Scalar]
    reason: str


class WeightsFile(OnDisk):
    """Where pretrained weights come from, and their hash."""

    source: str
    sha256: str


class Search(OnDisk):
    """How a search went: epochs spent, trials by state, and dev scores of what it chose."""

    epochs: int
    trials: dict[str, int]
    dev_selected: float  # at selection: the best of many, so too high
    dev_rerank: float  # run again with fresh seeds


class Tuned(Search):
    """How a tuned arm was found."""

    budget_epochs: int
    objective: str
    sampler: str
    pruner: str
    default_dev: float | None
    importances: dict[str, float]
    dropped: int  # of the best settings, because a re-run failed
    control: Search | None = None  # random search with the same budget

    @property
    def states(self) -> str:
        """What became of its trials, and of its best settings."""
        text = ", ".join(f"{n} {state}" for state, n in self.trials.items())
        if self.dropped:
            text += f"; {self.dropped} of the best dropped, a re-run failed"
        return text

    @property
    def budget(self) -> tuple[int, str, str, str]:
        """What must be equal for all arms compared."""
        return self.budget_epochs, self.objective, self.sampler, self.pruner


class Given(OnDisk):
    """What the user typed: data, and settings with their values."""

    data: str
    set: dict[str, Scalar] = {}


class Declaration(OnDisk):
    """The whole of study.json."""

    format: typing.Literal[2] = 2
    name: StudyName
    uuid: StudyUuid
    created: str
    matrix: str
    data: DataFacts
    recipe: dict[str, Scalar]  # every RunConfig field that neither an axis nor the data decides
    loss_params: dict[str, Scalar]  # `loss.<param>` for all losses that declare it
    factors: dict[str, dict[str, dict[str, Scalar]]] = {}  # factor -> level -> fields
    pretrained: str
    weights: dict[str, WeightsFile] = {}  # classifier -> file
    sources: dict[str, str] = {}  # network not of MODELS -> its model_source
    given: Given
    cells: tuple[Cell, ...] = Field(min_length=1)
    excluded: tuple[Excluded, ...] = ()
    baseline: str
    contrasts: tuple[Contrast, ...] = ()
    smallest_difference: Share  # mIoU
    contract: dict[str, str]
    tunings: dict[str, Tuned] = {}  # tuned arm -> how it was found
    budget: Budget | None = None  # of a study that was made to fit one

    @model_validator(mode="after")
    def _names_are_unique(self) -> typing.Self:
        for what in ("arm", "cell_id"):
            given = [value for cell in self.cells if (value := getattr(cell, what)) is not None]
            if twice := sorted({value for value in given if given.count(value) > 1}):
                raise ValueError(f"{what} must be unique among the cells, got {twice} twice")
        return self

    @model_validator(mode="after")
    def _speaks_of_its_arms(self) -> typing.Self:
        arms = {cell.arm for cell in self.cells}
        named = [("contrasts", arm) for one in self.contrasts for arm in (one.a, one.b)]
        named += [("tunings", arm) for arm in self.tunings]
        named += [("baseline", self.baseline)] * bool(self.baseline)
        for what, arm in named:
            if arm not in arms:
                raise ValueError(
                    f"{what} must name arms of the study ({', '.join(sorted(arms))}), got {arm!r}"
                )
        return self

    @property
    def narrowed(self) -> set[str]:
        """Fields that a budget set in cells: no axes, and not in names."""
        return set(self.budget.narrowed if self.budget else ())

    @property
    def steps(self) -> int:
        """Training steps of a run by the recipe; an arm may set epochs or batch_size otherwise."""
        epochs, batch = (int(self.recipe[name] or 0) for name in ("epochs", "batch_size"))
        return epochs * steps_an_epoch(self.data.n_images["fit"], batch)

    def cell(self, arm: str) -> Cell:
        """The declared cell of an arm."""
        for cell in self.cells:
            if cell.arm == arm:
                return cell
        raise ValueError(
            f"arm must be one of {', '.join(cell.arm for cell in self.cells)}, got {arm!r}"
        )


def read_declaration(folder: Path) -> Declaration:
    """The declaration stored in a study's folder.

    Raises: RecordError in one line: none there, no plain file, unreadable, of another format, not
        as written.
    """
    path = folder / files.STUDY
    if not check_file(path):
        there = sorted(p.parent.name for p in folder.parent.glob(f"*/{files.STUDY}"))
        raise RecordError(
            f"study {folder.name} must be a folder of {folder.parent} with a {files.STUDY}, got "
            f"none; studies beside it: {', '.join(there) or 'none'}; run `python runs.py --grid` "
            "first"
        )
    try:
        found = files.parse_json(read_bytes(path))
    except RecordError:
        raise
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} must be a JSON object, got an unreadable file ({error}); {WAY_OUT}"
        ) from None
    version = found.get("format") if isinstance(found, Mapping) else found
    if version != FORMAT:
        raise RecordError(
            f"{path}: format must be {FORMAT}, got {str(version)[:40]}; read it with the version "
            "of this project that wrote it, or use --study NEWNAME"
        )
    return read_model(path, Declaration, WAY_OUT)
