"""`--only`: which cells and seeds."""

import pytest

from study.commands.choice import choose, only_values
from study.config import ConfigError
from tests.helpers import new_study


@pytest.mark.parametrize(
    "only, expected",
    [
        (["loss=bce,dice_bce"], {"loss": {"bce", "dice_bce"}}),
        (
            ["loss=bce", "loss=dice_bce", "model=unet"],
            {"loss": {"bce", "dice_bce"}, "model": {"unet"}},
        ),
        (["model=unet,loss=bce,dice_bce"], {"loss": {"bce", "dice_bce"}, "model": {"unet"}}),
    ],
)
def test_only_is_read_as_it_is_written(tmp_path, only, expected):
    assert only_values(only) == expected
    chosen = choose(new_study(tmp_path / "s").cells, only)
    assert len(chosen) == {1: 6, 2: 2}[len(expected)]


@pytest.mark.parametrize("text", ["unet", "model=", "=unet", "loss=bce,,dice_bce"])
def test_only_that_cannot_be_read(text):
    with pytest.raises(ConfigError, match="--only must look like axis=value,..., got"):
        only_values([text])
