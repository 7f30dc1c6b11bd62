"""The comparison matrices, as data, and the command line that runs them.

python runs.py --convert SOURCE --to FOLDER    images and masks as you have them -> FOLDER
python runs.py --check DATA    what the images and masks look like to a study
python runs.py --grid      run the matrix; running it again finishes what is missing
python runs.py --plan      what that would do, and what it would cost
python runs.py --tune      Optuna tunes loss parameters, class weights and learning rate
python runs.py --report    tables, curves and the report
python runs.py --sync      send MLflow what it is missing of a study
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from study.commands.process import begin

if __name__ == "__main__":
    begin()  # before the imports below, which take seconds

import analysis
from study.commands.hooks import Analysis
from study.commands.main import run
from study.matrix import Contrast, Matrix, Saving, ladder

BASELINE = {"model": "unet", "init": "scratch", "loss": "bce"}
UNET = {"model": "unet", "init": "scratch"}
SCRATCH = {"model": "resnetunet", "init": "scratch"}
PRETRAINED = {"model": "resnetunet", "init": "pretrained"}
NETWORKS = (
    *("unet", "resnetunet"),
    *("fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"),
)

MATRICES = {
    # 3 networks x 3 losses: which architecture, does pretraining help, which loss?
    "default": Matrix(
        axes={
            "model": ("unet", "resnetunet"),
            "init": ("scratch", "pretrained"),
            "loss": ("bce", "dice_bce", "focal_tversky"),
        },
        baseline=BASELINE,
        contrasts=(
            Contrast("architecture", SCRATCH, UNET, within=("loss",)),
            Contrast("pretraining", PRETRAINED, SCRATCH, within=("loss",)),
            Contrast("loss", {"loss": "dice_bce"}, {"loss": "bce"}, within=("model", "init")),
            Contrast("loss", {"loss": "focal_tversky"}, {"loss": "bce"}, within=("model", "init")),
        ),
        spend=(
            Saving("unet narrowed to width 32", {"model": "unet"}, {"width": 32}),
            Saving("unet narrowed to width 16", {"model": "unet"}, {"width": 16}),
            Saving("architecture", {"model": "unet"}),
            Saving("pretraining", SCRATCH),
            Saving("loss focal_tversky", {"loss": "focal_tversky"}),
        ),
    ),
    # One network, the three losses: the smallest study worth running.
    "losses": Matrix(
        axes={
            "model": ("unet",),
            "init": ("scratch",),
            "loss": ("bce", "dice_bce", "focal_tversky"),
        },
        baseline=BASELINE,
        contrasts=(
            Contrast("loss", {"loss": "dice_bce"}, {"loss": "bce"}),
            Contrast("loss", {"loss": "focal_tversky"}, {"loss": "bce"}),
        ),
        spend=(
            Saving("unet narrowed to width 32", {"model": "unet"}, {"width": 32}),
            Saving("unet narrowed to width 16", {"model": "unet"}, {"width": 16}),
            Saving("loss focal_tversky", {"loss": "focal_tversky"}),
        ),
    ),
    # Which network, and at what cost? All from scratch: a plain U-Net can start from nothing else,
    # and pretext weights fit one of them; "init": ("pretrained",) in a copy compares the others.
    "networks": Matrix(
        axes={"model": NETWORKS, "init": ("scratch",), "loss": ("dice_bce",)},
        baseline=UNET,
        contrasts=[Contrast("network", {"model": one}, UNET) for one in NETWORKS[1:]],
    ),
    # Is FocalTversky worse, or only untuned? Needs --tune first, with the same flags.
    "tuned": Matrix(
        axes={
            "model": ("unet",),
            "init": ("scratch",),
            "loss": ("bce", "dice_bce", "focal_tversky", "focal_tversky_bce"),
            "tuning": ("default", "tuned"),
        },
        baseline=BASELINE,
        contrasts=(
            Contrast("loss", {"loss": "dice_bce"}, {"loss": "bce"}),
            Contrast("loss", {"loss": "focal_tversky"}, {"loss": "bce"}),
            Contrast("loss", {"loss": "focal_tversky_bce"}, {"loss": "bce"}),
        ),
    ),
    # Why FocalTversky failed: from how it is commonly written on, one change a rung.
    "focal-tversky": ladder(
        {**UNET, "loss": "focal_tversky"},
        (
            "1-as-first-tried",
            {
                "loss.activation": "sigmoid",
                "loss.over": "image",
                "loss.classes": "all",
                "train_void": "class",
            },
        ),
        ("2-flattened", {"loss.classes": "flattened"}),
        ("3-void-ignored", {"train_void": "ignore"}),
        ("4-batch-sums", {"loss.over": "batch"}),
        ("5-softmax", {"loss.activation": "softmax"}),
        ("6-present-classes", {"loss.classes": "present"}),
        ("7-with-bce", {"loss": "focal_tversky_bce"}),
        ("8-warm-up", {"loss.ramp": 0.2}),
        ("9-exponent-1", {"loss.exponent": 1.0}),
        ("10-exponent-4-3", {"loss.exponent": 4 / 3}),
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run(
        argv,
        MATRICES,
        Analysis(
            aggregate=analysis.aggregate_arms,
            summary=analysis.summary,
            report=analysis.report_study,
            check=analysis.check_data,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
