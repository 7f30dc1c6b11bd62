"""`--set tune.*`: what is taken, what is refused and in which words."""

import pytest

from study.config import ConfigError
from study.tuning.options import TuneOptions


def test_settings_are_taken_and_random_search_is_called_so():
    given = {"tune.trials": "3", "tune.objective": "rare", "tune.pruner": "none"}
    assert TuneOptions.from_settings(given) == TuneOptions(
        trials=3, objective="rare", pruner="none"
    )
    assert TuneOptions.from_settings({}).budget(5) == 60
    assert TuneOptions.from_settings({"tune.epochs": "7"}).budget(5) == 7
    assert TuneOptions.from_settings({"tune.sampler": "random"}).name == "random"
    named = {"tune.sampler": "random", "tune.name": "other_1"}
    assert TuneOptions.from_settings(named).name == "other_1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": "0"}, "tune.trials must be a whole number above 0, got '0'"),
        ({"epochs": "-9"}, "tune.epochs must be a whole number above 0, got '-9'"),
        ({"trials": "1.5"}, "tune.trials must be a whole number above 0, got '1.5'"),
        ({"trials": "9" * 5000}, "tune.trials must be a whole number above 0, got '999"),
        ({"epochs": "9", "trials": "1"}, "give tune.trials or tune.epochs, not both"),
        ({"sampler": "grid"}, "tune.sampler must be one of tpe, gp, random, got 'grid'"),
        ({"name": "../x"}, "tune.name must be letters, digits and _, got '../x'"),
        ({"name": "x\n"}, "tune.name must be letters, digits and _, got"),
        ({"name": "x" * 41}, "tune.name must be letters, digits and _, got"),
        ({"trial": "3"}, "--set field 'tune.trial' is unknown; did you mean tune.trials"),
    ],
)
def test_what_is_no_setting_of_a_tuning(given, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        TuneOptions.from_settings({f"tune.{name}": text for name, text in given.items()})
