"""The comparison matrices, as data, and the command line that runs them.

    python runs.py --grid      run the matrix; running it again finishes what is missing
    python runs.py --plan      what that would do, and what it would cost
    python runs.py --tune      Optuna tunes the loss weights of each loss
    python runs.py --report    tables, curves and the report
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from study.config import AXES, ConfigError, RunConfig, parse_value, unknown_name
from study.console import Display, clock, make_console, step, table
from study.declaration import (
    Study,
    StudyError,
    declare,
    load,
    open_or_create,
    split_settings,
)
from study.matrix import Contrast, Exclusion, Matrix

NO_ENCODER = Exclusion(
    {"model": "unet", "init": "pretrained"}, "a plain U-Net has no pretrained encoder"
)
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
        exclude=(NO_ENCODER,),
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
        axes={"model": ("unet",), "init": ("scratch",),
              "loss": ("bce", "dice_bce", "focal_tversky")},
        baseline=BASELINE,
        contrasts=(
            Contrast("loss", {"loss": "dice_bce"}, {"loss": "bce"}),
            Contrast("loss", {"loss": "focal_tversky"}, {"loss": "bce"}),
        ),
    ),
}
DEFAULT_TRIALS = 12


@dataclass
class Session:
    """What a command works on, made from the arguments and checked before anything starts."""

    args: argparse.Namespace
    study: Study
    n_seeds: int
    device: str
    environment: dict[str, object]
    store_path: str = ""
    tune: dict[str, str] = field(default_factory=dict)
    weights_path: str = ""
    n_workers: int = 1
    commit: str = ""

    @property
    def out(self) -> Path:
        return Path(self.args.out)

    def cells(self) -> list[dict]:
        return choose(self.study.cells, self.args.only)

    def seeds(self) -> list[int]:
        chosen = only_values(self.args.only).get("seed")
        return [s for s in range(self.n_seeds) if chosen is None or str(s) in chosen]

    def runs(self) -> list[tuple[dict, int]]:
        """The chosen (cell, seed), all arms of a seed before the next seed."""
        return [(cell, seed) for seed in self.seeds() for cell in self.cells()]

    def place(self, config: RunConfig) -> RunConfig:
        """The same run, told where it works."""
        threads = max(1, n_cores() // self.n_workers)
        weights = self.weights_path if config.weights else ""
        return config.with_environment(**{
            "device": self.device, "threads": threads, "store": self.store_path,
            "weights_path": weights, **self.environment,
        })


def n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="runs.py", description="Train and compare a matrix of segmentation models and losses.",
        epilog=f"Matrices: {', '.join(MATRICES)}. Exit codes: 0 all chosen runs finished, 1 some "
        "run failed, 2 bad input or a refusal, 130 interrupted.",
    )
    verbs = parser.add_mutually_exclusive_group(required=True)
    verbs.add_argument("--grid", action="store_true", help="run the matrix, or what is missing")
    verbs.add_argument("--plan", action="store_true", help="what --grid would do and cost")
    verbs.add_argument("--tune", action="store_true", help="tune the loss weights of each loss")
    verbs.add_argument("--report", action="store_true", help="write the report of a study")
    add = parser.add_argument
    add("--data", default="shapes", metavar="shapes|FOLDER", help="images with masks, VOC layout")
    add("--study", metavar="NAME", help="name of the study (default MATRIX-DATA)")
    add("--matrix", default="default", metavar="NAME", help="a matrix of runs.py")
    add("--only", action="append", default=[], metavar="AXIS=VALUE,...",
        help="choose cells, e.g. model=unet or loss=bce,dice_bce; repeatable")
    add("--seeds", type=int, metavar="N", help="seeds per arm (default: the data's preset)")
    add("--workers", type=int, metavar="N", help="runs at once (default: one per core, 1 on a GPU)")
    add("--device", default="auto", metavar="auto|cpu|cuda", help="where to train")
    add("--out", default="outputs", metavar="DIR", help="where everything is written")
    add("--pretrained", metavar="pretext|imagenet|FILE",
        help="encoder weights (default: pretext for shapes, imagenet otherwise)")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", dest="settings",
        help="change a recipe field, e.g. epochs=5, loss.fn_weight=0.6, tuning=tuned; repeatable")
    return parser.parse_args(argv)


def pairs_of(texts: list[str], flag: str) -> dict[str, str]:
    """`a=b` texts as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise ConfigError(f"{flag} must look like name=value, got {text!r}")
        if name in found:
            raise ConfigError(f"{flag} {name} must be given once, got {found[name]} and {value}")
        found[name] = value
    return found


