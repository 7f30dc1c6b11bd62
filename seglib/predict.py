"""Whole images of any size in, class maps and confusion matrices out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seglib.data.augment import MEAN, normalise
from seglib.data.store import Split
from seglib.metrics import VOID, Confusions, confusion

BATCH_PIXELS = 400_000  # images of one padded size share a batch up to this many pixels


class Stopped(Exception):
    """Raised inside a long evaluation when `should_stop` says so."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass; precision is "fp32" or "bf16"."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def fast_precision(device: str | torch.device) -> str:
    """bf16 on a GPU that has it or a CPU with AVX512-BF16 or AMX, else fp32."""
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # absent in older torch
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"


def predict(
    model: nn.Module,
    images: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8],
    *,
    multiple: int,
    precision: str = "fp32",
    n_classes: int | None = None,
) -> list[npt.NDArray[np.uint8]]:
    """Class maps of images that share a padded size, each at its own size.

    Pad to `multiple`, predict, argmax, crop.
    Args:
        images: (H, W, 3) uint8 each, or all of them as one array (B, H, W, 3).
        multiple: what the model needs height and width to be multiples of.
        n_classes: only the first so many logits compete; all of them unless given.
    Returns: (H, W) uint8 class ids each.
    """
    heights, widths = zip(*(image.shape[:2] for image in images), strict=True)
    size = padded_size(max(heights), max(widths), multiple)
    padded = np.empty((len(images), *size, 3), np.float32)
    padded[:] = MEAN  # zero after normalisation, what training sees outside an image
    for place, image in zip(padded, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    maps = _predict(model, padded, precision, n_classes)
    return [one[:height, :width] for one, height, width in zip(maps, heights, widths, strict=True)]


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The size that an image is padded to."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


@torch.inference_mode()
def _predict(
    model: nn.Module, images: npt.NDArray[np.float32], precision: str, n_classes: int | None
) -> npt.NDArray[np.uint8]:
    """(B, H, W, 3) in 0-255 -> (B, H, W) class ids."""
    device = next(model.parameters()).device
    batch = normalise(torch.from_numpy(images).to(device).permute(0, 3, 1, 2))
    was_training = model.training
    model.eval()
    with autocast(device, precision):
        logits = model(batch.contiguous(memory_format=torch.channels_last))
    model.train(was_training)
    return np.asarray(logits[:, :n_classes].argmax(1).to(torch.uint8).cpu())


def predict_split(
    model: nn.Module,
    split: Split,
    *,
    multiple: int,
    precision: str = "fp32",
    n_classes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """(index, class map) of every image; those of one padded size share a batch, so the order
    differs.

    Raises: Stopped as soon as `should_stop()` is true.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, (height, width) in enumerate(split.sizes.tolist()):
        by_size.setdefault(padded_size(height, width, multiple), []).append(index)
    for (height, width), indices in by_size.items():
        step = max(1, BATCH_PIXELS // (height * width))
        for start in range(0, len(indices), step):
            if should_stop():
                raise Stopped
            chunk = indices[start : start + step]
            images = [split[i][0] for i in chunk]
            maps = predict(
                model, images, n_classes=n_classes, multiple=multiple, precision=precision
            )
            yield from zip(chunk, maps, strict=True)


def evaluate(
    model: nn.Module,
    split: Split,
    *,
    multiple: int,
    precision: str = "fp32",
    should_stop: Callable[[], bool] = lambda: False,
    score_void: bool = False,
) -> Confusions:
    """Confusion matrix of every image at label size, (n, C, C), only the cells above 0 kept.

    `score_void`: void counts as one more class, which the model must have learnt (C is then larger
    by one). Only to show what that does to a score: void is never scored elsewhere.
    """
    n_real = split.class_pixels.shape[1]
    n_classes = n_real + score_void
    maps = predict_split(
        model,
        split,
        n_classes=n_classes,
        multiple=multiple,
        precision=precision,
        should_stop=should_stop,
    )

    def counted() -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        for index, prediction in maps:
            truth = np.array(split[index][1])
            if score_void:
                truth[truth == VOID] = n_real
            yield index, confusion(prediction[None], truth[None], n_classes=n_classes)[0]

    return Confusions.of_images(counted(), len(split), n_classes)
