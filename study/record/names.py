"""What names may be: those that a file, a database or a server says, before any becomes a path.

One type a kind, for the fields of records; `checked` for a name that comes alone.
"""

from __future__ import annotations

import re
import typing

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError

from study.record.inside import RecordError

MOST_BYTES = 255  # of a file's name

HEX = r"^[0-9a-f]{4,64}$"  # hashes; those of today have 16 digits


def _study_name(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if not plain or name[0] in "-." or len(name.encode()) > MOST_BYTES:
        raise ValueError(
            f"a study's name must be letters, digits, - _ and ., at most {MOST_BYTES} bytes, "
            f"got {name[:60]!r}"
        )
    return name


RunId = typing.Annotated[str, StringConstraints(pattern=HEX)]
CellId = typing.Annotated[str, StringConstraints(pattern=HEX)]
StudyName = typing.Annotated[str, AfterValidator(_study_name)]
StudyUuid = typing.Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z-]{1,64}$")]
ArmName = typing.Annotated[str, Field(min_length=1, max_length=2000)]  # shown, never a path
TuningName = typing.Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{0,40}$")]
TuningKey = typing.Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{4,64}(-[A-Za-z0-9_]{1,40})?$")
]

_RUN_ID: TypeAdapter[str] = TypeAdapter(RunId)
_TUNING_NAME: TypeAdapter[str] = TypeAdapter(TuningName)


def run_id_of(name: object, whose: str) -> str:
    """A run's id as a server or database gave it.

    Raises: RecordError in one line that says `whose` it is.
    """
    try:
        return _RUN_ID.validate_python(name, strict=True)
    except ValidationError:
        got = repr(name)[:60]
        raise RecordError(
            f"{whose} must have a run id of 4 to 64 digits 0-9 a-f, got {got}; delete it, or send "
            "the study anew"
        ) from None


def is_run_id(name: str) -> bool:
    """Whether a run may be called so."""
    return re.fullmatch(HEX, name) is not None


def is_tuning_name(name: str) -> bool:
    """Whether a tuning may be called so."""
    try:
        _TUNING_NAME.validate_python(name)
    except ValidationError:
        return False
    return True
