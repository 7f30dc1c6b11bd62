"""Share of an evaluation pass that goes into confusion matrices, network beside network.

    python benchmarks/metrics.py [THREADS]

`seglib.predict.evaluate` on 360x480 images (CamVid's size) with 21 classes; the target is at most
2 %. Prints the quickest of several passes: what else runs on the machine slows the network more
than `confusion`, which uses one thread, so the other passes would flatter the share.
"""

import sys
import time

import numpy as np
import torch

from seglib import predict
from seglib.models import build_model, model_spec

HEIGHT, WIDTH, N_CLASSES = 360, 480, 21
N_IMAGES, N_PASSES = 2, 6
TARGET_PERCENT = 2.0


class Scenes:
    """What `evaluate` asks of a split: noise images, masks of 20 px blocks with 5 % void."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.sizes = np.tile([HEIGHT, WIDTH], (N_IMAGES, 1))
        self.class_pixels = np.zeros((N_IMAGES, N_CLASSES), np.int64)
        self.images = rng.integers(0, 256, (N_IMAGES, HEIGHT, WIDTH, 3), dtype=np.uint8)
        blocks = rng.integers(0, N_CLASSES, (N_IMAGES, HEIGHT // 20, WIDTH // 20), dtype=np.uint8)
        self.masks = blocks.repeat(20, 1).repeat(20, 2)
        self.masks[rng.random(self.masks.shape) < 0.05] = predict.VOID

    def __len__(self) -> int:
        return N_IMAGES

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.images[index], self.masks[index]


def pass_seconds(model: torch.nn.Module, split: Scenes, **options) -> tuple[float, float]:
    """Seconds of one `evaluate`, and how many of them `confusion` took."""
    confusion, spent = predict.confusion, []

    def timed(*args, **kwargs):
        began = time.perf_counter()
        answer = confusion(*args, **kwargs)
        spent.append(time.perf_counter() - began)
        return answer

    predict.confusion = timed
    try:
        began = time.perf_counter()
        predict.evaluate(model, split, **options)
        return time.perf_counter() - began, sum(spent)
    finally:
        predict.confusion = confusion


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    precisions = dict.fromkeys(["fp32", predict.fast_precision("cpu")])
    print(
        f"{torch.get_num_threads()} threads, ms per image of {HEIGHT}x{WIDTH}, "
        f"target at most {TARGET_PERCENT:.0f} %"
    )
    print(f"{'network':<14}{'precision':<11}{'evaluate':>10}{'confusion':>11}{'share, %':>10}")
    for name in ("unet", "resnetunet"):
        torch.manual_seed(0)
        model = build_model(name, n_classes=N_CLASSES)
        model, split = model.to(memory_format=torch.channels_last), Scenes()
        for precision in precisions:
            whole, part = min(
                pass_seconds(model, split, multiple=model_spec(name).multiple, precision=precision)
                for _ in range(N_PASSES)
            )
            print(
                f"{name:<14}{precision:<11}{1e3 * whole / N_IMAGES:>10.1f}"
                f"{1e3 * part / N_IMAGES:>11.2f}{100 * part / whole:>10.2f}",
                flush=True,
            )
