"""The figures of a tuning are drawn from its trials."""

import pytest
from PIL import Image

from study.tuning.figures import draw
from tests.study.tuning.pretend import begin, play


@pytest.mark.slow
def test_the_history_and_the_slices_are_drawn(tmp_path):
    tuning = begin(tmp_path, trials=4)
    play(tuning)
    draw(tuning)
    tuning.close()
    for name in ("history", "slice"):
        with Image.open(tuning.place.runs / f"{name}.png") as image:
            assert image.width > 300
