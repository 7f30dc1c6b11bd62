"""Memory and time where numbers are large: 2,000 runs; 250 classes and 5,000 test images.

    python -m benchmarks.scale runs [N_RUNS] [N_ARMS]     states, report and sync of finished runs
    python -m benchmarks.scale default                    the report of 9 arms x 2 seeds
    python -m benchmarks.scale help                       what every command pays before it begins
    python -m benchmarks.scale classes [N_CLASSES] [N_IMAGES]     the end of one run

Runs are made up, of 60 epochs, 21 classes and 210 test images that show 2 to 6 classes; every
command is a process of its own, and its peak is that of the process (VmHWM).
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.made_up import N_DEV, N_TEST, declared, epoch
from runs import MATRICES
from seglib.drawing import VOC_CLASSES
from seglib.metrics import CONTRACT, class_counts, iou, mean_iou, pixel_accuracy
from study.matrix import Matrix
from study.record import RunDir, files
from study.record.journal import Finished, Metrics, Start

N_EPOCHS, C = 60, len(VOC_CLASSES)


def truth(n: int, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """(n, C) pixels of each class in images that show 2 to 6 of them."""
    shown = np.argsort(rng.random((n, n_classes)), axis=1) < rng.integers(2, 7, (n, 1))
    shown[:, 0] = True
    return shown * rng.integers(500, 60_000, (n, n_classes))


def confusions(pixels: np.ndarray, skill: float, rng: np.random.Generator) -> np.ndarray:
    """(n, C, C): what is missed goes to background and two other classes."""
    n, n_classes = pixels.shape
    counts = np.zeros((n, n_classes, n_classes), np.int64)
    index = np.arange(n_classes)
    hit = np.round(pixels * np.clip(skill + 0.1 * rng.standard_normal(pixels.shape), 0, 1))
    counts[:, index, index] = hit.astype(np.int64)
    missed = pixels - counts[:, index, index]
    for part in (missed // 2, missed - missed // 2):
        image, label = np.nonzero(part)
        other = (label + rng.integers(1, n_classes, len(label))) % n_classes
        np.add.at(counts, (image, label, other), part[image, label])
    return counts


def scores(counts: np.ndarray, split: str) -> Metrics:
    found = class_counts(counts)
    ious = dict(zip(VOC_CLASSES, iou(found).tolist(), strict=True))
    return {
        f"{split}/miou": mean_iou(found),
        f"{split}/pixel_accuracy": pixel_accuracy(found),
        f"{split}/miou_foreground": mean_iou(found[:, 1:]),
        **{f"{split}/iou/{name}": value for name, value in ious.items()},
    }


def matrix(n_arms: int) -> Matrix:
    base = {"model": "unet", "init": "scratch", "loss": "bce", "width": 1}
    return Matrix(
        axes={
            "model": ("unet",),
            "init": ("scratch",),
            "loss": ("bce", "dice_bce"),
            "width": tuple(range(1, n_arms // 2 + 1)),
        },
        baseline=base,
    )


def many_runs(path: Path, n_runs: int, n_arms: int, of: Matrix | None = None) -> Path:
    """A study of finished runs, each with its own numbers; weights and sheets are left out.

    Args: of: the matrix of its n_arms, one of made-up widths unless given.
    """
    study, rng = declared(path, N_EPOCHS, of or matrix(n_arms)), np.random.default_rng(0)
    study.set_weights("resnet18", "imagenet (V1)", "0" * 64)
    study.save()
    test, dev = truth(N_TEST, C, rng), truth(N_DEV, C, rng)
    names = {"test_names": np.array([f"t{i:06d}" for i in range(N_TEST)])}
    names |= {"dev_names": np.array([f"d{i:06d}" for i in range(N_DEV)])}
    pool = [epoch(e, rng, evaluated=e % 6 == 0) for e in range(1, N_EPOCHS + 1)]
    lines = [one.having(time=9e8 + 60 * one.epoch).model_dump_json() for one in pool]
    for number in range(n_runs):
        seed, index = divmod(number, n_arms)
        cell = study.cells[index]
        config = study.config(cell, seed)
        run_dir = RunDir(study.run_dir(config).path)
        run_dir.path.mkdir(parents=True)
        run_dir.config.write_text(config.record(cell.arm).model_dump_json())
        counts = {
            "test": confusions(test, 0.5 + 0.02 * (index % 10), rng),
            "dev": confusions(dev, 0.5 + 0.02 * (index % 10), rng),
        }
        narrow = {split: one.astype(np.int32) for split, one in counts.items()}
        with (run_dir.path / files.CONFUSION).open("wb") as file:
            np.savez_compressed(file, **narrow, **names)
        environment = {"device": "cpu", "threads": 1, "commit": "0" * 12, "torch": "2.0"}
        start = Start(
            attempt=1, after_epoch=0, environment=environment, n_parameters=10**7, time=9e8
        )
        end = Finished(
            best_epoch=N_EPOCHS,
            duration_s=600.0,
            peak_memory_mb=900.0,
            metrics=scores(counts["dev"], "dev") | scores(counts["test"], "test"),
            contract=CONTRACT,
            time=9e8 + 4000,
        )
        text = [start.model_dump_json(), *lines, end.model_dump_json()]
        (run_dir.path / files.JOURNAL).write_text("\n".join(text) + "\n")
    return study.path


def timed(text: str, code: str, *words: object) -> None:
    """Seconds and peak memory of a fresh Python process that runs `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True)
    spent = time.perf_counter() - began
    print(f"{text}: {spent:.1f} s", flush=True)


PEAK = """
import resource
kept = resource.getrusage(resource.RUSAGE_SELF)
print(f"  peak {kept.ru_maxrss / 1e3:.0f} MB, CPU {kept.ru_utime + kept.ru_stime:.1f} s")
"""
REPORT = (
    """
import sys
from pathlib import Path
from analysis import report_study
place = Path(sys.argv[1])
report_study(place, place / "report", [], place)
"""
    + PEAK
)
SYNC = (
    """
import sys
from pathlib import Path
import runs
place = Path(sys.argv[1])
assert runs.main(["--sync", "--out", str(place.parent), "--study", place.name]) == 0
"""
    + PEAK
)
STATES = (
    """
import sys, time
from pathlib import Path
from study.study import load
began = time.perf_counter()
study = load(Path(sys.argv[1]))
states = [
    study.run_dir(study.config(cell, seed)).state()
    for cell in study.cells for seed in range(int(sys.argv[2]))
]
assert set(states) == {"finished"}, set(states)
print(f"  beyond imports {time.perf_counter() - began:.1f} s")
"""
    + PEAK
)


def runs(n_runs: int = 2000, n_arms: int = 10) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = many_runs(Path(scratch) / "many", n_runs, n_arms)
        print(f"{n_runs} runs of {n_arms} arms made")
        timed("states of all runs, as --plan asks", STATES, path, n_runs // n_arms)
        timed("--report", REPORT, path)
        timed("--sync of everything", SYNC, path)
        timed("--sync of nothing new", SYNC, path)


def default() -> None:
    """The default matrix: 3 networks, 3 losses, 9 contrasts, 2 seeds; 60 epochs."""
    with tempfile.TemporaryDirectory() as scratch:
        path = many_runs(Path(scratch) / "default", 18, 9, MATRICES["default"])
        timed("--report of 18 runs", REPORT, path)


def usage() -> None:
    code = "import runs\ntry: runs.main(['--help'])\nexcept SystemExit: pass"
    timed("runs.py --help", code + PEAK)


CLASSES = (
    """
import sys
import tempfile
from pathlib import Path
import numpy as np
from benchmarks.scale import one_by_one
from seglib.metrics import Confusions, mean_iou
from study.record import read_npz, write_npz
n_classes, n = map(int, sys.argv[1:])
found = Confusions.of_images(one_by_one(n, n_classes), n, n_classes)
print(f"  test mIoU {mean_iou(found.class_counts()):.4f}, {len(found.cells):,} cells above 0")
with tempfile.TemporaryDirectory() as scratch:
    path = Path(scratch) / "confusion.npz"
    write_npz(path, found.packed("test"))
    print(f"  {path.stat().st_size / 1e6:.1f} MB on disk")
    again = Confusions.unpacked("test", read_npz(path, ""))
    assert np.array_equal(again.class_counts(), found.class_counts())
"""
    + PEAK
)


def one_by_one(n: int, n_classes: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each image's index and confusion matrix, as an evaluation gives them."""
    rng = np.random.default_rng(0)
    for index, pixels in enumerate(truth(n, n_classes, rng)):
        yield index, confusions(pixels[None], 0.5, rng)[0]


def classes(n_classes: int = 250, n_images: int = 5000) -> None:
    print(f"a whole array would take {n_images * n_classes**2 * 8 / 1e9:.1f} GB")
    timed(f"{n_images} images of {n_classes} classes", CLASSES, n_classes, n_images)


if __name__ == "__main__":
    verbs = {"runs": runs, "default": default, "help": usage, "classes": classes}
    verbs[sys.argv[1]](*map(int, sys.argv[2:]))
