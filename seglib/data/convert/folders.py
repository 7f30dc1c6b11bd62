"""What the folders and suffixes of pictures say: which are images, which masks, of which split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seglib.data.convert.source import SPLIT_WORDS, File, as_split

IMAGE_WORDS = (
    "images image imgs img jpegimages rgb photos pictures frames leftimg8bit input inputs"
).split()
MASK_WORDS = (
    "masks mask labels label annotations annotation annot annots gt gts groundtruth ground_truth "
    "segmentation segmentations segmentationclass segmentationclasspng seg targets target "
    "labelmaps gtfine truth"
).split()
MASK_SUFFIXES = (
    "_mask _masks _gt _label _labels _labelids _l _p _seg _segmentation _annotation _groundtruth "
    "_gtfine_labelids -mask -gt -label .mask"
).split()
IMAGE_SUFFIXES = "_image _img _im _rgb _sat _leftimg8bit".split()


@dataclass(frozen=True)
class Place:
    """A picture with what its folders say."""

    file: File
    role: str  # "image", "mask" or ""
    split: str
    folders: tuple[str, ...]  # that say nothing else

    def key(self, stem: str) -> tuple[str, ...]:
        return (self.split, *self.folders, stem)

    @property
    def path_name(self) -> str:
        """As a list names it: the folders that say nothing else, and the stem."""
        return "/".join((*self.folders, self.file.stem))


def word_of(folder: str) -> tuple[str, str]:
    """What a folder's name says: (role, split), e.g. `train_labels`, `valannot`, `images`."""
    lower = folder.lower()
    words = [lower, *re.split(r"[_\-\s.]+", lower)]
    for split_words in SPLIT_WORDS.values():
        for known in split_words:  # written as one: valannot
            words += [known, lower[len(known) :]] if lower.startswith(known) else []
            words += [known, lower[: -len(known)]] if lower.endswith(known) else []
    known_roles = IMAGE_WORDS + MASK_WORDS
    if not any(word in known_roles for word in words):  # testimony is no test
        words = words[: 1 + len(re.split(r"[_\-\s.]+", lower))]
    split = next((split for word in words if (split := as_split(word))), "")
    is_mask = any(word in MASK_WORDS for word in words)
    is_image = any(word in IMAGE_WORDS for word in words)
    return "mask" if is_mask else "image" if is_image else "", split


def place(file: File) -> Place:
    """The innermost role and the outermost split of a file's folders."""
    role = split = ""
    rest = []
    for folder in file.folders:
        its_role, its_split = word_of(folder)
        role, split = its_role or role, split or its_split
        if not its_role and not its_split:
            rest.append(folder)
    return Place(file, role, split, tuple(rest))


def sort_out(files: Iterable[File]) -> tuple[list[Place], list[Place], list[Place]]:
    """Images, masks, and pictures that are neither."""
    places = [place(file) for file in files if file.is_picture]
    by_role = {role: [p for p in places if p.role == role] for role in ("image", "mask", "")}
    images, masks, others = by_role["image"], by_role["mask"], by_role[""]
    if masks and not images:
        return others, masks, []
    if masks:
        return images, masks, others
    return (*_by_suffix(images or others), [] if not images else others)


def _by_suffix(places: list[Place]) -> tuple[list[Place], list[Place]]:
    """Pictures of one folder: a mask has a suffix and a picture of the name without it."""
    keys = {p.key(bare) for p in places for bare in bare_names(p.file.stem, IMAGE_SUFFIXES)}
    masks = [  # the suffix leaves the name of another
        p
        for p in places
        if any(p.key(bare) in keys for bare in bare_names(p.file.stem, MASK_SUFFIXES)[1:])
    ]
    chosen = set(masks)
    return [p for p in places if p not in chosen], masks


def bare_names(stem: str, suffixes: Sequence[str]) -> list[str]:
    """A stem, and what it is without one of the suffixes."""
    return [stem, *(stem[: -len(s)] for s in suffixes if stem.lower().endswith(s) and stem != s)]
