"""Owns the wording of the example predictions: the figures and what they may be read as.

Must not know: how examples are chosen or drawn, how pages are marked up.
"""

from __future__ import annotations

import pandas as pd

from analysis.figures.fonts import called, key
from analysis.figures.panel import prediction_panel
from analysis.records import Study
from analysis.report.blocks import Block, Picture, Text, picture
from analysis.report.examples import Examples

N_FIXED = 4  # example images shown whatever the arms make of them
MOST_DISAGREED = 10  # classes whose image of most disagreement is shown


def predictions(
    study: Study, shown: Examples | None, apart: pd.DataFrame, chosen: str | None
) -> list[Block]:
    """Where the arms disagree most, then images fixed beforehand."""
    if shown is None:
        return [Text("This study stored no example images.")]
    roles = {"baseline": study.declaration.baseline, "chosen on dev": chosen}
    titles = {}
    for run in shown.runs:
        role = ", ".join(name for name, arm in roles.items() if arm == run.arm)
        titles[run.arm] = f"{run.arm}\nseed {run.seed}" + (f"\n({role})" if role else "")
    told = (
        f" Left out beyond {len(titles)} arms: {', '.join(shown.left_out)}."
        if shown.left_out
        else ""
    )
    told += f" No predictions stored: {', '.join(shown.without)}." if shown.without else ""
    return [*_disagreement(study, shown, apart, titles, told), _fixed(study, shown, titles, told)]


def _disagreement(
    study: Study, shown: Examples, apart: pd.DataFrame, titles: dict[str, str], told: str
) -> list[Block]:
    """The images of most disagreement, a row per class."""
    if len(titles) < 2:
        return []
    scores = apart[list(titles)].round(2)  # as they are shown
    same = scores.max(axis=1) == scores.min(axis=1)
    differing = apart[~same]
    rows = differing.loc[differing["spread"].nlargest(MOST_DISAGREED).index.sort_values()]
    alike = apart.loc[same, "class"].tolist()
    absent = [name for name in study.classes if name not in set(apart["class"])]
    if alike:
        told += f" IoU the same to the second decimal: {', '.join(alike)}."
    if absent:
        told += f" In none of these images: {', '.join(absent)}."
    if not len(rows):
        return [Text(f"The arms shown disagree on no class.{told}")]
    at, images = (
        [shown.pool.names.index(n) for n in rows["image"]],
        called(shown.pool.names, "image"),
    )
    called_class = dict(zip(study.classes, called(study.classes), strict=True))
    labels = zip(rows["class"], (images[i] for i in at), strict=True)
    drawn = prediction_panel(
        [shown.pool.images[i] for i in at],
        [shown.pool.masks[i] for i in at],
        {
            titles[run.arm]: [maps[i] for i in at]
            for run, maps in zip(shown.runs, shown.maps, strict=True)
        },
        study.classes,
        rows=[f"{called_class[name]}\n{image}" for name, image in labels],
        notes={titles[arm]: [f"IoU {value:.2f}" for value in rows[arm]] for arm in titles},
    )
    caption = (
        f"{_which(shown, len(rows), len(differing))} All classes: tables/disagreement.csv.{told}"
        f"{_keys(study, shown)}"
    )
    alt = "Per class the image on which the arms disagree most: image, truth, a map per arm"
    return [picture("disagreement", drawn, alt, caption)]


def _which(shown: Examples, n_rows: int, n_differing: int) -> str:
    """By which rule the images of most disagreement were chosen."""
    n = len(shown.pool.names)
    pool = f"the {n} example images of test"
    if n < shown.n_pool:
        pool = f"the first {n} of the {shown.n_pool} example images (some runs stored no more)"
    which = "every class on which the arms shown differ"
    if n_rows < n_differing:
        which = f"the {n_rows} classes of largest spread, of {n_differing} with any"
    return (
        f"Where the arms shown disagree most: {which}, from frequent to rare. By rule, of {pool}, "
        "fixed before the runs by their truth alone, the one that shows the class and on which the "
        "share of pixels wrong about it (missed, or taken for it) spreads most between these arms; "
        "below each map the IoU of that class in that image. One run an arm, its first finished "
        "seed: part of what differs is the seed, and images picked for disagreement are not "
        "typical."
    )


def _keys(study: Study, shown: Examples) -> str:
    """What is behind the numbers that stand for names without letters."""
    return key(study.classes) + key(shown.pool.names, "image")


def _fixed(study: Study, shown: Examples, titles: dict[str, str], told: str) -> Picture:
    pool = shown.pool
    drawn = prediction_panel(
        pool.images[:N_FIXED],
        pool.masks[:N_FIXED],
        {titles[run.arm]: maps[:N_FIXED] for run, maps in zip(shown.runs, shown.maps, strict=True)},
        study.classes,
        rows=called(pool.names, "image")[:N_FIXED],
    )
    caption = (
        "Test images fixed before the runs, whatever the arms make of them: those with most "
        "pixels of the classes that are rarest in test. The first finished "
        f"seed of each arm.{told}{_keys(study, shown)}"
    )
    return picture("predictions", drawn, "Example images, truth and predicted class maps", caption)
