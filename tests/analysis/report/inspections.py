"""What a data check found, made by hand."""

import numpy as np

from study.record import ConstantFloor, Inspection, Sample
from tests import helpers

CLASSES = ("background", "disc", "<script>alert(1)</script>")


def facts(**changes) -> Inspection:
    """Three classes, the last neither in dev nor in test."""
    found = {
        "name": "shapes & <b>",
        "path": "data/shapes",
        "fingerprint": "f00d",
        "max_side": 512,
        "n_images": {"fit": 8, "dev": 1, "test": 4},
        "pixel_share": {"fit": (0.5, 0.25, 0.25), "dev": (0.75, 0.25, 0), "test": (0.5, 0.5, 0.0)},
        "image_share": {"fit": (1, 0.5, 0.125), "dev": (1, 1, 0), "test": (1, 0.25, 0)},
        "void_share": {"fit": 0.03, "dev": 0.02, "test": 0.0},
        "constant_floor": ConstantFloor(name="background", test_miou=0.25),
        "notes": ("dev is cut from train.txt",),
        "size_px": {"fit": (30, 40, 50, 40), "dev": (20, 40, 20, 40), "test": (36, 40, 40, 40)},
        "groups": None,
        "suspicious": (),
        "duplicates": (),
    }
    classes = changes.pop("classes", CLASSES)
    return helpers.facts(classes, Inspection, **found | changes)


def sample(mask: list, shape=(40, 40), **changes) -> Sample:
    """A grey image; `mask` is stretched over it from left to right."""
    labels = np.repeat(np.array(mask, np.uint8), shape[1] // len(mask))
    arrays = {"image": np.full((*shape, 3), 100, np.uint8), "mask": np.tile(labels, (shape[0], 1))}
    return Sample(**{"split": "fit", "name": "a", **arrays, **changes})
