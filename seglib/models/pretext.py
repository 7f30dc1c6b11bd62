"""The pretext encoder: a ResNet-18 that learnt to label drawn scenes, for offline use.

Stands in for ImageNet weights where none can be had, and ships with the library as a half-precision
state dict. Each pixel is labelled twice, with the outline and with the texture of what is drawn
there; the two are drawn independently of each other and of colour, which is uniform. No outline,
texture or palette is one of the embedded data set's.

    python -m seglib.models.pretext FILE      trains it again and prints what that cost
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from seglib.data.augment import normalise
from seglib.models.resnetunet import ResNetUNet
from seglib.models.weights import file_sha256
from seglib.predict import autocast, fast_precision
from seglib.train import lr_factor, make_optimizer

Array = npt.NDArray[Any]
SEED = 2
SIDE, CROP = 80, 64  # pixels
N_SCENES, N_PASSES, BATCH, LR = 16_000, 3, 32, 2e-3
OUTLINES = "ground crescent ellipse hexagon chevron ell hourglass hook trapezoid".split()
TEXTURES = "plain waves bricks zigzag mesh cells clouds blotches ramp dashes".split()


def _inside(name: str, u: Array, v: Array) -> Array:
    """Where the outline covers the plane; u and v in units of its radius."""
    where: Array
    a, r = np.abs(u), np.hypot(u, v)
    if name == "crescent":
        where = (r < 1) & (np.hypot(u - 0.5, v) > 0.8)
    elif name == "ellipse":
        where = u**2 + (v / 0.5) ** 2 < 1
    elif name == "hexagon":
        where = np.maximum(np.abs(v), 0.5 * np.abs(v) + 0.866 * a) < 0.8
    elif name == "chevron":
        where = (np.abs(v + 0.8 - 1.1 * a) < 0.45) & (a < 0.9)
    elif name == "ell":
        where = (np.maximum(a, np.abs(v)) < 0.85) & ((u < -0.2) | (v > 0.2))
    elif name == "hourglass":
        where = (a < 0.15 + 0.75 * np.abs(v)) & (np.abs(v) < 0.85)
    elif name == "hook":
        where = (np.abs(r - 0.7) < 0.25) & ((u < 0) | (v > 0))
    else:
        assert name == "trapezoid", name
        where = (np.abs(v) < 0.55) & (a < 0.7 + 0.4 * v)
    return where


def _texture(name: str, u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Weight in [0, 1] of the second tone; u and v in pixels."""
    period = rng.uniform(4.0, 9.0)
    weight: Array
    x, y = u / period, v / period
    if name == "plain":
        weight = np.zeros_like(u)
    elif name == "ramp":
        weight = np.clip(0.5 + u / 30, 0, 1)
    elif name == "waves":
        weight = 0.5 + 0.5 * np.sin(2 * np.pi * (x + 0.35 * np.sin(np.pi * y)))
    elif name == "zigzag":
        weight = (x + np.abs(y % 1 - 0.5) * 1.4) % 1 < 0.5
    elif name == "bricks":
        row = np.floor(2 * y)
        weight = ((2 * y) % 1 < 0.25) | ((x + 0.5 * (row % 2)) % 1 < 0.15)
    elif name == "mesh":
        weight = (np.minimum(x % 1, y % 1) * period) < 1.5
    elif name == "dashes":
        weight = ((2 * y) % 1 < 0.45) & ((x + 0.31 * np.floor(2 * y)) % 1 < 0.6)
    elif name == "cells":
        points = rng.uniform(-40, 40, (int(4000 / period**2), 2))
        distance = np.hypot(u[..., None] - points[:, 0], v[..., None] - points[:, 1])
        nearest = np.partition(distance, 1, axis=-1)
        weight = nearest[..., 1] - nearest[..., 0] < 1.2
    else:
        cell = {"clouds": 8, "blotches": 2.5}[name]
        height, width = u.shape
        grid = rng.uniform(0, 1, (int(height / cell) + 2, int(width / cell) + 2)).astype(np.float32)
        noise = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
        weight = np.clip(noise, 0, 1) if name == "clouds" else noise > 0.5
    return weight


