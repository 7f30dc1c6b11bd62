"""The comparison matrices, as data, and the command line that runs them.

python runs.py --check DATA    what the images and masks look like to a study
python runs.py --grid      run the matrix; running it again finishes what is missing
python runs.py --plan      what that would do, and what it would cost
python runs.py --tune      Optuna tunes loss parameters, class weights and learning rate
python runs.py --report    tables, curves and the report
python runs.py --sync      send MLflow what it is missing of a study
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # Ctrl-C during the imports below, which take seconds

    def _interrupted(*_: object) -> None:
        words = shlex.join(["python", *sys.argv])
        os.write(1, f"interrupted; continue with: {words}\n".encode())
        os._exit(130)

    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, _interrupted)

from study.commands.console import make_console, step, table
from study.commands.session import (
    Session,
    add_tuned_cells,
    command,
    look_at_data,
    open_session,
    resolve_weights,
    study_lock,
    study_name,
)
from study.commands.signals import EXIT_CODE, interruptible
from study.config import ConfigError, digest, unknown_name
from study.matrix import Contrast, Matrix, ladder
from study.study import Study, load
from study.tracking.projection import probe, shown, tracking_uri

BASELINE = {"model": "unet", "init": "scratch", "loss": "bce"}
UNET = {"model": "unet", "init": "scratch"}
SCRATCH = {"model": "resnetunet", "init": "scratch"}
PRETRAINED = {"model": "resnetunet", "init": "pretrained"}

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


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="runs.py",
        description="Train and compare a matrix of segmentation models and losses.",
        epilog=f"Matrices: {', '.join(MATRICES)}. Exit codes: 0 all chosen runs finished, 1 some "
        "run failed, 2 bad input or a refusal, 130 interrupted.",
    )
    verbs = parser.add_mutually_exclusive_group(required=True)
    verbs.add_argument(
        "--check",
        metavar="DATA",
        help="look at the images and masks (as --data) before any training",
    )
    verbs.add_argument("--grid", action="store_true", help="run the matrix, or what is missing")
    verbs.add_argument("--plan", action="store_true", help="what --grid would do and cost")
    verbs.add_argument(
        "--tune", action="store_true", help="tune loss parameters, class weights and learning rate"
    )
    verbs.add_argument("--report", action="store_true", help="write the report of a study")
    verbs.add_argument(
        "--sync",
        action="store_true",
        help="send MLflow what it is missing of a study (after an outage)",
    )
    add = parser.add_argument
    add(
        "--data",
        default="shapes",
        metavar="shapes|voc|voc2007|voc2012|FOLDER",
        help="images with masks; voc is 2007 on a CPU and 2012 on a GPU; a folder in VOC's layout",
    )
    add("--study", metavar="NAME", help="name of the study (default MATRIX-DATA)")
    add("--matrix", default="default", metavar="NAME", help="a matrix of runs.py")
    add(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=VALUE,...",
        help="choose cells, e.g. model=unet or loss=bce,dice_bce; repeatable",
    )
    add("--seeds", type=int, metavar="N", help="seeds per arm (default: the data's preset)")
    add("--workers", type=int, metavar="N", help="runs at once (default: one per core, 1 on a GPU)")
    add("--device", default="auto", metavar="auto|cpu|cuda", help="where to train")
    add("--out", default="outputs", metavar="DIR", help="where everything is written")
    add(
        "--pretrained",
        metavar="pretext|imagenet|FILE",
        help="encoder weights (default: pretext for shapes, imagenet otherwise)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="change a recipe field, e.g. epochs=5, loss.fn_weight=0.6, tuning=tuned; repeatable",
    )
    return parser.parse_args(argv)


def print_summary(session: Session, console, failed: dict[str, str]) -> None:
    from analysis.records import read_study
    from analysis.tables.tables import summary

    frame = summary(read_study(session.study.path))
    rows = []
    for row in frame.to_dict("records"):

        def number(name: str, digits: int = 3, row: dict = row) -> str:
            return "-" if row[name] != row[name] else f"{row[name]:.{digits}f}"

        rows.append(
            [
                row["arm"],
                row["n"],
                number("test/miou mean"),
                number("test/miou sd"),
                number("dev/miou mean"),
                number("minutes per run mean", 1),
                row["status"],
            ]
        )
    columns = ["arm", "n", "test mIoU mean", "s.d.", "dev mIoU", "minutes", "status"]
    console.print(table(columns, rows, f"study {session.study.name}"))
    floor = session.study.declaration["data"]["constant_floor"]
    console.print(f"floor: predicting {floor['class']} everywhere scores {floor['test_miou']:.3f}")
    for name, reason in failed.items():
        console.print(f"failed: {name}: {reason}", style="red", markup=False)
    out = "" if session.args.out == "outputs" else f" --out {session.args.out}"
    port = "" if session.args.out == "outputs" else f" OUT={session.args.out}"
    console.print(
        f"next: python runs.py --report --study {session.study.name}{out}\n      make ui{port}",
        markup=False,
    )


def page_name(facts: dict) -> str:
    """Of the check page's folder: the data's name and what tells folders of one name apart."""
    return f"{facts['name']}-{digest(facts['path'])[:6]}"


def check(args: argparse.Namespace, console) -> int:
    """Write the page that shows a data set as a study would see it."""
    if args.only or args.study or args.seeds:
        raise ConfigError("--check takes no --only, --study or --seeds: it looks at the data alone")
    from analysis.figures.contact import Sample
    from analysis.report.check import check_lines, write_check

    args.data = args.check
    facts, sheet = look_at_data(args, console)
    page = write_check(
        facts, [Sample(*row) for row in sheet], Path(args.out) / "check" / page_name(facts)
    )
    for line in check_lines(facts):
        console.print(line, markup=False)
    console.print(f"check: {page}", markup=False)
    return 0


def report(args: argparse.Namespace, console) -> int:
    """Write the report of a study that exists."""
    if args.only or args.settings:
        raise ConfigError("--report takes no --only or --set: it shows the whole study")
    from analysis.__main__ import report as make_report

    page, notes = make_report(Path(args.out), study_name(args))
    for note in notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"report: {page}", markup=False)
    return 0


def sync(args: argparse.Namespace, console) -> int:
    """Bring MLflow up to date with a study on disk; 1 when some of it cannot be read."""
    if args.only or args.settings:
        raise ConfigError("--sync takes no --only or --set: it sends the whole study")
    from study.tracking.sender import sync as send

    out = Path(args.out)
    study, uri = load(out / study_name(args)), tracking_uri(out)
    probe(uri)
    with study_lock(study), step(console, f"sending study {study.name}") as progress:
        done = send(study, out, aggregator(study), progress)
    console.print(
        f"sync: {done.n_sent} of {done.n_runs} runs brought up to date in MLflow at {shown(uri)}",
        markup=False,
        soft_wrap=True,
    )
    for problem in done.problems:
        console.print(f"not sent: {problem}", style="red", markup=False, soft_wrap=True)
    return 1 if done.problems else 0


def aggregator(study: Study) -> Callable[[Sequence[str]], dict[str, dict[str, float]]]:
    """What MLflow shows of arms: the analysis, wired into what happens when a seed finishes."""
    from analysis.records import read_study
    from analysis.tables.tables import aggregate_arm

    def aggregate(arms: Sequence[str]) -> dict[str, dict[str, float]]:
        records = read_study(study.path)
        return {arm: aggregate_arm(records, arm) for arm in arms}

    return aggregate


def main(argv: list[str] | None = None) -> int:
    """Run one command; bad input is one line on stderr and exit code 2."""
    args = parse_args(argv)
    with interruptible(last_words(args)):
        return run_command(args)


def last_words(args: argparse.Namespace) -> str:
    return "interrupted" + (f"; continue with: {command(args)}" if args.grid or args.tune else "")


def run_command(args: argparse.Namespace) -> int:
    """One verb; returns the exit code."""
    console = make_console()
    try:
        if args.matrix not in MATRICES:
            raise unknown_name(args.matrix, MATRICES, "--matrix")
        if args.check:
            return check(args, console)
        if args.report:
            return report(args, console)
        if args.sync:
            return sync(args, console)
        return drive_study(args, console)
    except (ValueError, OSError) as error:
        print(f"runs.py: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print(last_words(args), markup=False)
        return EXIT_CODE


def drive_study(args: argparse.Namespace, console) -> int:
    """--plan, --tune and --grid."""
    from study import drive  # not at the top: worker processes import this file

    if not args.plan:
        probe(tracking_uri(Path(args.out)))
    session = open_session(args, MATRICES[args.matrix], console)
    if args.plan:
        return drive.plan(session, console)
    with study_lock(session.study):
        resolve_weights(session)
        if not args.tune:
            add_tuned_cells(session)
            for cell, seed in session.runs():
                session.study.config(cell, seed)  # every chosen run is possible, or nothing starts
        session.study.save()
        if args.tune:
            return drive.tune(session, console)
        outcome = drive.grid(session, console, aggregator(session.study))
        if outcome.interrupted:
            raise KeyboardInterrupt
        print_summary(session, console, outcome.failed)
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
