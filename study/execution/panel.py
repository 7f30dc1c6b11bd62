"""The example images of a study, and what a run predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from seglib.data.store import Split, Store
from seglib.drawing import sheet
from study.record import RunDir, files, write_npz
from study.record.files import atomic_write

N_PANEL, N_SHEET = 24, 8  # example images of a study; those of them drawn in panel.png


def panel_indices(split: Split, n: int = N_PANEL) -> list[int]:
    """Images that together show all classes: rarest class first, the image with most of it.

    Round after round until there are `n`; the first images do not depend on `n`.
    """
    chosen: list[int] = []
    order = np.argsort(split.class_pixels.sum(0), kind="stable")
    rankings = np.argsort(-split.class_pixels, axis=0, kind="stable")
    for label in [*order] * n:
        best = next((int(i) for i in rankings[:, label] if int(i) not in chosen), None)
        if best is not None and split.class_pixels[best, label] and len(chosen) < n:
            chosen.append(best)
    return chosen


def write_panel(store: Store, path: Path) -> None:
    """Images and masks of the prediction panel, once per study."""
    if path.exists():
        return
    test = store.test()
    indices = panel_indices(test)
    arrays = {"names": np.array([test.names[i] for i in indices])}
    for number, index in enumerate(indices):
        arrays[f"image_{number}"], arrays[f"mask_{number}"] = map(np.array, test[index])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_npz(path, arrays)


def write_predictions(
    run_dir: RunDir,
    test: Split,
    classes: Sequence[str],
    predict: Callable[[Split], Iterable[tuple[int, np.ndarray]]],
) -> None:
    """Store a run's class maps of the panel, and draw the first of them beside image and truth.

    Args: predict: images -> (index, class map (H, W) uint8) of each, in any order.
    """
    chosen = test.subset(panel_indices(test))
    predicted = dict(predict(chosen))
    maps: dict[str, np.ndarray] = {}
    shown: dict[str, list[np.ndarray]] = {"image": [], "truth": [], "prediction": []}
    for number in range(len(chosen)):
        image, mask = chosen[number]
        maps[f"prediction_{number}"] = prediction = predicted[number]
        if number < N_SHEET:
            for column, picture in zip(shown.values(), (image, mask, prediction), strict=True):
                column.append(picture)
    write_npz(run_dir.path / files.PANEL, maps)
    drawn = sheet(shown, classes)
    atomic_write(run_dir.path / files.PANEL_SHEET, lambda part: drawn.save(part, format="PNG"))
