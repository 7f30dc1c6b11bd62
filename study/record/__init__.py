"""What lies on disk, typed and read once: files, journal, run directory, declaration.

Imports the standard library, NumPy, pydantic and filelock; nothing else of the project.
"""

from study.record.budget import Budget, steps_an_epoch
from study.record.data import SPLITS, ConstantFloor, DataFacts, Inspection
from study.record.declaration import (
    Cell,
    Contrast,
    Declaration,
    Excluded,
    Given,
    Search,
    Tuned,
    WeightsFile,
    read_declaration,
)
from study.record.files import read_model, read_npz, write_json, write_npz
from study.record.found import Found, findings
from study.record.inside import RecordError, check_file
from study.record.journal import Event, Journal, JournalError
from study.record.rundir import TERMINAL, RunDir, RunRecord, State, run_dirs, run_name
from study.record.sample import Sample
from study.record.tunings import TuningPlace, TuningResult, tunings_of

__all__ = [
    "SPLITS",
    "TERMINAL",
    "Budget",
    "Cell",
    "ConstantFloor",
    "Contrast",
    "DataFacts",
    "Declaration",
    "Event",
    "Found",
    "Excluded",
    "Given",
    "Inspection",
    "Journal",
    "JournalError",
    "RecordError",
    "RunDir",
    "RunRecord",
    "Sample",
    "Search",
    "State",
    "Tuned",
    "TuningPlace",
    "TuningResult",
    "WeightsFile",
    "check_file",
    "findings",
    "read_declaration",
    "read_model",
    "read_npz",
    "run_dirs",
    "run_name",
    "steps_an_epoch",
    "tunings_of",
    "write_json",
    "write_npz",
]
