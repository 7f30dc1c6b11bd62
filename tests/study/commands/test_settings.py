"""`--set`: sorted, parsed, checked by the losses of the matrix."""

import pytest

from study.commands.settings import Settings, parse_settings
from study.config import ENVIRONMENT, RECIPE, ConfigError, parse_value


def test_settings_are_parsed_and_near_misses_listed():
    assert parse_value("epochs", "7") == 7 and parse_value("flip", "no") is False
    assert parse_value("max_side", "none") is None
    with pytest.raises(ConfigError, match="epochs must be int, got '7.5'"):
        parse_value("epochs", "7.5")
    with pytest.raises(ConfigError, match="'epoch' is unknown; did you mean epochs?"):
        parse_settings({"epoch": "3"})
    with pytest.raises(ConfigError, match="'loss.fnweight' is unknown; did you mean loss.fn_weig"):
        parse_settings({"loss.fnweight": "3"})
    with pytest.raises(ConfigError, match="'store' is unknown"):
        parse_settings({"store": "x"})
    found = parse_settings({"lr": "1", "loss.share": "0.25", "threads": "3"})
    assert found == Settings({"lr": 1.0}, {"loss.share": 0.25}, {"threads": 3})
    assert not set(RECIPE) & set(ENVIRONMENT)


def test_a_loss_parameter_is_checked_by_the_losses_of_the_matrix():
    """Not by the last loss of the catalogue that has a parameter of that name."""
    flattened = {"loss.classes": "flattened"}
    found = parse_settings(flattened, ("bce", "dice_bce", "focal_tversky"))
    assert found.loss_params == flattened
    with pytest.raises(ValueError, match="lovasz: loss.classes must be one of present, all, got"):
        parse_settings(flattened, ("dice_bce", "lovasz"))
    with pytest.raises(ConfigError, match="--set loss.share: no loss of matrix mine declares it"):
        parse_settings({"loss.share": "0.5"}, ("bce", "dice"), "mine")


def test_steps_are_given_in_place_of_epochs():
    assert parse_settings({"steps": "700"}) == Settings({}, {}, {}, 700)
    for bad in ("0", "-1", "1.5", "x", "9" * 5000):
        with pytest.raises(ConfigError, match="steps must be a whole number, 1 or more, got"):
            parse_settings({"steps": bad})
    with pytest.raises(ConfigError, match="steps or epochs, got steps=3 and epochs=4; leave one"):
        parse_settings({"epochs": "4", "steps": "3"})
    with pytest.raises(ConfigError, match="'stepps' is unknown; did you mean steps"):
        parse_settings({"stepps": "3"})
