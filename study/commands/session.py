"""From the command line's arguments to a checked Session: study, chosen runs, device, workers."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from seglib.data.folder import Folder
from seglib.data.store import Store
from seglib.losses import loss_spec
from study.commands.console import step
from study.config import (
    AXES,
    SEED_RANGES,
    TUNINGS,
    ConfigError,
    RunConfig,
    parse_value,
    unknown_name,
)
from study.execution import preflight
from study.matrix import Matrix
from study.presets import Preset, data_name, open_data
from study.study import Study, StudyError, declare, load, open_or_create, split_settings

TUNE_CHOICES = {
    "objective": ("miou", "rare"),
    "sampler": ("tpe", "gp", "random"),
    "pruner": ("median", "hyperband", "none"),
}


@dataclass(frozen=True)
class TuneOptions:
    """`--set tune.*`: the budget of one arm as epochs or as whole trials, and how it is searched.

    `name` tells tunings of one arm apart; random search is called `random`, it is the control.
    """

    trials: int = 12
    epochs: int | None = None
    objective: str = "miou"  # or rare: mean IoU of the rarest third of the classes
    sampler: str = "tpe"
    pruner: str = "median"
    name: str = ""

    def budget(self, epochs: int) -> int:
        """Epochs that one arm may train, its trials being `epochs` long."""
        return self.epochs or self.trials * epochs


@dataclass
class Session:
    """What a command works on, made from the arguments and checked before anything starts."""

    args: argparse.Namespace
    study: Study
    n_seeds: int
    device: str
    environment: dict[str, object]
    store_path: str = ""
    tuned: bool = False  # --set tuning=tuned
    tune: TuneOptions = TuneOptions()
    retries: int = 1  # times that --grid begins a run again that failed or died
    weights_paths: dict[str, str] = field(default_factory=dict)  # classifier -> file
    commit: str = ""

    @property
    def out(self) -> Path:
        return Path(self.args.out)

    def cells(self) -> list[dict]:
        """The cells that --only chooses."""
        return choose(self.study.cells, self.args.only)

    def default_cells(self) -> list[dict]:
        """As `cells`, before tuned cells exist: without what --only says of tuning."""
        only = [t for t in self.args.only if not (self.tuned and t.startswith("tuning="))]
        return choose(self.study.cells, only)

    def seeds(self) -> list[int]:
        """The seeds that --seeds and --only choose."""
        chosen = only_values(self.args.only).get("seed")
        return [s for s in range(self.n_seeds) if chosen is None or str(s) in chosen]

    def runs(self) -> list[tuple[dict, int]]:
        """The chosen (cell, seed), all arms of a seed before the next seed."""
        return [(cell, seed) for seed in self.seeds() for cell in self.cells()]

    @property
    def n_workers(self) -> int:
        """Runs at once: as asked, else one a core (but no more than runs), or 1 on a GPU."""
        if self.args.workers or self.device != "cpu":
            return self.args.workers or 1
        return n_cores() if self.args.tune else min(n_cores(), len(self.runs()))

    def place(self, config: RunConfig) -> RunConfig:
        """The same run, told where it works."""
        threads = max(1, n_cores() // self.n_workers)
        weights = self.weights_paths.get(config.classifier, "")  # none yet while planning
        return replace(
            config,
            **{
                "device": self.device,
                "threads": threads,
                "store": self.store_path,
                "weights_path": weights,
                **self.environment,
            },
        )


def n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    """`axis=a,b` and `axis=a,other=c` texts as axis -> values; repeated axes add up."""
    found: dict[str, set[str]] = {}
    for text in only:
        name = ""
        for part in text.split(","):
            before, equals, after = part.partition("=")
            name, value = (before, after) if equals else (name, part)
            if not name or not value:
                raise ConfigError(f"--only must look like axis=value,..., got {text!r}")
            found.setdefault(name, set()).add(value)
    return found


def choose(cells: list[dict], only: list[str]) -> list[dict]:
    """The cells that `--only` names; an axis or value that no cell has is an error."""
    known = {*AXES, "network", "arm"} | {name for cell in cells for name in cell["values"]}
    chosen = cells
    for name, wanted in only_values(only).items():
        if name not in known:
            raise unknown_name(name, known, "--only axis")
        if name == "seed":
            continue
        there = {str(cell.get(name, cell["values"].get(name))) for cell in cells}
        if missing := sorted(wanted - there):
            raise ConfigError(
                f"--only {name} must be among {', '.join(sorted(there))}, got {', '.join(missing)}"
            )
        chosen = [c for c in chosen if str(c.get(name, c["values"].get(name))) in wanted]
    if not chosen:
        raise ConfigError(f"--only {' --only '.join(only)} must leave at least one cell, got none")
    return chosen


def study_name(args: argparse.Namespace) -> str:
    """The name given, or `<matrix>-<data>`."""
    device = preflight.resolve_device(args.device)
    name = args.study or f"{args.matrix}-{data_name(args.data, device)}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] in "-.":
        raise ConfigError(f"--study must be letters, digits, - _ and ., got {name!r}")
    return name


def git_commit() -> str:
    """The commit of this checkout, `+` when it has changes; "" outside git."""
    here = Path(__file__).resolve().parents[2]
    try:

        def git(*words: str) -> str:
            return subprocess.run(
                ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()

        changed = "+" if git("status", "--porcelain") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return ""


def retries_setting(args: argparse.Namespace, settings: dict[str, str]) -> int:
    """Take `retries` out of the settings."""
    text = settings.pop("retries", None)
    if text is not None and args.tune:
        raise ConfigError("--set retries belongs to --grid; a failed trial is not tried again")
    if text is not None and not text.isdecimal():
        raise ConfigError(f"retries must be a whole number, 0 or more, got {text!r}")
    return 1 if text is None else int(text)


def tuning_settings(args: argparse.Namespace, settings: dict[str, str]) -> tuple[bool, TuneOptions]:
    """Take `tuning` and `tune.*` out of the settings: whether tuned cells are wanted, and how."""
    tuning = settings.pop("tuning", None)
    given = {name: settings.pop(name) for name in list(settings) if name.startswith("tune.")}
    known = {f"tune.{spec.name}" for spec in fields(TuneOptions)}
    if tuning not in (None, *TUNINGS):
        raise ConfigError(f"tuning must be one of {', '.join(TUNINGS)}, got {tuning!r}")
    if tuning is not None and args.tune:
        raise ConfigError("--set tuning belongs to --grid; --tune tunes the default arms")
    if {"tune.trials", "tune.epochs"} <= set(given):
        raise ConfigError("give tune.trials or tune.epochs, not both: they are one budget")
    options: dict[str, object] = {}
    for name, text in given.items():
        short, value = name.removeprefix("tune."), text
        if name not in known:
            raise unknown_name(name, known, "--set field")
        if not args.tune and name != "tune.name":
            raise ConfigError(f"--set {name} belongs to --tune")
        if short in ("trials", "epochs"):
            if not (text.isdecimal() and int(text) > 0):
                raise ConfigError(f"{name} must be a whole number above 0, got {text!r}")
            value = int(text)
        elif short == "name" and not re.fullmatch(r"[A-Za-z0-9_]{1,40}", text):
            raise ConfigError(f"{name} must be letters, digits and _, got {text!r}")
        elif short in TUNE_CHOICES and text not in TUNE_CHOICES[short]:
            raise ConfigError(
                f"{name} must be one of {', '.join(TUNE_CHOICES[short])}, got {text!r}"
            )
        options[short] = value
    if options.get("sampler") == "random":
        options.setdefault("name", "random")
    return tuning == "tuned", TuneOptions(**options)


def _open_data(
    args: argparse.Namespace, given: dict, loss_params: dict, device: str, console
) -> tuple[Folder, Preset, dict[str, object], Store]:
    """The data set called for, its preset, the whole recipe, the decoded images."""
    with step(console, f"preparing {args.data}") as progress:
        folder, preset = open_data(args.data, Path(args.out), device, progress)
    recipe = preflight.resolve_recipe(preset, given, device)
    preflight.check_background(folder, recipe, loss_params)
    with step(console, f"reading {folder.name}") as progress:
        store = preflight.prepare_store(
            folder,
            Path(args.out),
            recipe["max_side"],
            progress,
            note=partial(console.print, style="yellow", markup=False),
        )
    return folder, preset, recipe, store


def look_at_data(args: argparse.Namespace, console) -> tuple[dict, list]:
    """The facts and the sample images of `--check`; see `preflight.inspect_data`."""
    recipe_text, others, _ = split_settings(pairs_of(args.settings, "--set"))
    if others:
        raise ConfigError(f"--check takes settings of the data only, got {', '.join(others)}")
    given = {name: parse_value(name, text) for name, text in recipe_text.items()}
    device = preflight.resolve_device(args.device)
    folder, _, recipe, store = _open_data(args, given, {}, device, console)
    return preflight.inspect_data(store, folder, recipe)


def _check_only(only: list[str], fresh: Study, tuned: bool, n_seeds: int) -> None:
    """`--only` before the recipe: it must fit the study asked for or, with its tuned cells, the
    one that is stored under its name."""
    stored = load(fresh.path).cells if (fresh.path / "study.json").exists() else []
    choose([*fresh.cells, *stored], [t for t in only if not (tuned and t.startswith("tuning="))])
    if bad := sorted(only_values(only).get("seed", set()) - set(map(str, range(n_seeds)))):
        raise ConfigError(f"--only seed must be below --seeds {n_seeds}, got {', '.join(bad)}")


def open_session(args: argparse.Namespace, matrix: Matrix, console) -> Session:
    """Read the arguments, the data and the study; nothing is written but data caches.

    Raises: ValueError kinds whose message is one line for the user.
    """
    settings = pairs_of(args.settings, "--set")
    tuned, tune = tuning_settings(args, settings)
    tuned = tuned or (matrix.tuned and not args.tune)
    retries = retries_setting(args, settings)
    if settings.get("precision") == "auto":
        del settings["precision"]
    recipe_text, loss_params, environment_text = split_settings(settings)
    recipe_given = {k: parse_value(k, v) for k, v in recipe_text.items()}
    environment = {k: parse_value(k, v) for k, v in environment_text.items()}
    most_seeds = len(SEED_RANGES["final"])
    for name, most in (("seeds", most_seeds), ("workers", 1024)):
        if (value := getattr(args, name)) is not None and not 1 <= value <= most:
            raise ConfigError(f"--{name} must be at least 1 and at most {most}, got {value}")
    path = Path(args.out) / study_name(args)
    device = preflight.resolve_device(args.device)
    folder, preset, recipe, store = _open_data(args, recipe_given, loss_params, device, console)
    fresh = declare(
        path,
        matrix_name=args.matrix,
        matrix=matrix,
        data=preflight.describe_data(store, folder, recipe),
        recipe=recipe,
        loss_params=loss_params,
        pretrained=args.pretrained or preset.pretrained,
        given={"data": args.data, "set": recipe_given | loss_params},
    )
    for name in loss_params:
        losses = {cell["values"]["loss"] for cell in fresh.cells}
        if not any(name.removeprefix("loss.") in loss_spec(loss).params for loss in losses):
            raise ConfigError(f"--set {name}: no loss of matrix {args.matrix} declares it")
    n_seeds = args.seeds or preset.n_seeds
    _check_only(args.only, fresh, tuned, n_seeds)
    study, _ = open_or_create(fresh, given=frozenset(recipe_given))
    session = Session(
        args,
        study,
        n_seeds,
        device,
        environment,
        str(store.path),
        tuned=tuned,
        tune=tune,
        retries=retries,
        commit=git_commit(),
    )
    preflight.check_crops(study.config(c, 0, **study.stand_in(c)) for c in session.default_cells())
    return session


def resolve_weights(session: Session) -> None:
    """Find or download the pretrained weights that the chosen runs need, one file an encoder."""
    study = session.study
    configs = [
        study.config(cell, 0, **study.stand_in(cell))
        for cell in session.default_cells()
        if cell["values"]["init"] == "pretrained"
    ]
    wanted = {(config.model, config.classifier): config for config in configs}
    for (_, classifier), config in wanted.items():
        weights = preflight.prepare_weights(study.declaration["pretrained"], config)
        session.weights_paths[classifier] = str(weights.path)
        study.set_weights(classifier, weights.source, weights.sha256)


def add_tuned_cells(session: Session) -> None:
    """`--set tuning=tuned`: the chosen default cells get a tuned sister in the declaration."""
    if not session.tuned or only_values(session.args.only).get("tuning") == {"default"}:
        return
    from study.tuning.search import tuned_values  # optuna is slow to import

    cells = [c for c in session.default_cells() if c["values"]["tuning"] == "default"]
    if unready := [c["arm"] for c in cells if not session.study.resolvable(c)]:
        raise StudyError(
            f"tuned cells of {', '.join(unready)} are known once --grid or --tune has "
            "prepared the pretrained weights"
        )
    session.study.add_cells(tuned_values(session.out, session.study, cells, session.tune.name))


def command(args: argparse.Namespace, verb: str | None = None, extra: str = "") -> str:
    """The command line that continues this study; `verb` and one more setting for the next step."""
    words = ["python", "runs.py", verb or ("--tune" if args.tune else "--grid")]
    for name, default in (
        ("data", "shapes"),
        ("study", None),
        ("matrix", "default"),
        ("seeds", None),
        ("workers", None),
        ("device", "auto"),
        ("out", "outputs"),
        ("pretrained", None),
    ):
        if (value := getattr(args, name)) != default:
            words += [f"--{name}", str(value)]
    settings = [
        t
        for t in args.settings
        if verb is None or not t.startswith("tune.") or t.startswith("tune.name=")
    ]
    words += [word for text in args.only for word in ("--only", text)]
    words += [word for text in (*settings, *filter(None, [extra])) for word in ("--set", text)]
    return shlex.join(words)


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
        raise StudyError(
            f"study {study.name} is being run by process {who}; wait for it or use another --study"
        ) from None
