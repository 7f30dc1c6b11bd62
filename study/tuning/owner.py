"""Whose an Optuna study on a server is: the folder's that went on with it last.

A tuning's lock keeps other drivers out of its folder, but a copy of the folder has its own. So each
beginning draws a token that is kept in the folder and with the Optuna study: of copies the first to
go on has it, the others are refused, and a folder that was moved goes on.
"""

from __future__ import annotations

import uuid

import optuna
from optuna.trial import TrialState

from study.record import TuningPlace, read_model, write_json
from study.record.files import OnDisk
from study.record.inside import check_file
from study.record.names import run_id_of
from study.tuning.options import TuningError

OWNER = "owner.json"  # in the folder of a tuning
WAY_OUT = "go on with it there, or --set tune.name=NEWNAME for another tuning"


class Tokens(OnDisk):
    """The token at the last beginning, and the one then drawn: a kill may fall between the two."""

    before: str
    drawn: str


def claim(place: TuningPlace, study: optuna.Study) -> str:
    """Take an Optuna study for this folder, whose lock is held; the token that says so.

    Raises: TuningError when it is another's, or a copy of this folder has gone on with it.
    """
    stored, file = study.user_attrs.get("owner"), place.runs / OWNER
    if stored is None:
        _check_runs(place, study)
    else:
        way_out = f"delete it and give --set tune.name=NEWNAME for another tuning of {place.arm}"
        tokens = read_model(file, Tokens, way_out) if check_file(file) else None
        if tokens is None or stored not in (tokens.before, tokens.drawn):
            raise _of_another(place)
    drawn = uuid.uuid4().hex
    write_json(file, Tokens(before=stored or "", drawn=drawn))
    study.set_user_attr("owner", drawn)
    return drawn


def check(place: TuningPlace, study: optuna.Study, token: str) -> None:
    """Raise TuningError when another folder has taken the study since `claim`."""
    if token and study.user_attrs.get("owner") != token:
        raise _of_another(place)


def _check_runs(place: TuningPlace, study: optuna.Study) -> None:
    """Of a study without a token, such as those of before, the runs must lie in this folder."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    for trial in done:
        name = trial.user_attrs.get("run_id")
        whose = f"trial {trial.number} of the Optuna study {place.key}"
        if name is not None and not (place.runs / run_id_of(name, whose)).is_dir():
            raise _of_another(place)


def _of_another(place: TuningPlace) -> TuningError:
    return TuningError(
        f"the Optuna study {place.key} of {place.arm} must belong to {place.runs}, got one that "
        f"another folder, or a copy of this one, has gone on with; {WAY_OUT}"
    )
