"""What several tests use: folders of images, facts of data, declared studies, tiny commands."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runs
from seglib.drawing import voc_palette
from study.config import FIELDS, RECIPE
from study.declare import declare
from study.matrix import Matrix
from study.record import SPLITS, ConstantFloor, DataFacts, Given, Tuned
from study.study import Study

CLASSES = ("background", "square", "stripe")
# A recipe that trains in a second; two epochs from the frequencies would predict background only.
TINY = {
    "epochs": 2,
    "width": 4,
    "crop_px": 32,
    "batch_size": 4,
    "n_evaluations": 2,
    "precision": "fp32",
    "output_bias": "drawn",
}
# The least that a RunConfig needs.
BASE_RUN = {"data": "d" * 64, "model": "unet", "init": "scratch", "loss": "bce", "seed": 0}


def write_folder(
    root: Path, lists: dict[str, int], *, classes: tuple[str, ...] = CLASSES, side: int = 40
) -> Path:
    """A VOC-layout folder of small squares and stripes, `lists` maps a list to its length."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for number, (split, n_images) in enumerate(lists.items()):
        names = [f"{split}_{i:02d}" for i in range(n_images)]
        for i, name in enumerate(names):
            rng = np.random.default_rng([number, i])
            height, width = side + int(rng.integers(0, 8)), side + int(rng.integers(0, 8))
            image = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
            mask = np.zeros((height, width), np.uint8)
            y, x = rng.integers(0, height - 16), rng.integers(0, width - 16)
            image[y : y + 14, x : x + 14, 0] = 230
            mask[y : y + 14, x : x + 14] = 1
            if len(classes) > 2 and i % 2 == 0:
                image[:, 3:7, 2] = 240
                mask[:, 3:7] = 2
            mask[0] = 255
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
            label = Image.fromarray(mask)
            label.putpalette(voc_palette().tobytes())
            label.save(root / "SegmentationClass" / f"{name}.png")
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root


def facts(
    classes: tuple[str, ...] = ("background", "a"),
    kind: type[DataFacts] = DataFacts,
    **changes: object,
) -> DataFacts:
    """What a declaration says of its data, or more of its `kind`; equal shares unless changed."""
    usual: dict[str, object] = {
        "name": "d",
        "path": "data/d",
        "fingerprint": "d" * 64,
        "classes": classes,
        "background": classes[0] == "background",
        "max_side": None,
        "n_images": {"fit": 24, "dev": 6, "test": 10},
        "pixel_share": dict.fromkeys(SPLITS, (1 / len(classes),) * len(classes)),
        "image_share": dict.fromkeys(SPLITS, (1.0,) * len(classes)),
        "void_share": dict.fromkeys(SPLITS, 0.0),
        "test_groups": None,
        "constant_floor": ConstantFloor(name=classes[0], test_miou=0.1),
        "notes": (),
    }
    return kind.model_validate(usual | changes)


def how_tuned(kind: type[Tuned] = Tuned, **changes: object) -> Tuned:
    """How a tuned arm was found, as a declaration has it, or a TuningResult."""
    found = {"epochs": 100, "trials": {"complete": 9}, "dev_selected": 0.6, "dev_rerank": 0.5}
    found |= {"budget_epochs": 108, "objective": "miou", "sampler": "tpe", "pruner": "median"}
    return kind(**found | {"default_dev": None, "importances": {}, "dropped": 0} | changes)


def new_study(
    path: Path, *, matrix: Matrix | None = None, data: DataFacts | None = None, **recipe: object
) -> Study:
    """A declared study, not saved, of the default matrix unless another is given."""
    defaults = {name: FIELDS[name].default for name in RECIPE}
    return declare(
        path,
        matrix_name="default",
        matrix=matrix or runs.MATRICES["default"],
        data=data or facts(),
        recipe=defaults | recipe,
        loss_params={},
        pretrained="pretext",
        given=Given(data="d"),
    )


def flags(**changes: object) -> list[str]:
    """TINY as --set flags, with changes; None leaves a field out."""
    settings = {k: v for k, v in (TINY | changes).items() if v is not None}
    return [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]


def run_command(*words: object, out: Path, data: Path | None = None) -> int:
    """The exit code of a command line; with data, by the TINY recipe."""
    more = [] if data is None else ["--data", str(data), *flags()]
    return runs.main([*map(str, words), "--out", str(out), *more])


def refused(words: Iterable[object], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that exits with 2."""
    assert runs.main([str(word) for word in words]) == 2
    error = capfd.readouterr().err
    assert error.startswith("runs.py: ") and error.count("\n") == 1, error
    return error


def mlflow_runs(out: Path, study: str) -> tuple:
    """A client, and every run of a study, of the database in `out`."""
    from mlflow import MlflowClient  # slow to import

    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    return client, client.search_runs([experiment.experiment_id], max_results=1000)
