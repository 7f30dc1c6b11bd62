"""What a folder's default recipe reaches on its test list, before and after it was changed.

    python -m benchmarks.accuracy FOLDER [--device cuda] [--share 0.1] [--models unet,resnetunet]
        [--recipes now,before] [--seed 0] [--set field=value ...]

Trains each network from scratch with dice_bce, one seed, as a final run of a study does (best
epoch by dev, test looked at once), and prints test mIoU, each class's IoU, steps and minutes, the
recipe as it is now beside the one before. `--share` trains that share of the steps: on a CPU, for
the comparison of the two only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.recipes import configured
from seglib.data.store import Store
from study.commands.opening import prepare_data
from study.commands.request import Request
from study.commands.settings import pairs_of, parse_settings
from study.config import RunConfig
from study.execution.parts import split_data
from study.execution.preflight import resolve_device
from study.execution.run import run
from study.record import RunDir, steps_an_epoch
from study.record.journal import Finished

# The recipe of a folder until 2026-11-27: 60 epochs whatever the data, no branch.
BEFORE = {
    "epochs": 60,
    "batch_size": 8,
    "lr": 1e-3,
    "branch": 0,
    "output_bias": "drawn",
    "warmup_frac": 0.3,
}


def trained(config: RunConfig, store: Store, folder: Path) -> dict[str, object]:
    """Test metrics, steps and minutes of one run."""
    run_dir = RunDir(folder / config.run_id)
    state = run(config, run_dir, arm="accuracy")
    end = run_dir.journal().last
    if not isinstance(end, Finished):
        raise SystemExit(f"{config.model}: {state}: {getattr(end, 'error', '')}")
    n_fit = len(split_data(store, config).fit)
    return {
        "test mIoU": end.metrics["test/miou"],
        "dev mIoU": end.metrics["dev/miou"],
        **{name: end.metrics[f"test/iou/{name}"] for name in store.classes},
        "steps": config.epochs * steps_an_epoch(n_fit, config.batch_size),
        "best epoch": f"{end.best_epoch} of {config.epochs}",
        "minutes": end.duration_s / 60,
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--models", default="unet,resnetunet")
    parser.add_argument("--recipes", default="now,before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args(argv)
    device = resolve_device(args.device)
    settings = parse_settings(pairs_of(args.set, "--set"))
    columns: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(verb="check", data=args.folder, out=Path(scratch))
        data = prepare_data(request, settings, device, Console(stderr=True))
        for model in args.models.split(","):
            for name in args.recipes.split(","):
                changed = BEFORE | dict(settings.recipe) if name == "before" else {}
                run_fields = {"model": model, "init": "scratch", "loss": "dice_bce"}
                config = configured(
                    data, settings, **changed, **run_fields, seed=args.seed, device=device
                )
                config = replace(config, epochs=max(1, round(args.share * config.epochs)))
                columns[f"{model}, {name}"] = trained(config, data.store, Path(scratch) / name)
                print(table(columns), flush=True)
    return 0


def table(columns: dict[str, dict[str, object]]) -> str:
    """A row a quantity, a column a run."""
    rows = [["", *columns]]
    for name in next(iter(columns.values())):
        values = [column[name] for column in columns.values()]
        shown = [
            f"{v:.3f}" if isinstance(v, float) else "-" if v is None else str(v) for v in values
        ]
        rows.append([name, *shown])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True))
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
