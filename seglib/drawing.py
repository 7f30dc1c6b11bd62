"""Colours of classes: one palette for masks, figures, panels and predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def voc_palette() -> npt.NDArray[np.uint8]:
    """(256, 3) uint8: the class colours of the VOC devkit (its function VOClabelcolormap)."""
    ids, colours = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def palette(classes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """(256, 3) uint8: the colour of each label of these classes, and of void (255)."""
    return voc_palette()
