"""What a run stores of the example images."""

import numpy as np
from PIL import Image

from seglib.drawing import palette, sheet
from study.execution.panel import write_predictions
from study.record import RunDir, files, read_npz

CLASSES = ("background", "裂缝", "a name that goes on and on and on")


class Images:
    """Three test images of one label each."""

    class_pixels = np.eye(3, dtype=int) * 64
    names = ("a", "b", "c")

    def __len__(self):
        return len(self.names)

    def subset(self, indices):
        assert list(indices) == [0, 1, 2]
        return self

    def __getitem__(self, index):
        return np.full((8, 8, 3), 40, np.uint8), np.full((8, 8), index, np.uint8)


def test_panel_png_has_titles_and_a_legend_in_the_colours_of_the_classes(tmp_path):
    run_dir = RunDir(tmp_path)
    backwards = [(i, np.full((8, 8), i, np.uint8)) for i in (2, 1, 0)]
    write_predictions(run_dir, Images(), CLASSES, lambda images: backwards)
    maps = read_npz(tmp_path / files.PANEL, "")
    assert sorted(maps) == ["prediction_0", "prediction_1", "prediction_2"]
    with Image.open(tmp_path / files.PANEL_SHEET) as stored:
        drawn = np.asarray(stored.convert("RGB"))
    image, masks = (
        np.full((8, 8, 3), 40, np.uint8),
        [np.full((8, 8), i, np.uint8) for i in range(3)],
    )
    columns = {"image": [image] * 3, "truth": masks, "prediction": masks}
    assert (drawn == np.asarray(sheet(columns, CLASSES))).all()
    seen = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in palette(CLASSES)[:3].tolist()} <= seen
    assert drawn.shape[0] > 3 * 160 and drawn[:19].min() < 100  # the line of titles
