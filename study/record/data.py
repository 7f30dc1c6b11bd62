"""What is known of a data set before the first run, and what a check of it finds."""

from __future__ import annotations

import typing

from pydantic import Field, model_validator

from study.record.files import OnDisk

SPLITS = ("fit", "dev", "test")
Count = typing.Annotated[int, Field(ge=0)]
Share = typing.Annotated[float, Field(ge=0, le=1)]


class ConstantFloor(OnDisk):
    """The best that predicting one class everywhere reaches on test."""

    name: str
    test_miou: Share


class Reduced(OnDisk):
    """What reducing the images to max_side does to one class, over all splits."""

    name: str
    share: Share  # of valid pixels, before
    share_kept: Share  # of valid pixels, after
    n_masks: Count  # that show it, before
    n_lost: Count  # of these, that do not after


class DataFacts(OnDisk):
    """What is known of a data set before the first run."""

    name: str
    path: str
    fingerprint: str
    classes: tuple[str, ...]
    background: bool  # whether class 0 is background
    max_side: int | None
    n_images: dict[str, Count]  # by split
    pixel_share: dict[str, tuple[Share, ...]]  # by split, of each class among valid pixels
    image_share: dict[str, tuple[Share, ...]]  # by split, of images that show the class
    void_share: dict[str, Share]
    test_groups: dict[str, str] | None  # image -> group
    constant_floor: ConstantFloor
    notes: tuple[str, ...]
    dev_wanted: Count | None = None  # images that dev should have, where it is cut from train
    reduced: tuple[Reduced, ...] = ()  # a row per class, where images are reduced

    @model_validator(mode="after")
    def _of_every_split(self) -> typing.Self:
        for name, table in (("n_images", self.n_images), ("void_share", self.void_share)):
            if lacking := [split for split in SPLITS if split not in table]:
                raise ValueError(
                    f"data.{name} must hold {', '.join(SPLITS)}, got no {', '.join(lacking)}"
                )
        return self

    @model_validator(mode="after")
    def _a_share_per_class(self) -> typing.Self:
        for name, table in (("pixel_share", self.pixel_share), ("image_share", self.image_share)):
            lengths = {split: len(table.get(split, ())) for split in SPLITS}
            if set(lengths.values()) != {len(self.classes)}:
                raise ValueError(
                    f"data.{name} must hold one share per class ({len(self.classes)}) for each "
                    f"of {', '.join(SPLITS)}, got {lengths}"
                )
        return self


class Suspicious(OnDisk):
    """A mask that looks wrong, and how."""

    split: str
    name: str
    what: str


class Copies(OnDisk):
    """Images of the same pixels; `across`: not all in one split."""

    images: tuple[str, ...]
    across: bool


class Twins(OnDisk):
    """An image that looks nearly like one of another split."""

    image: str
    like: str


class Inspection(DataFacts):
    """What `--check` tells of a data set beside the facts."""

    suspicious: tuple[Suspicious, ...]
    duplicates: tuple[Copies, ...]
    size_px: dict[str, tuple[int, int, int, int]]  # by split: least and most height and width
    groups: dict[str, dict[str, int]] | None  # by split: group -> images
    twins: tuple[Twins, ...] = ()
