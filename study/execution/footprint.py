"""The memory a run will need, from its network: no weight is made and nothing is computed.

The network is run forward and backward on torch's meta device while what is held at once is
counted. The constants are measured: NOTES.md has predicted and measured peaks. Knows no command.
"""

from __future__ import annotations

import typing
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seglib.data.store import Split, Store
from seglib.models import build_model, model_traits
from seglib.predict import BATCH_PIXELS, padded_size
from study.config import ConfigError, RunConfig
from study.execution.memory import less_memory
from study.execution.parts import multiple_of, split_data

KERNELS = 120e6  # bytes: libraries that are read from disk when they are first used
HEAP_BYTES = 32 * 2**20  # smaller blocks that are freed stay with the process (glibc's malloc)
BF16 = 0.57  # of what fp32 holds: weights and some layers stay as they are
LOSS = 5  # arrays of the logits' size, fp32, that a loss holds beside them
CROP_BYTES, AHEAD_BYTES = 44, 4  # a pixel of the batch at work; of each that is prepared
IMAGE_BYTES = 36  # a pixel of an evaluated image, beside the network
SURE = 0.8  # of the estimate, which is within a fifth: what does not even have this is refused
# Fields that change it.
MATTERS = (
    *("model", "encoder", "width", "batch_size", "accumulate", "crop_px", "precision"),
    *("train_void", "split_seed", "dev_share", "dev_images", "role", "loader_threads"),
)
COUNT_BYTES = 48  # an image and class: its counts, made from confusions


class Held(typing.NamedTuple):
    """Bytes that a network holds at most, fp32."""

    weights: int
    training: int
    kept: int  # of these, in blocks that stay with the process
    evaluating: int


class _Watch(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive: the most there were of all and of small."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most = [0, 0], [0, 0]
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._take(tensor.untyped_storage())
        return out

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, n_bytes = storage._cdata, storage.nbytes()
        if key not in self._alive:
            self._alive.add(key)
            self._count(n_bytes, n_bytes)
            weakref.finalize(storage, self._drop, key, n_bytes)

    def _drop(self, key: int, n_bytes: int) -> None:
        self._alive.discard(key)
        self._count(n_bytes, -n_bytes)

    def _count(self, size: int, n_bytes: int) -> None:
        for which in (0, 1)[: 1 + (size < HEAP_BYTES)]:
            self.now[which] += n_bytes
            self.most[which] = max(self.most[which], self.now[which])


def run_bytes(config: RunConfig, store: Store) -> float | None:
    """Bytes that a run needs beside what its process holds from the start; None: not known, as of
    a network of the user's."""
    if not model_traits(config.model).meta:
        return None
    data, n_classes = split_data(store, config), len(store.classes)
    splits = [data.dev, store.test()] if config.role == "final" else [data.dev]
    n_crops = min(config.batch_size, len(data.fit))
    part = -(-n_crops // min(config.accumulate, n_crops))
    image = max((_largest_batch(one, multiple_of(config)) for one in splits), key=_pixels)
    n_outputs, side = config.n_outputs(n_classes), config.crop_px
    options = tuple(sorted(config.options.items()))
    held = _held(config.model, options, n_outputs, (part, side, side), image)
    share = BF16 if config.precision == "bf16" else 1.0
    crops = n_crops * side**2 * (CROP_BYTES + AHEAD_BYTES * (config.loader_threads + 2))
    training = share * held.training + LOSS * 4 * n_outputs * part * side**2 + crops
    evaluating = share * (held.kept + held.evaluating) + IMAGE_BYTES * _pixels(image)
    evaluating += COUNT_BYTES * n_outputs * max(map(len, splits))
    return KERNELS + 5 * held.weights + max(training, evaluating)  # AdamW's two; twice the best


def check_memory(configs: Iterable[RunConfig], store: Store, n_workers: int) -> tuple[float, float]:
    """Bytes of the largest of some runs, and of as many at once as there are workers; 0 where it
    is not known: on a GPU, of a network of the user's.

    Raises: ConfigError when they cannot fit into what is available, with what to set.
    """
    here = psutil.Process().memory_info()
    base = float(here.rss - here.shared)  # a worker begins with what this process has imported
    kinds = [one for one in _kinds(configs) if one.device == "cpu"]  # of a GPU nothing is said
    needs = [(n, one) for one in kinds if (n := run_bytes(one, store)) is not None]
    if not needs:
        return 0.0, 0.0
    need, config = max(needs, key=lambda pair: pair[0])
    free = available_bytes()
    at_once = need * n_workers + base  # the server that workers come from
    if SURE * at_once > free:
        fewer = int((free - base) // need)
        remedy = f"use --workers {fewer}" if fewer > 0 else less_memory(config)
        raise ConfigError(
            f"{n_workers} run{'s' * (n_workers > 1)} at once must fit into the memory that is "
            f"free, {free / 1e9:.1f} GB, got {at_once / 1e9:.1f} GB ({need / 1e9:.1f} GB each for "
            f"{config.network}, beside {base / 1e9:.1f} GB of libraries); {remedy}"
        )
    return base + need, at_once


def available_bytes() -> float:
    """Memory that new processes can have: of the machine, or of the control group we are in."""
    free = float(psutil.virtual_memory().available)
    try:
        group = Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition(":")[2]
    except (OSError, IndexError):
        return free
    root = Path("/sys/fs/cgroup")
    place = root / group.strip("/")
    for folder in (place, *place.parents):
        if folder.is_relative_to(root):
            free = min(free, _group_free(folder))
    return free


def _group_free(folder: Path) -> float:
    """What a control group (version 2) may still take; its cache of files can be given back."""
    try:
        most = int((folder / "memory.max").read_text())  # or "max"
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        used = int((folder / "memory.current").read_text()) - int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return float("inf")
    return float(most - used)


def _kinds(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """One run of each kind that needs the same memory."""
    kinds = {tuple(getattr(config, name) for name in MATTERS): config for config in configs}
    return list(kinds.values())


def _largest_batch(split: Split, multiple: int) -> tuple[int, int, int]:
    """Images, height and width, padded, of the largest batch that `predict_split` makes."""
    sizes: dict[tuple[int, int], int] = {}
    for height, width in split.sizes.tolist():
        size = padded_size(height, width, multiple)
        sizes[size] = sizes.get(size, 0) + 1
    batches = [
        (min(n, max(1, BATCH_PIXELS // (height * width))), height, width)
        for (height, width), n in sizes.items()
    ]
    return max(batches, key=_pixels)


def _pixels(batch: tuple[int, int, int]) -> int:
    return batch[0] * batch[1] * batch[2]


@cache
def _held(
    model: str,
    options: tuple[tuple[str, object], ...],
    n_outputs: int,
    crops: tuple[int, int, int],
    image: tuple[int, int, int],
) -> Held:
    """Args: crops, image: how many, height, width of a training part and an evaluated batch."""
    with torch.device("meta"):
        network = build_model(model, n_classes=n_outputs, **dict(options))
        weights = sum(p.numel() * p.element_size() for p in network.parameters())
        with _Watch() as training:
            images = torch.zeros(crops[0], 3, *crops[1:])
            torch.autograd.backward(network.train()(images).sum())
        with _Watch() as evaluating, torch.no_grad():
            network.eval()(torch.zeros(image[0], 3, *image[1:]))
    most, kept = training.most
    return Held(weights, most, kept, evaluating.most[0])
