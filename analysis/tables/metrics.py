"""Owns the table of other metrics than mIoU, made from the same confusions.

Must not know: how a table is shown, figures.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from analysis.records import Study
from seglib.metrics import (
    frequency_weighted_iou,
    mean_class_accuracy,
    mean_iou,
    mean_iou_by_group,
    mean_iou_images,
    mean_iou_of,
    mean_iou_pairs,
    worst_classes,
    worst_images,
)


def more_metrics(study: Study) -> pd.DataFrame:
    """Other readings of the same test confusions, means over an arm's finished seeds.

    Returns: arm, n, "miou foreground" (where there is a background), "mean class accuracy",
        "frequency-weighted iou", "miou over images", "miou over pairs" (class and image), "worst
        classes" (mean IoU of the k worst on dev, the seeds' pixels taken together; k = 3, or 5 from
        15 classes on, or all that dev shows), "lowest 10 % images", "rare", "medium", "frequent"
        (`Study.by_frequency`).
    """
    return _computed(study).copy()


@lru_cache(maxsize=1)  # the report asks twice
def _computed(study: Study) -> pd.DataFrame:
    rows, k = [], 5 if len(study.classes) >= 15 else 3
    background = study.data.background
    groups = study.by_frequency
    for cell in study.cells:
        done = study.finished(cell.arm)
        if not done:
            continue
        dev = np.sum([run.dev_counts for run in done], axis=0)[None]
        in_dev = int((dev[0, :, 0] + dev[0, :, 2] > 0).sum())
        worst = worst_classes(dev, min(k, in_dev))
        found = []
        for run in done:
            counts = run.test_counts
            found.append(
                {
                    **({"miou foreground": mean_iou(counts[:, 1:])} if background else {}),
                    "mean class accuracy": mean_class_accuracy(counts),
                    "frequency-weighted iou": frequency_weighted_iou(counts),
                    "miou over images": mean_iou_images(counts),
                    "miou over pairs": mean_iou_pairs(counts),
                    "worst classes": mean_iou_of(counts, worst),
                    "lowest 10 % images": worst_images(counts, 10),
                    **mean_iou_by_group(counts, groups),
                }
            )
        rows.append(
            {
                "arm": cell.arm,
                "n": len(done),
                **{name: float(np.mean([one[name] for one in found])) for name in found[0]},
            }
        )
    return pd.DataFrame(rows)
