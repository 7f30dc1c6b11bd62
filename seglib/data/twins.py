"""Images that look nearly alike: neighbouring frames, bursts, copies resized or saved again.

A perceptual hash (imagehash's phash) of 256 bits an image; two that differ in at most `NEAR_BITS`
are twins. Thresholds were measured: NOTES.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_SIDE = 16  # 256 bits
NEAR_BITS = 48  # of 256
FLAT_LEVELS = 2.0  # standard deviation of the grey thumbnail: below it there is nothing to see
BLOCK = 2**20  # pairs compared at once

Bits = npt.NDArray[np.uint64]


def picture_hash(picture: Image.Image) -> str:
    """64 hex digits, or "" for an image without visible content."""
    small = picture.convert("L").resize((128, 128), Image.Resampling.BOX)
    thumbnail = np.asarray(small.resize((32, 32), Image.Resampling.BOX))
    if thumbnail.std() < FLAT_LEVELS:
        return ""
    return str(imagehash.phash(small, hash_size=HASH_SIDE))


def nearest(hashes: Sequence[str], others: Sequence[str]) -> list[int | None]:
    """For each of `hashes` the index of its nearest twin among `others`, None where it has none."""
    found: list[int | None] = [None] * len(hashes)
    there = [i for i, text in enumerate(others) if text]
    here = [i for i, text in enumerate(hashes) if text]
    if not here or not there:
        return found
    bits, known = _bits([hashes[i] for i in here]), _bits([others[i] for i in there])
    step = max(1, BLOCK // len(known))
    for start in range(0, len(bits), step):
        block = bits[start : start + step]
        apart = np.zeros((len(block), len(known)), np.uint16)
        for word in range(known.shape[1]):
            apart += np.bitwise_count(block[:, word, None] ^ known[:, word])
        best = apart.argmin(1)
        for row, column in enumerate(best.tolist()):
            if apart[row, column] <= NEAR_BITS:
                found[here[start + row]] = there[column]
    return found


def _bits(hashes: Sequence[str]) -> Bits:
    """(n, words) of the hex digits."""
    raw = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64)
    return raw.reshape(len(hashes), -1)
