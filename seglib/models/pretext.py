"""The pretext encoder: a ResNet-18 that learnt to label drawn scenes, for offline use.

Stands in for ImageNet weights where none can be had. Its scenes share no class, texture or palette
with the embedded data set: gratings of four frequencies, white noise at three scales and plain
fills, on polygons, with random colours; the task is to name the texture of every pixel. Trained
once on the CPU and cached; `python -m seglib.models.pretext` does it by hand.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from seglib.data.augment import normalise
from seglib.losses import build_loss
from seglib.models.resnetunet import ResNetUNet
from seglib.predict import autocast, fast_precision
from seglib.train import lr_factor

VERSION = 1
SIDE = 64
N_TEXTURES = 8
N_SCENES = 600
N_STEPS = 120
BATCH = 32


def _texture(kind: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """A (side, side) pattern in [0, 1]: 0-3 gratings, 4-6 noise of growing scale, 7 plain."""
    if kind < 4:
        period = (3.0, 5.0, 8.0, 13.0)[kind] * rng.uniform(0.9, 1.1)
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[:side, :side]
        wave = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + phase
        return (np.sin(wave) + 1) / 2
    if kind < 7:
        cells = (side, side // 3, side // 6)[kind - 4]
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
        return np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)) / 255
    return np.full((side, side), rng.uniform())


def draw_pretext_scene(
    rng: np.random.Generator, side: int = 2 * SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """One scene: image (side, side, 3) uint8, labels (side, side) uint8 in [0, 8)."""
    image = np.zeros((side, side, 3))
    labels = np.zeros((side, side), np.uint8)
    for layer in range(int(rng.integers(8, 16))):
        where = Image.new("1", (side, side), 0 if layer else 1)
        if layer:
            n_corners = int(rng.integers(3, 9))
            angles = np.sort(rng.uniform(0, 2 * np.pi, n_corners))
            radii = rng.uniform(8, 30) * rng.uniform(0.5, 1.0, n_corners)
            centre = rng.uniform(0, side, 2)
            corners = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
            ImageDraw.Draw(where).polygon([tuple(c) for c in corners.tolist()], fill=1)
        inside = np.asarray(where)
        kind = int(rng.integers(N_TEXTURES))
        mix = _texture(kind, rng, side)[..., None]
        first, second = rng.uniform(0, 255, (2, 3))
        image[inside] = (first * mix + second * (1 - mix))[inside]
        labels[inside] = kind
    image += rng.normal(0, rng.uniform(2, 10), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _train(progress: Callable[[int, int], None] | None) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng([VERSION, 0x9E7])
    n_all = N_SCENES // 4 + N_STEPS
    scenes = []
    for i in range(N_SCENES):
        scenes.append(draw_pretext_scene(rng))
        if progress and i % 4 == 0:
            progress(i // 4, n_all)
    images = torch.from_numpy(np.stack([s[0] for s in scenes])).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.stack([s[1] for s in scenes])).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(VERSION)
        model = ResNetUNet(n_classes=N_TEXTURES).to(memory_format=torch.channels_last)
    loss = build_loss("dice_bce", n_classes=N_TEXTURES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01, fused=True)
    device = torch.device("cpu")
    for step in range(N_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * lr_factor("onecycle", step / N_STEPS, 0.2)
        chosen = torch.from_numpy(rng.integers(N_SCENES, size=BATCH))
        top, left = rng.integers(0, SIDE + 1, 2)
        window = (slice(None), ..., slice(top, top + SIDE), slice(left, left + SIDE))
        crops = normalise(images[chosen][window].float())
        with autocast(device, fast_precision(device)):
            logits = model(crops.contiguous(memory_format=torch.channels_last))
        total = loss(logits, labels[chosen][window])
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        if progress:
            progress(N_SCENES // 4 + step + 1, n_all)
    encoder = model.encoder.state_dict()
    return {k: v.half() if v.is_floating_point() else v for k, v in encoder.items()}


def pretext_encoder(cache: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """The cached encoder file, trained now if it is not there (under a minute on two cores)."""
    path = cache / f"pretext-resnet18-v{VERSION}.pt"
    if not path.exists():
        state = _train(progress)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
            torch.save(state, part)
        os.replace(part.name, path)
    return path


if __name__ == "__main__":
    from seglib.models.weights import cache_dir, file_sha256

    began = time.perf_counter()
    made = pretext_encoder(cache_dir(), lambda done, n: print(f"\r{done}/{n}", end="", flush=True))
    print(f"\n{made} sha256 {file_sha256(made)} in {time.perf_counter() - began:.0f} s")
