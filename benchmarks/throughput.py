"""Training images/s of each network, fp32 against bf16, side by side in one process.

    python benchmarks/throughput.py [threads]

Prints medians over steps and the ratio; run it on an otherwise idle machine.
"""

import statistics
import sys
import time

import torch

from seglib.losses import build_loss
from seglib.models import build_model
from seglib.predict import autocast
from seglib.train import make_optimizer

CASES = [  # model, its options, batch, crop in px
    ("unet", {"width": 16}, 8, 64),
    ("resnetunet", {}, 8, 64),
    ("unet", {"width": 64}, 4, 224),
    ("resnetunet", {}, 8, 224),
]
N_CLASSES, N_STEPS = 21, 6


def images_per_s(name: str, options: dict, batch: int, crop_px: int, precision: str) -> float:
    """Forward, dice_bce, backward and AdamW on random crops."""
    torch.manual_seed(0)
    model = build_model(name, n_classes=N_CLASSES, **options)
    model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer("adamw", model.parameters(), lr=1e-3, weight_decay=0.01)
    loss = build_loss("dice_bce", n_classes=N_CLASSES)
    images = torch.randn(batch, 3, crop_px, crop_px).contiguous(memory_format=torch.channels_last)
    masks = torch.randint(0, N_CLASSES, (batch, crop_px, crop_px))
    seconds = []
    for _ in range(N_STEPS):
        began = time.perf_counter()
        with autocast(torch.device("cpu"), precision):
            logits = model(images)
        optimizer.zero_grad(set_to_none=True)
        loss(logits, masks).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return batch / statistics.median(seconds[1:])


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    print(f"{torch.get_num_threads()} threads, images/s")
    print(f"{'network':<16}{'batch':>6}{'crop':>6}{'fp32':>9}{'bf16':>9}{'ratio':>7}")
    for case in CASES:
        slow, fast = (images_per_s(*case, precision) for precision in ("fp32", "bf16"))
        label = "-".join([case[0], *(f"{name}{value}" for name, value in case[1].items())])
        print(f"{label:<16}{case[2]:>6}{case[3]:>6}{slow:>9.1f}{fast:>9.1f}{fast / slow:>7.2f}")
