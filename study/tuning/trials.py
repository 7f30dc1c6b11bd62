"""The trials in the Optuna study of an arm: which count, which are tried again, which were best.

Knows nothing of runs.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.tuning.space import Values


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count against the budget: all settings tried, once."""
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    return [t for t in trials if t.state != TrialState.WAITING and t.number not in retried]


def states(study: optuna.Study) -> dict[str, int]:
    """How many of the trials that count are in which state."""
    names = (trial.state.name.lower() for trial in counted(study))
    return dict(sorted(Counter(name.replace("fail", "failed") for name in names).items()))


def queue(study: optuna.Study, points: Iterable[Values]) -> None:
    """Queue the first points, and what a dead driver left again, then close that.

    In an order that loses nothing and doubles nothing wherever it is cut off.
    """
    trials = study.get_trials(deepcopy=False)
    queued = {trial.user_attrs.get("point") for trial in trials}
    for number, point in enumerate(points):
        if number not in queued:
            study.enqueue_trial(point, user_attrs={"point": number})
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            again(study, trial, trial.user_attrs.get("tries", 1))


def again(study: optuna.Study, trial: FrozenTrial, tries: int) -> None:
    """Close a trial that was cut off, its settings queued once more."""
    retried = {t.user_attrs.get("retry_of") for t in study.get_trials(deepcopy=False)}
    if trial.number not in retried:
        params = trial.system_attrs.get("fixed_params", {}) | trial.params
        study.enqueue_trial(params, user_attrs={"retry_of": trial.number, "tries": tries})
    study.tell(trial.number, state=TrialState.FAIL)


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have a value."""
    return study.get_trials(states=(TrialState.COMPLETE,))


def best(study: optuna.Study, n: int) -> list[FrozenTrial]:
    """The `n` completed trials with the highest objective, each setting once, best first."""
    unique: dict[str, FrozenTrial] = {}
    for trial in sorted(completed(study), key=value_of, reverse=True):  # of equals the first
        unique.setdefault(json.dumps(trial.params, sort_keys=True), trial)
    return list(unique.values())[:n]


def value_of(trial: FrozenTrial) -> float:
    """The objective of a completed trial."""
    assert trial.value is not None
    return trial.value


def importances(study: optuna.Study) -> dict[str, float]:
    """PED-ANOVA importances of what was searched; {} where they cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that they are rough for few trials is said
            return optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):  # too few trials, or all alike
        return {}