def only_values(only: list[str]) -> dict[str, set[str]]:
    return {name: set(value.split(",")) for name, value in pairs_of(only, "--only").items()}


def choose(cells: list[dict], only: list[str]) -> list[dict]:
    """The cells that `--only` names; an axis or value that no cell has is an error."""
    known = {*AXES, "network", "arm"} | {name for cell in cells for name in cell["values"]}
    chosen = cells
    for name, wanted in only_values(only).items():
        if name not in known:
            raise unknown_name(name, known, "--only axis")
        if name == "seed":
            if bad := sorted(v for v in wanted if not v.isdecimal()):
                raise ConfigError(f"--only seed must be whole numbers, got {', '.join(bad)}")
            continue
        there = {str(cell.get(name, cell["values"].get(name))) for cell in cells}
        if missing := sorted(wanted - there):
            raise ConfigError(f"--only {name} must be among {', '.join(sorted(there))}, got "
                              f"{', '.join(missing)}")
        chosen = [c for c in chosen if str(c.get(name, c["values"].get(name))) in wanted]
    if not chosen:
        raise ConfigError(f"--only {' --only '.join(only)} must leave at least one cell, got none")
    return chosen


def study_name(args: argparse.Namespace) -> str:
    if args.matrix not in MATRICES:
        raise unknown_name(args.matrix, MATRICES, "--matrix")
    name = args.study or f"{args.matrix}-{Path(args.data).resolve().name}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] in "-.":
        raise ConfigError(f"--study must be letters, digits, - _ and ., got {name!r}")
    return name


