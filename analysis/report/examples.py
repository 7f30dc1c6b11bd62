"""Owns which example predictions a report shows: of which arms, and where they disagree most.

Must not know: figures, pages, the statistics of a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records import Panel, Study
from analysis.run import Record
from seglib.metrics import class_counts, confusion, iou

MOST_ARMS = 9  # side by side on a page


@dataclass(frozen=True, eq=False)
class Examples:
    """Class maps of the same n images by one run per arm, the first finished seed of each."""

    pool: Panel  # the n images of which all these runs have a map
    n_pool: int  # how many the study stored
    runs: tuple[Record, ...]  # in the order of the declaration
    maps: tuple[tuple[np.ndarray, ...], ...]  # one tuple of n (H, W) class ids per run
    without: tuple[str, ...]  # arms whose run stored no map
    left_out: tuple[str, ...]  # arms beyond MOST_ARMS; the baseline and the chosen one stay


def examples(study: Study, chosen: str | None) -> Examples | None:
    """The study's example images and the maps of its arms; None if it stored no images.

    Raises: ValueError if a map has another size than its image.
    """
    panel = study.panel()
    if panel is None:
        return None
    firsts = {cell.arm: done[0] for cell in study.cells if (done := study.finished(cell.arm))}
    stored = {arm: maps for arm, run in firsts.items() if (maps := run.panel())}
    order = sorted(stored, key=lambda arm: arm not in (chosen, study.declaration.baseline))
    shown = [arm for arm in stored if arm in order[:MOST_ARMS]]
    n = min([len(panel.names), *(len(stored[arm]) for arm in shown)])
    for arm in shown:
        for name, mask, predicted in zip(panel.names, panel.masks, stored[arm], strict=False):
            if predicted.shape != mask.shape:
                raise ValueError(
                    f"run {firsts[arm].name} must have a map of {name} of its size {mask.shape}, "
                    f"got {predicted.shape}; move the run's folder away and run it again"
                )
    return Examples(
        Panel(panel.names[:n], panel.images[:n], panel.masks[:n]),
        len(panel.names),
        tuple(firsts[arm] for arm in shown),
        tuple(stored[arm][:n] for arm in shown),
        tuple(arm for arm in firsts if arm not in stored),
        tuple(order[MOST_ARMS:]),
    )


def disagreement(study: Study, shown: Examples | None) -> pd.DataFrame:
    """Per class, the example image on which the arms shown disagree most about it.

    That is the image, of those whose truth shows the class, where the share of valid pixels wrong
    about it (missed, or taken for it) spreads most between the arms. Ties: the first image.

    Returns: class, image, spread (share of the image's valid pixels, highest minus lowest arm), and
        the class's IoU there, a column per arm; most frequent class of `fit` first. No row for a
        class that no example shows, none at all with fewer than two arms.
    """
    arms = [run.arm for run in shown.runs] if shown else []
    columns = ["class", "image", "spread", *arms]
    if shown is None or len(arms) < 2:
        return pd.DataFrame(columns=columns)
    n_classes = len(study.classes)
    counts = np.stack(
        [
            [
                class_counts(confusion(predicted[None], mask[None], n_classes=n_classes))[0]
                for predicted, mask in zip(maps, shown.pool.masks, strict=True)
            ]
            for maps in shown.maps
        ]
    )  # (arms, images, classes, TP FP FN)
    truth = counts[0, ..., 0] + counts[0, ..., 2]
    wrong = counts[..., 1:].sum(-1) / np.maximum(truth.sum(1, keepdims=True), 1)
    spread = np.where(truth > 0, wrong.max(0) - wrong.min(0), -1.0)
    rows = []
    for label in np.argsort(-np.array(study.data.pixel_share["fit"]), kind="stable"):
        image = int(spread[:, label].argmax())
        if truth[image, label]:
            scores = [iou(of_arm[image][None])[label] for of_arm in counts]
            rows.append(
                (study.classes[label], shown.pool.names[image], spread[image, label], *scores)
            )
    return pd.DataFrame(rows, columns=columns)
