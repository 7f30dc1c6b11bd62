"""Owns the tables of classes: how rare each is, and its test IoU by arm.

Must not know: how a table is shown, figures.
"""

from __future__ import annotations

import math

import pandas as pd

from analysis.records import Study
from analysis.statistics.seeds import mean_sd
from study.record import SPLITS, DataFacts


def class_frequencies(data: DataFacts) -> pd.DataFrame:
    """How rare is each class: shares by split, most frequent class of `fit` first.

    Returns: class, then for fit, dev, test: <split>_pixel_share (of valid pixels) and
        <split>_image_share (of images that contain it).
    """
    table = pd.DataFrame({"class": data.classes})
    for split in SPLITS:
        table[f"{split}_pixel_share"] = data.pixel_share[split]
        table[f"{split}_image_share"] = data.image_share[split]
    return table.sort_values("fit_pixel_share", ascending=False, kind="stable", ignore_index=True)


def per_class(study: Study) -> pd.DataFrame:
    """Mean test IoU over the finished seeds, one row per class, most frequent in `fit` first.

    Returns: class, fit_pixel_share, fit_image_share, in_test (bool), one column per declared arm;
        NaN for a class absent from the test truth and for an arm without a finished run. The n of
        a column is `n_finished(study)[arm]`.
    """
    table = class_frequencies(study.data)[["class", "fit_pixel_share", "fit_image_share"]]
    present = dict(zip(study.classes, study.present("test"), strict=True))
    table["in_test"] = [present[name] for name in table["class"]]
    for cell in study.cells:
        done = study.finished(cell.arm)
        table[cell.arm] = [
            mean_sd([run.result[f"test/iou/{name}"] for run in done])[0]
            if present[name]
            else math.nan
            for name in table["class"]
        ]
    return table