def git_commit() -> str:
    """The commit of this checkout, `+` when it has changes; "" outside git."""
    here = Path(__file__).resolve().parent
    try:
        def git(*words: str) -> str:
            return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True,
                                  check=True, timeout=10).stdout.strip()
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def open_session(args: argparse.Namespace, console) -> Session:
    """Read the arguments, the data and the study; nothing is written but data caches.

    Raises: ValueError kinds whose message is one line for the user.
    """
    from study import preflight
    from study.presets import open_data

    settings = pairs_of(args.settings, "--set")
    tune = {k: settings.pop(k) for k in list(settings) if k in ("tuning", "tune.trials")}
    recipe_text, loss_text, environment_text = split_settings(settings)
    recipe_given = {k: parse_value(k, v) for k, v in recipe_text.items() if v != "auto"}
    environment = {k: parse_value(k, v) for k, v in environment_text.items()}
    for name in ("seeds", "workers"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise ConfigError(f"--{name} must be at least 1, got {value}")
    path = Path(args.out) / study_name(args)
    device = preflight.resolve_device(args.device)
    with step(console, "drawing the embedded data set") as progress:
        folder, preset = open_data(args.data, Path(args.out), progress)
    recipe = preflight.resolve_recipe(preset, recipe_given, device)
    with step(console, f"decoding {folder.name}") as progress:
        store = preflight.prepare_store(folder, Path(args.out), recipe["max_side"], progress)
    fresh = declare(
        path, matrix_name=args.matrix, matrix=MATRICES[args.matrix],
        data=preflight.describe_data(store, folder, recipe), recipe=recipe,
        loss_params=loss_text, pretrained=args.pretrained or preset.pretrained,
    )
    unused = [n for n in loss_text if not any(
        n.removeprefix("loss.") in fresh.config(c, 0, **_stand_in(fresh, c)).loss_params
        for c in fresh.cells)]
    if unused:
        raise ConfigError(f"--set {unused[0]}: no loss of matrix {args.matrix} declares it")
    study, _ = open_or_create(fresh, given=frozenset(recipe_given))
    session = Session(args, study, args.seeds or preset.n_seeds, device, environment,
                      store_path=str(store.path), tune=tune, commit=git_commit())
    if tune.get("tuning", "default") not in ("default", "tuned"):
        raise ConfigError(f"tuning must be default or tuned, got {tune['tuning']!r}")
    n_chosen = len(session.runs())
    if not n_chosen:
        raise ConfigError(f"--only seed must be below --seeds {session.n_seeds}")
    session.n_workers = args.workers or (min(n_cores(), n_chosen) if device == "cpu" else 1)
    preflight.check_crops(study.config(c, 0, **_stand_in(study, c)) for c in session.cells())
    return session


def _stand_in(study: Study, cell: dict) -> dict[str, str]:
    """Weights for configurations that are only looked at before the real ones are known."""
    return {} if study.resolvable(cell) else {"weights": "0" * 64, "weights_source": "?"}


def resolve_weights(session: Session, console) -> None:
    """Find, make or download the pretrained weights if a chosen run needs them."""
    from study.preflight import prepare_weights

    study = session.study
    if any(cell["values"]["init"] == "pretrained" for cell in session.cells()):
        source = study.declaration["pretrained"]
        with step(console, f"preparing {source} weights") as progress:
            weights = prepare_weights(source, study.declaration["recipe"]["encoder"], progress)
        session.weights_path = str(weights.path)
        study.set_weights(weights.source, weights.sha256)
    study.save()


def add_tuned_cells(session: Session) -> None:
    """`--set tuning=tuned`: the chosen default cells get a tuned sister in the declaration."""
    if session.tune.get("tuning") == "tuned":
        from study.tuning import tuned_values

        cells = [c for c in session.cells() if c["values"]["tuning"] == "default"]
        values = [tuned_values(session.out, session.study, cell) for cell in cells]
        session.study.add_cells(values)


@contextmanager
def study_lock(study: Study) -> Iterator[None]:
    """One driver a study; a second is refused with one line."""
    study.path.mkdir(parents=True, exist_ok=True)
    owner = study.path / "driver.pid"
    try:
        with FileLock(study.path / "driver.lock", timeout=0):
            owner.write_text(str(os.getpid()))
            yield
    except Timeout:
        who = owner.read_text() if owner.exists() else "?"
        raise StudyError(f"study {study.name} is being run by process {who}; wait for it or "
                         "use another --study") from None


@contextmanager
def stop_on_signal(executor) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops the study in order, the second at once."""
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: object) -> None:
        if executor.interrupted:
            executor.kill()
            os._exit(130)
        executor.interrupt()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_tracker(session: Session):
    from study.tracking import Tracker, tracking_uri

    data = session.study.declaration["data"]
    lines = [f"{cell['arm']}" for cell in session.study.cells]
    text = f"Comparison on {data['name']}: {len(lines)} arms\n\n" + "\n".join(
        f"- {line}" for line in lines)
    return Tracker(tracking_uri(session.out), session.study.name,
                   session.out / "mlartifacts" / session.study.name, text, data)


def run_tags(session: Session, config: RunConfig, arm: str) -> dict[str, str]:
    return {"study": session.study.name, "arm": arm, "network": config.network,
            "loss": config.loss, "role": config.role, "seed": str(config.seed),
            "commit": session.commit, "weights": config.weights_source or "none",
            "weights_sha256": config.weights[:12]}


def grid(session: Session, console) -> int:
    """Run what is missing of the chosen cells; see the module for the exit codes."""
    from analysis.records import read_study
    from analysis.tables import aggregate_arm
    from study.executor import Job, LocalExecutor
    from study.preflight import check_disk, write_panel

    study = session.study
    jobs, finished = [], []
    for cell, seed in session.runs():
        config = session.place(study.config(cell, seed))
        run_dir = study.run_dir(config)
        target = finished if run_dir.state() == "finished" else jobs
        target.append(Job(config, cell["arm"], run_dir.path, session.commit))
    check_disk(session.out, 250e6 * len(jobs), f"{len(jobs)} runs")
    from seglib.data.store import open_store

    write_panel(open_store(Path(session.store_path)), study.path / "panel.npz")
    executor = LocalExecutor(session.n_workers)
    tracker = open_tracker(session)
    console.print(
        f"study {study.name}: {len(jobs)} of {len(jobs) + len(finished)} chosen runs to do, "
        f"{session.n_workers} at once on {session.device}, "
        f"{study.declaration['recipe']['precision']}"
    )

    def track(job: Job) -> None:
        tags = run_tags(session, job.config, job.arm)
        tracker.update(study.run_dir(job.config), tags, job.arm,
                       f"{job.arm} seed {job.config.seed}")

    def summarise(arms: set[str]) -> None:
        records = read_study(study.path)
        for arm in arms:
            values = aggregate_arm(records, arm)
            cell = next(c for c in study.cells if c["arm"] == arm)
            tracker.summarise(arm, {"study": study.name, "arm": arm}, cell["values"], values,
                              int(values["n"]))

    for job in finished:
        track(job)
    failed: dict[str, str] = {}
    with Display(console, len(jobs), session.n_workers) as display, stop_on_signal(executor):
        for event in executor.run(jobs):
            display.show(event)
            track(event.job)
            name = f"{event.job.arm} seed {event.job.config.seed}"
            if event.kind in ("failed", "died"):
                failed[name] = event.row["error"]
            elif event.kind == "finished":
                summarise({event.job.arm})
    summarise({job.arm for job in finished})
    if behind := tracker.close():
        console.print(f"MLflow is behind ({behind}); the next --grid sends what is missing",
                      style="yellow")
    print_summary(session, console, failed)
    if executor.interrupted:
        console.print(f"interrupted; continue with: {command(session.args)}")
        return 130
    return 1 if failed else 0


def print_summary(session: Session, console, failed: dict[str, str]) -> None:
    from analysis.records import read_study
    from analysis.tables import summary

    frame = summary(read_study(session.study.path))
    rows = []
    for row in frame.to_dict("records"):
        def number(name: str, digits: int = 3, row: dict = row) -> str:
            return "-" if row[name] != row[name] else f"{row[name]:.{digits}f}"
        rows.append([
            row["arm"], row["n"], number("test/miou mean"), number("test/miou sd"),
            number("dev/miou mean"), number("minutes per run mean", 1), row["status"],
        ])
    columns = ["arm", "n", "test mIoU mean", "s.d.", "dev mIoU", "minutes", "status"]
    console.print(table(columns, rows, f"study {session.study.name}"))
    floor = session.study.declaration["data"]["constant_floor"]
    console.print(f"floor: predicting {floor['class']} everywhere scores {floor['test_miou']:.3f}")
    for name, reason in failed.items():
        console.print(f"failed: {name}: {reason}", style="red", markup=False)
    out = "" if session.args.out == "outputs" else f" --out {session.args.out}"
    port = "" if session.args.out == "outputs" else f" OUT={session.args.out}"
    console.print(f"next: python runs.py --report --study {session.study.name}{out}   "
                  f"make ui{port}", markup=False)


def command(args: argparse.Namespace) -> str:
    """The command line that continues this study."""
    words = ["python runs.py", "--tune" if args.tune else "--grid"]
    for name, default in (("data", "shapes"), ("study", None), ("matrix", "default"),
                          ("seeds", None), ("workers", None), ("device", "auto"),
                          ("out", "outputs"), ("pretrained", None)):
        if (value := getattr(args, name)) != default:
            words.append(f"--{name} {value}")
    words += [f"--only {text}" for text in args.only] + [f"--set {t}" for t in args.settings]
    return " ".join(words)


def plan(session: Session, console) -> int:
    """Each cell with its state, what is excluded and why, and the cost of what is missing."""
    from seglib.data.store import open_store
    from study.preflight import measure_run, prepare_weights  # noqa: F401

    study, rows = session.study, []
    recipe = study.declaration["recipe"]
    store = open_store(Path(session.store_path))
    fit, dev = store.development(split_seed=recipe["split_seed"], dev_share=recipe["dev_share"])
    cost: dict[str, tuple[float, float]] = {}
    total_s = total_mb = 0.0
    n_missing = 0
    for cell in session.cells():
        states = []
        for seed in session.seeds():
            config = session.place(study.config(cell, seed, **_stand_in(study, cell)))
            known = study.resolvable(cell)
            state = study.run_dir(config).state() if known else "new"
            states.append(state)
            if state == "finished":
                continue
            if config.model not in cost:
                bare = {"init": "scratch", "weights": "", "weights_source": ""}
                cost[config.model] = measure_run(
                    config.with_environment(**bare), fit, dev, len(store.test()))
            total_s, total_mb = total_s + cost[config.model][0], total_mb + cost[config.model][1]
            n_missing += 1
        shown = [f"{s} x{states.count(s)}" for s in dict.fromkeys(states)]
        rows.append([cell["arm"], ", ".join(shown)])
    console.print(table(["arm", "runs"], rows, f"plan of study {study.name}"))
    for entry in study.declaration["excluded"]:
        where = ", ".join(f"{k}={v}" for k, v in entry["where"].items())
        console.print(f"excluded: {where}: {entry['reason']}", markup=False)
    data = study.declaration["data"]
    sizes = ", ".join(f"{k} {v}" for k, v in data["n_images"].items())
    console.print(f"data {data['name']}: {sizes} images, {len(data['classes'])} classes")
    for note in data["notes"]:
        console.print(f"note: {note}", markup=False)
    console.print(
        f"forecast: {n_missing} runs, about {clock(total_s / session.n_workers)} with "
        f"{session.n_workers} at once (from timed steps), {total_mb / 1e3:.1f} GB on disk"
    )
    return 0


def tune(session: Session, console) -> int:
    """Tune every chosen (network, loss); trials are children of one MLflow parent each."""
    from study.executor import LocalExecutor
    from study.tuning import CellTuning

    text = session.tune.get("tune.trials", str(DEFAULT_TRIALS))
    if not text.lstrip("-").isdecimal():
        raise ConfigError(f"tune.trials must be a whole number, got {text!r}")
    cells = [c for c in session.cells() if c["values"]["tuning"] == "default"]
    tunings = [CellTuning(session.out, session.study, cell, int(text)) for cell in cells]
    executor, tracker = LocalExecutor(session.n_workers), open_tracker(session)
    console.print(f"tuning {len(tunings)} arms, {text} trials each")

    def jobs():
        for tuning in tunings:
            yield from tuning.jobs(session.place, session.commit)

    by_name: dict[str, CellTuning] = {tuning.name: tuning for tuning in tunings}
    with Display(console, len(tunings) * int(text), session.n_workers) as display, \
            stop_on_signal(executor):
        for event in executor.run(jobs()):
            tuning = by_name[event.job.arm.rsplit(" trial ", 1)[0]]
            tuning.take(event, executor)
            display.show(event)
            from study.rundir import RunDir

            tracker.update(RunDir(event.job.path),
                           run_tags(session, event.job.config, tuning.cell["arm"]),
                           tuning.name, event.job.arm)
    rows, code = [], 0
    for tuning in tunings:
        result = tuning.finish()
        if result is None:
            continue
        params = ", ".join(f"{k.removeprefix('loss.')} {v:.3g}" for k, v in result["params"].items())
        states = ", ".join(f"{n} {state}" for state, n in result["states"].items())
        default = result["default_dev_miou"]
        rows.append([result["arm"], states, "-" if default is None else f"{default:.3f}",
                     f"{result['dev_miou']:.3f}", params])
        tracker.summarise(tuning.name, {"study": session.study.name, "arm": result["arm"]},
                          {f"best.{k}": v for k, v in result["params"].items()},
                          {"best/dev_miou": result["dev_miou"]}, result["n_trials"])
    behind = tracker.close()
    console.print(table(["arm", "trials", "default dev mIoU", "best dev mIoU", "best settings"],
                        rows, "tuning (dev images only)"))
    if behind:
        console.print(f"MLflow is behind ({behind})", style="yellow")
    if executor.interrupted:
        console.print(f"interrupted; continue with: {command(session.args)}")
        return 130
    console.print("next: python runs.py --grid --set tuning=tuned", markup=False)
    return code


def report(args: argparse.Namespace, console) -> int:
    """Write the report of a study that exists."""
    from analysis.records import read_study
    from analysis.report import write_report

    path = Path(args.out) / study_name(args)
    load(path)
    console.print(f"report: {write_report(read_study(path), path / 'report')}", markup=False)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; bad input is one line on stderr and exit code 2."""
    args = parse_args(argv)
    console = make_console()
    try:
        if args.report:
            return report(args, console)
        if not args.plan:
            from study.tracking import probe, tracking_uri

            probe(tracking_uri(Path(args.out)))
        session = open_session(args, console)
        if args.plan:
            return plan(session, console)
        with study_lock(session.study):
            resolve_weights(session, console)
            if args.tune:
                return tune(session, console)
            add_tuned_cells(session)
            return grid(session, console)
    except (ValueError, OSError) as error:
        print(f"runs.py: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
