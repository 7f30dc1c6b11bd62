"""Time of each loss, forward and backward, as a multiple of plain cross-entropy's.

    python benchmarks/losses.py [--repeats 5] [--threads 1] [--device cpu] [LOSS ...]

Logits (8, 21, 224, 224) float32, all classes, in blocks, 2 % of pixels void; default parameters.
torch's cross-entropy with `ignore_index=255` is timed directly before each loss, in one process, so
that what else runs on the machine hits both; the ratio is the median over the repeats. At most 3 is
the aim, for all but the losses with lovasz, which sorts the pixels once for every class.
`--channels-last`: logits in the memory layout that the networks give.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from seglib.losses import LOSSES, build_loss
from seglib.metrics import VOID

SHAPE = (8, 21, 224, 224)
MOST = 3.0


def batch(device: str, layout: torch.memory_format) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits, and masks of blocks with void."""
    n_images, n_classes, height, width = SHAPE
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(SHAPE, generator=rng)
    coarse = torch.randint(0, n_classes, (n_images, 1, 7, 7), generator=rng)
    masks = F.interpolate(coarse.float(), size=(height, width)).long().squeeze(1)
    masks[torch.rand(masks.shape, generator=rng) < 0.02] = VOID
    return logits.to(device, memory_format=layout), masks.to(device)


def seconds(loss: Callable, logits: torch.Tensor, masks: torch.Tensor) -> float:
    """One forward and backward."""
    logits = logits.detach().requires_grad_()
    _wait(logits)
    began = time.perf_counter()
    loss(logits, masks).backward()
    _wait(logits)
    return time.perf_counter() - began


def _wait(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def plain(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, masks, ignore_index=VOID)


def times(
    names: list[str], n_repeats: int, logits: torch.Tensor, masks: torch.Tensor
) -> dict[str, list[tuple[float, float]]]:
    """(seconds of the loss, seconds of cross-entropy just before) of each loss and repeat."""
    losses = {name: build_loss(name, n_classes=SHAPE[1]) for name in names}
    for loss in (plain, *losses.values()):
        seconds(loss, logits, masks)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(n_repeats):
        for name, loss in losses.items():
            base = seconds(plain, logits, masks)
            found[name].append((seconds(loss, logits, masks), base))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("losses", nargs="*", metavar="LOSS", help=f"of {', '.join(LOSSES)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    found = times(args.losses or list(LOSSES), args.repeats, *batch(args.device, layout))
    base_ms = statistics.median(base for rows in found.values() for _, base in rows) * 1e3
    print(
        f"{SHAPE} {layout} on {args.device}, {args.threads} threads, torch "
        f"{torch.__version__}, {args.repeats} repeats; cross-entropy {base_ms:.1f} ms"
    )
    print(f"{'loss':<26}{'ms':>8}{'ratio':>8}{'lowest':>8}{'highest':>8}")
    for name, rows in found.items():
        ratio = [mine / base for mine, base in rows]
        mine_ms = statistics.median(mine for mine, _ in rows) * 1e3
        middle = statistics.median(ratio)
        print(
            f"{name:<26}{mine_ms:>8.1f}{middle:>8.2f}{min(ratio):>8.2f}{max(ratio):>8.2f}"
            + (f"  above {MOST:g}" if middle > MOST and "lovasz" not in name else "")
        )
