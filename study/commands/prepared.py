"""A data set as a command works on it: found, decoded, with its preset and the whole recipe."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from seglib.data import Folder, Store
from study.commands.console import step
from study.commands.request import Request
from study.commands.settings import Settings
from study.execution import preflight
from study.presets import Preset, epochs_for, open_data, steps_an_epoch
from study.record.files import Scalar
from study.record.leftovers import sweep


@dataclass(frozen=True)
class Prepared:
    """A data set with its preset, the whole recipe, the decoded images."""

    folder: Folder
    preset: Preset
    recipe: dict[str, Scalar]
    store: Store

    @property
    def n_fit(self) -> int:
        """Fit images of the recipe's split."""
        split = {name: self.recipe[name] for name in ("split_seed", "dev_share")}
        return len(self.store.development(**split)[0])  # type: ignore[arg-type]

    @property
    def batch_size(self) -> int:
        return int(typing.cast(int, self.recipe["batch_size"]))

    def epochs(self, steps: int) -> int:
        """Epochs of at least so many steps, of the recipe's batch size."""
        return epochs_for(steps, self.n_fit, self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the recipe's epochs."""
        return int(typing.cast(int, self.recipe["epochs"])) * steps_an_epoch(
            self.n_fit, self.batch_size
        )


def prepare_data(request: Request, settings: Settings, device: str, console: Console) -> Prepared:
    """Draw, download or find the data set called for, and decode it."""
    if line := sweep(request.out):
        console.print(f"note: {line}")
    with step(console, f"preparing {request.data}") as progress:
        folder, preset = open_data(request.data, request.out, device, progress)
    recipe = preflight.resolve_recipe(preset, settings.recipe, device)
    preflight.check_background(folder, recipe, settings.loss_params)
    note: Callable[[str], None] = partial(console.print, style="yellow")
    max_side = typing.cast("int | None", recipe["max_side"])  # its field says so
    with step(console, f"reading {folder.name}") as progress:
        store = preflight.prepare_store(folder, request.out, max_side, progress, note=note)
    data = Prepared(folder, preset, recipe, store)
    if "epochs" not in settings.recipe:
        recipe["epochs"] = data.epochs(settings.steps or preset.steps_on(device))
    return data