def draw_pretext_scene(rng: np.random.Generator) -> tuple[Array, Array]:
    """One scene: image (SIDE, SIDE, 3) uint8, labels (2, SIDE, SIDE) uint8, outline and texture."""
    image = np.zeros((SIDE, SIDE, 3))
    labels = np.zeros((2, SIDE, SIDE), np.uint8)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    for layer in range(int(rng.integers(4, 9))):
        outline = int(rng.integers(1, len(OUTLINES))) if layer else 0
        texture = int(rng.integers(len(TEXTURES)))
        radius, turn = rng.uniform(9, 24), rng.uniform(0, 2 * np.pi)
        x0, y0 = rng.uniform(0, SIDE, 2)
        window = np.s_[0:SIDE, 0:SIDE]
        if layer:
            left, top = max(0, int(x0 - 1.3 * radius)), max(0, int(y0 - 1.3 * radius))
            window = np.s_[top : int(y0 + 1.3 * radius) + 1, left : int(x0 + 1.3 * radius) + 1]
        x, y = columns[window] - x0, rows[window] - y0
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        tones = rng.uniform(0, 255, (2, 3))
        mix = _texture(TEXTURES[texture], u, v, rng)[..., None]
        where = (
            np.ones(u.shape, bool)
            if not layer
            else _inside(OUTLINES[outline], u / radius, v / radius)
        )
        image[window][where] = (tones[0] + mix * (tones[1] - tones[0]))[where]
        labels[0][window][where], labels[1][window][where] = outline, texture
    light = 1 + rng.uniform(-0.3, 0.3) * (columns / SIDE - 0.5)[..., None]
    image = image * light + rng.normal(0, rng.uniform(2, 12), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def train_encoder(progress: Callable[[int, int], None] | None = None) -> dict[str, torch.Tensor]:
    """The encoder's state dict in half precision, after N_PASSES over N_SCENES scenes."""
    rng = np.random.default_rng(SEED)
    n_steps = N_SCENES // BATCH * N_PASSES
    scenes = [draw_pretext_scene(rng) for _ in range(N_SCENES)]
    images = torch.from_numpy(np.stack([image for image, _ in scenes])).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.stack([label for _, label in scenes]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = ResNetUNet(n_classes=len(OUTLINES) + len(TEXTURES), branch=0)
    model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer("adamw", model.parameters(), lr=LR, weight_decay=0.05)
    device = torch.device("cpu")
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * lr_factor("onecycle", step / n_steps, 0.2)
        chosen = torch.from_numpy(rng.integers(N_SCENES, size=BATCH))
        top, left = rng.integers(0, SIDE - CROP + 1, 2)
        window = (slice(None), ..., slice(top, top + CROP), slice(left, left + CROP))
        crops, targets = images[chosen][window], labels[chosen][window].long()
        if rng.random() < 0.5:
            crops, targets = crops.flip(-1), targets.flip(-1)
        crops = normalise(crops.float()).contiguous(memory_format=torch.channels_last)
        with autocast(device, fast_precision(device)):
            logits = model(crops)
        outlines, textures = logits.float().split([len(OUTLINES), len(TEXTURES)], dim=1)
        loss = F.cross_entropy(outlines, targets[:, 0]) + F.cross_entropy(textures, targets[:, 1])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if progress:
            progress(step + 1, n_steps)
    encoder = model.encoder.state_dict()
    return {k: v.half() if v.is_floating_point() else v for k, v in encoder.items()}


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: python -m seglib.models.pretext FILE", file=sys.stderr)
        return 2
    began = time.perf_counter()

    def show(step: int, n_steps: int) -> None:
        if step % 100 == 0 or step == n_steps:
            minutes = (time.perf_counter() - began) / 60
            print(f"step {step} of {n_steps}, {minutes:.1f} min", flush=True)

    torch.set_num_threads(1)  # another number of threads sums in another order
    torch.save(train_encoder(show), argv[0])
    seconds = time.perf_counter() - began
    print(
        f"{argv[0]} sha256 {file_sha256(Path(argv[0]))}: {N_SCENES * N_PASSES} crops of "
        f"{CROP} px in {seconds / 60:.1f} min on one thread"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
