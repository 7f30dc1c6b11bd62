"""`--set`: sorted, parsed, checked by the losses of the matrix."""

import pytest

from study.commands.settings import split_settings
from study.config import ENVIRONMENT, RECIPE, ConfigError, parse_value


def test_settings_are_parsed_and_near_misses_listed():
    assert parse_value("epochs", "7") == 7 and parse_value("flip", "no") is False
    assert parse_value("max_side", "none") is None
    with pytest.raises(ConfigError, match="epochs must be int, got '7.5'"):
        parse_value("epochs", "7.5")
    with pytest.raises(ConfigError, match="'epoch' is unknown; did you mean epochs?"):
        split_settings({"epoch": "3"})
    with pytest.raises(ConfigError, match="'loss.fnweight' is unknown; did you mean loss.fn_weig"):
        split_settings({"loss.fnweight": "3"})
    with pytest.raises(ConfigError, match="'store' is unknown"):
        split_settings({"store": "x"})
    recipe, loss, environment = split_settings({"lr": "1", "loss.share": "0.25", "threads": "3"})
    assert (recipe, loss, environment) == ({"lr": "1"}, {"loss.share": 0.25}, {"threads": "3"})
    assert not set(RECIPE) & set(ENVIRONMENT)


def test_a_loss_parameter_is_checked_by_the_losses_of_the_matrix():
    """Not by the last loss of the catalogue that has a parameter of that name."""
    flattened = {"loss.classes": "flattened"}
    _, params, _ = split_settings(flattened, ("bce", "dice_bce", "focal_tversky"))
    assert params == flattened
    with pytest.raises(ValueError, match="lovasz: loss.classes must be one of present, all, got"):
        split_settings(flattened, ("dice_bce", "lovasz"))
    with pytest.raises(ConfigError, match="--set loss.share: no loss of matrix mine declares it"):
        split_settings({"loss.share": "0.5"}, ("bce", "dice"), "mine")
