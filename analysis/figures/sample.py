"""An image with its mask, as it is handed to the contact sheet; light to import."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Row = tuple[str, str, np.ndarray, np.ndarray, str]  # the fields of a Sample


@dataclass(frozen=True)
class Sample:
    """One image with its mask, for the contact sheet."""

    split: str
    name: str
    image: np.ndarray  # (H, W, 3) uint8
    mask: np.ndarray  # (H, W) uint8 class ids, 255 = void
    note: str = ""  # why the mask is suspicious, "" if it is not

    def __post_init__(self) -> None:
        if self.image.shape != (*self.mask.shape, 3):
            raise ValueError(
                f"image of {self.split}/{self.name} must be (H, W, 3) with its mask's H and W, "
                f"got {self.image.shape} and mask {self.mask.shape}"
            )
