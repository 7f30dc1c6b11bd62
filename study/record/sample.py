"""An image with its mask, as `--check` shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Sample:
    """One image with its mask, for the contact sheet."""

    split: str
    name: str
    image: npt.NDArray[np.uint8]  # (H, W, 3)
    mask: npt.NDArray[np.uint8]  # (H, W) class ids, 255 = void
    note: str = ""  # why the mask is suspicious, "" if it is not

    def __post_init__(self) -> None:
        if self.image.shape != (*self.mask.shape, 3):
            raise ValueError(
                f"image of {self.split}/{self.name} must be (H, W, 3) with its mask's H and W, "
                f"got {self.image.shape} and mask {self.mask.shape}"
            )
