"""The starting point of a study per kind of data: schedule, crop, augmentation, seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from seglib.data.folder import Folder, open_folder
from seglib.data.lists import DataError
from seglib.data.shapes import VERSION, write_shapes
from study.record import steps_an_epoch
from study.record.files import Scalar

SHAPES_IMAGES = {"n_train": 256, "n_val": 64, "n_test": 120}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a study on this data starts from; `recipe` fills RunConfig fields.

    `steps` is how long a run trains on a kind of device, whatever the size of the data: epochs
    follow from it. `min_steps` is the least that `--budget` may go down to.
    """

    recipe: Mapping[str, Scalar]
    steps: Mapping[str, int]  # "cpu", "cuda" -> steps
    min_steps: int
    n_seeds: int
    pretrained: str


# Sized so that 9 arms x 3 seeds take 8 to 10 minutes on 2 cores (NOTES.md): few, small steps at a
# high rate, and little augmentation because the scenes already come at any scale and angle.
SHAPES = Preset(
    recipe={
        "width": 16,
        "batch_size": 8,
        "crop_px": 64,
        "lr": 1e-2,
        "warmup_frac": 0.15,
        "n_evaluations": 3,
        "scale_min": 0.9,
        "scale_max": 1.1,
        "rotation_deg": 5.0,
        "brightness": 0.1,
        "contrast": 0.1,
        "saturation": 0.1,
        "hue_deg": 5.0,
    },
    steps={"cpu": 192, "cuda": 192},
    min_steps=96,
    n_seeds=3,
    pretrained="pretext",
)
FOLDER = Preset(
    recipe={"batch_size": 8, "crop_px": 224, "lr": 1e-3, "max_side": 512},
    steps={"cpu": 1600, "cuda": 8000},
    min_steps=400,
    n_seeds=3,
    pretrained="imagenet",
)


# The original study's 224 px crops.
VOC2007 = Preset(
    recipe={"batch_size": 8, "crop_px": 224, "lr": 1e-3},
    steps={"cpu": 1600, "cuda": 8000},
    min_steps=400,
    n_seeds=3,
    pretrained="imagenet",
)
# For a GPU: larger batches.
VOC2012 = Preset(
    recipe={"batch_size": 16, "crop_px": 224, "lr": 1e-3},
    steps={"cpu": 1600, "cuda": 8000},
    min_steps=400,
    n_seeds=3,
    pretrained="imagenet",
)


def steps_on(preset: Preset, device: str) -> int:
    """The preset's steps of a run on a device, e.g. `cuda:1`."""
    return preset.steps["cpu" if device.startswith("cpu") else "cuda"]


def epochs_for(steps: int, n_fit: int, batch_size: int) -> int:
    """The fewest epochs of at least `steps` steps."""
    return max(1, -(-steps // steps_an_epoch(n_fit, batch_size)))


def data_name(data: str, device: str) -> str:
    """What the data is called: `voc` is 2007 on a CPU and 2012 on a GPU, a folder has its name.

    Nothing is looked at, so that a study is found without its data."""
    if data == "voc":
        return "voc2007" if device.startswith("cpu") else "voc2012"
    name = Path(data).resolve().name
    return name.lower() if name in ("VOC2007", "VOC2012") else name


def open_data(
    data: str, out: Path, device: str, progress: Callable[[int, int], None] | None = None
) -> tuple[Folder, Preset]:
    """The data set called `data` (drawn or downloaded first if need be) and its preset.

    Raises: DataError naming what is wrong and what to do.
    """
    if data in ("shapes", "voc", "voc2007", "voc2012"):
        folder, preset = _known(data, out, device, progress)
        if Path(data).is_dir():
            note = f"{data} is the data set of that name; the folder here is --data ./{data}"
            folder = replace(folder, notes=(*folder.notes, note))
        return folder, preset
    from seglib.data.devkit import divided  # slow to import: torchvision's table of archives

    root = Path(data)
    devkits = sorted(p for p in (*root.glob("VOC20??"), *root.glob("VOCdevkit/VOC20??")))
    if devkits and not (root / "ImageSets").exists():
        raise DataError(
            f"data must be one year of a VOC devkit, got {root}; use one of "
            f"{', '.join(map(str, devkits))}"
        )
    folder = divided(open_folder(root, cache=out / "store"))
    return folder, {None: FOLDER, "2007": VOC2007, "2012": VOC2012}[folder.year]


def _known(
    data: str, out: Path, device: str, progress: Callable[[int, int], None] | None
) -> tuple[Folder, Preset]:
    """A data set that is drawn or downloaded."""
    if data == "shapes":
        root = out / "data" / f"shapes-v{VERSION}"
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_shapes(root, **SHAPES_IMAGES, progress=progress)
            except (OSError, ValueError):
                if not root.exists():  # else another process drew it meanwhile
                    raise
        return open_folder(root, name="shapes"), SHAPES
    from seglib.data.devkit import open_voc  # slow to import: torchvision's table of archives

    name = data_name(data, device)
    folder = open_voc(name.removeprefix("voc"), out / "data" / "voc")
    return folder, {"voc2007": VOC2007, "voc2012": VOC2012}[name]
