"""Training crops: one affine warp and one colour matrix a sample, seeded by its position.

Scale, rotation, flip and crop are a single matrix, so every pixel is interpolated once; what lies
outside the image is void. Nothing here knows the arm: at one seed all arms see the same crops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from PIL import Image

from seglib.data.store import Split
from seglib.lazy import torch
from seglib.metrics import VOID

MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)  # ImageNet, 0-255
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)
GREY = np.array([0.299, 0.587, 0.114])
Bytes = npt.NDArray[np.uint8]
RawSample = tuple[Bytes, Bytes, npt.NDArray[np.float64]]  # image, mask, colour matrix
ORDER, CROPS, WEIGHTS = 1, 2, 3  # streams of the generators; the last for a network's own


def generator(seed: int, epoch: int, stream: int, position: int = 0) -> np.random.Generator:
    """The generator of one use; independent of all others and of the arm."""
    return np.random.default_rng([seed, epoch, stream, position])


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of the random warp and colour change; zero ranges and equal scales switch it off."""

    crop_px: int
    scale_min: float = 0.5
    scale_max: float = 2.0
    rotation_deg: float = 10.0
    flip: bool = True
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue_deg: float = 10.0


AUGMENTATION_FIELDS = tuple(spec.name for spec in fields(Augmentation))


def warp_matrix(
    height: int, width: int, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[float, ...]:
    """Six numbers mapping crop coordinates (x, y) to image coordinates, edges at 0.

    The crop's centre is uniform over the places where the crop lies inside the image (or, where
    the scaled image is smaller, where the image lies inside the crop).
    """
    log_scale = rng.uniform(math.log(augmentation.scale_min), math.log(augmentation.scale_max))
    step = math.exp(-log_scale)  # image pixels per crop pixel
    angle = math.radians(rng.uniform(-augmentation.rotation_deg, augmentation.rotation_deg))
    mirror = -1.0 if augmentation.flip and rng.random() < 0.5 else 1.0
    half = augmentation.crop_px * step / 2
    centre_x = rng.uniform(min(half, width - half), max(half, width - half))
    centre_y = rng.uniform(min(half, height - half), max(half, height - half))
    cos, sin = step * math.cos(angle), step * math.sin(angle)
    a, b, d, e = mirror * cos, -sin, mirror * sin, cos
    middle = augmentation.crop_px / 2
    return (a, b, centre_x - (a + b) * middle, d, e, centre_y - (d + e) * middle)


def colour_matrix(
    mean_grey: float, augmentation: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Brightness, contrast, saturation and hue as one affine map of RGB; (3, 4)."""
    spread = (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    brightness, contrast, saturation = (rng.uniform(1 - s, 1 + s) for s in spread)
    angle = math.radians(rng.uniform(-augmentation.hue_deg, augmentation.hue_deg))
    grey = np.tile(GREY, (3, 1))
    # Rodrigues' rotation about the grey axis
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    hue = math.cos(angle) * (np.eye(3) - axis) + axis + math.sin(angle) * cross
    linear = (saturation * np.eye(3) + (1 - saturation) * grey) @ hue
    linear = linear * contrast * brightness
    offset = np.full((3, 1), (1 - contrast) * brightness * mean_grey)
    return np.hstack([linear, offset])


def crop(
    image: Bytes,
    mask: Bytes,
    augmentation: Augmentation,
    rng: np.random.Generator,
    void_label: int = VOID,
) -> RawSample:
    """One training sample.

    Args: image (H, W, 3) uint8, mask (H, W) uint8; `void_label` is what the mask's void becomes
    (what lies outside the image is VOID in any case).
    Returns: image (crop, crop, 3) uint8, mask (crop, crop) uint8, colour matrix (3, 4) float.
    """
    size = (augmentation.crop_px, augmentation.crop_px)
    height, width = mask.shape
    matrix = warp_matrix(height, width, augmentation, rng)
    fill = tuple(int(round(float(v))) for v in MEAN)
    affine = Image.Transform.AFFINE
    if void_label != VOID:
        mask = np.where(mask == VOID, np.uint8(void_label), mask)
    picture = Image.fromarray(image).transform(
        size, affine, matrix, Image.Resampling.BILINEAR, fillcolor=fill
    )
    label = Image.fromarray(mask).transform(
        size, affine, matrix, Image.Resampling.NEAREST, fillcolor=VOID
    )
    pixels = np.asarray(picture)
    return pixels, np.asarray(label), colour_matrix(pixels.mean((0, 1)) @ GREY, augmentation, rng)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """(..., 3, H, W) in 0-255 -> zero mean, unit variance in ImageNet's statistics."""
    mean = torch.from_numpy(MEAN).to(images.device).view(3, 1, 1)
    std = torch.from_numpy(STD).to(images.device).view(3, 1, 1)
    return (images - mean) / std


class CropSampler:
    """The training batches of an epoch, in the order that (seed, epoch) gives.

    `sampler(epoch)` yields images (B, 3, crop, crop) float32 channels_last, normalised, and masks
    (B, crop, crop) int64. An epoch is one pass without the last incomplete batch; a split smaller
    than a batch is one batch.
    """

    def __init__(
        self,
        split: Split,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        n_threads: int = 1,
        void_label: int = VOID,
    ) -> None:
        self.split, self.augmentation, self.seed = split, augmentation, seed
        self.void_label = void_label
        self.batch_size = min(batch_size, len(split))
        self.device, self.n_threads = torch.device(device), n_threads

    def __len__(self) -> int:
        return len(self.split) // self.batch_size

    def samples(self, epoch: int, batch: int) -> list[RawSample]:
        """The raw samples of one batch: what `crop` returns, (seed, epoch, position) decides."""
        order = generator(self.seed, epoch, ORDER).permutation(len(self.split))
        start = batch * self.batch_size
        return [
            crop(
                *self.split[order[i]],
                self.augmentation,
                generator(self.seed, epoch, CROPS, i),
                self.void_label,
            )
            for i in range(start, start + self.batch_size)
        ]

    def __call__(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        with ThreadPoolExecutor(self.n_threads) as pool:
            ahead = [
                pool.submit(self.samples, epoch, batch)
                for batch in range(min(len(self), self.n_threads + 1))
            ]
            try:
                for batch in range(len(self)):
                    samples = ahead.pop(0).result()
                    following = batch + self.n_threads + 1
                    if following < len(self):
                        ahead.append(pool.submit(self.samples, epoch, following))
                    yield self._collate(samples)
            finally:
                for future in ahead:
                    future.cancel()

    def _collate(self, samples: list[RawSample]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, labels, colours = (np.stack(parts) for parts in zip(*samples, strict=True))
        images = torch.from_numpy(pixels).to(self.device).float()  # (B, H, W, 3)
        colour = torch.from_numpy(colours).to(self.device).float()  # (B, 3, 4)
        images = torch.einsum("bhwc,bdc->bhwd", images, colour[:, :, :3])
        images = (images + colour[:, None, None, :, 3]).clamp_(0, 255)
        masks = torch.from_numpy(labels).to(self.device).long()
        return normalise(images.permute(0, 3, 1, 2)), masks
