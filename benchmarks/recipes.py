"""Variants of networks and recipes, scored on dev with trial seeds: what chose the defaults.

    python -m benchmarks.recipes DATA NAME [--models unet,resnetunet] [--losses bce,dice_bce]
        [--seeds 3] [--scale 1] [--average 0.99] [--set steps=600 --set field=value ...] [--to FILE]
    python -m benchmarks.recipes --table FILE

Trains on the fit images, evaluates on dev ten times, never opens test; a line of JSON a run is
added to FILE, and the table has a row for each variant, network and loss: mean and s.d. over the
seeds of the last epoch's dev mIoU, of the best one's, of averaged weights, and how many classes no
seed has found. One thread; accuracies hold on a busy machine, images/s only on an idle one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seglib.losses import Loss
from seglib.metrics import iou, mean_iou
from seglib.models import resolve_weights
from seglib.train import fit
from study.commands.opening import Prepared, prepare_data
from study.commands.request import Request
from study.commands.settings import Settings, pairs_of, parse_settings
from study.config import RunConfig
from study.execution.parts import initial_model, split_data, start_bias, training_parts
from study.execution.results import confusions_of

FIRST_SEED = 1000  # of the range of trials


class Scaled:
    """A loss times a number."""

    def __init__(self, loss: Loss, scale: float) -> None:
        self.loss, self.scale = loss, scale

    def terms(self, *args: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
        return {k: self.scale * v for k, v in self.loss.terms(*args, progress=progress).items()}


def one_run(config: RunConfig, store, *, scale: float, average: float) -> dict[str, object]:
    """Train it; the dev curve, the classes at the end, the speed."""
    torch.set_num_threads(config.threads)
    data = split_data(store, config)
    model = initial_model(config, len(store.classes))
    start_bias(model, config, data.fit)
    loss, sampler, recipe = training_parts(config, data.fit)
    averaged = None
    if average:
        decay = get_ema_multi_avg_fn(average)
        averaged = AveragedModel(model, multi_avg_fn=decay, use_buffers=True)

    def each_step() -> bool:
        if averaged is not None:
            averaged.update_parameters(model)
        return False

    def scored(network: torch.nn.Module) -> np.ndarray:
        """(n, C, 3) counts of the dev images."""
        return confusions_of(config, network, data.dev, lambda: False).class_counts()

    counts, began, spent = {}, time.perf_counter(), 0.0
    for result in fit(model, Scaled(loss, scale), sampler, recipe, should_stop=each_step):
        if result.epoch in recipe.evaluate_at:
            spent += time.perf_counter() - began
            counts[result.epoch] = scored(model)
            began = time.perf_counter()
    n_images = config.epochs * len(sampler) * sampler.batch_size
    curve = {epoch: float(mean_iou(one)) for epoch, one in counts.items()}
    found = {
        "curve": curve,
        "last": curve[config.epochs],
        "best": max(curve.values()),
        "gain_of_choice": gain_of_choice(np.stack([*counts.values()])),
        "classes": [round(float(v), 4) for v in iou(counts[config.epochs])],
        "steps": config.epochs * len(sampler),
        "seconds": spent,
        "images_per_s": n_images / spent,
    }
    if averaged is not None:
        found["averaged"] = float(mean_iou(scored(averaged.module)))
    return found


def gain_of_choice(counts: np.ndarray) -> dict[int, float]:
    """What the best epoch by n dev images scores above the last one, on the other half of dev.

    Args: counts (E, n, C, 3) of each evaluated epoch. Returns: n -> mean over random halves.
    """
    n_images, rng = counts.shape[1], np.random.default_rng(0)
    gains: dict[int, list[float]] = {}
    for _ in range(40):
        order = rng.permutation(n_images)
        scores = [mean_iou(one[order[n_images // 2 :]]) for one in counts]
        for n in (4, 8, 16, 32, 48):
            if n <= n_images // 2:
                best = np.argmax([mean_iou(one[order[:n]]) for one in counts])
                gains.setdefault(n, []).append(float(scores[best] - scores[-1]))
    return {n: round(statistics.mean(values), 5) for n, values in gains.items()}


def configured(data: Prepared, settings: Settings, **fields: object) -> RunConfig:
    """A run on prepared data by its recipe, with `fields` and the settings that are no recipe's."""
    params = {name.removeprefix("loss."): v for name, v in settings.loss_params.items()}
    place = {"data": data.store.fingerprint, "store": str(data.store.path), "loss_params": params}
    return RunConfig.of({**data.recipe, **place, **fields, **settings.environment})


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("name", nargs="?", default="variant")
    parser.add_argument("--models", default="unet,resnetunet")
    parser.add_argument("--losses", default="dice_bce")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--average", type=float, default=0.0)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--to", type=Path, default=Path("outputs/recipes.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    parser.add_argument("--table", type=Path)
    args = parser.parse_args(argv)
    if args.table:
        print(table([json.loads(line) for line in args.table.read_text().splitlines()]))
        return 0
    request = Request(verb="check", data=args.data, out=args.out)
    settings = parse_settings(pairs_of(args.set, "--set"))
    data = prepare_data(request, settings, "cpu", Console(stderr=True))
    args.to.parent.mkdir(parents=True, exist_ok=True)
    for model in args.models.split(","):
        model, _, source = model.partition("@")
        start = {"init": "scratch"}
        if source:
            weights = resolve_weights(source)
            start = {
                "init": "pretrained",
                "weights": weights.sha256,
                "weights_source": weights.source,
                "weights_path": str(weights.path),
            }
        for seed in range(FIRST_SEED + args.first, FIRST_SEED + args.first + args.seeds):
            for loss in args.losses.split(","):
                config = configured(
                    data, settings, **start, model=model, loss=loss, seed=seed, role="trial"
                )
                found = one_run(config, data.store, scale=args.scale, average=args.average)
                row = {"variant": args.name, "network": config.network, "loss": loss, "seed": seed}
                with args.to.open("a") as file:
                    file.write(json.dumps(row | found) + "\n")
    return 0


def table(rows: list[dict]) -> str:
    """A line a variant, network and loss."""

    def spread(name: str) -> str:
        values = [100 * row[name] for row in group if name in row]
        if not values:
            return "-"
        sd = f" ({statistics.stdev(values):.1f})" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{sd}"

    groups: dict[tuple[str, ...], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["variant"], row["network"], row["loss"]), []).append(row)
    lines = [
        "| variant | network | loss | n | steps | last | best | averaged | classes at 0 | s a run "
        "| images/s |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (variant, network, loss), group in groups.items():
        never = int((np.max([row["classes"] for row in group], axis=0) < 0.005).sum())
        seconds = statistics.mean(row["seconds"] for row in group)
        speed = statistics.median(row["images_per_s"] for row in group)
        lines.append(
            f"| {variant} | {network} | {loss} | {len(group)} | {group[0]['steps']} | "
            f"{spread('last')} | {spread('best')} | {spread('averaged')} | {never} | "
            f"{seconds:.0f} | {speed:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
