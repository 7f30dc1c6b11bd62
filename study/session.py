"""From the command line's arguments to a checked Session: study, chosen runs, device, workers."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from study import preflight
from study.config import AXES, TUNINGS, ConfigError, RunConfig, parse_value, unknown_name
from study.console import step
from study.declaration import Study, StudyError, declare, open_or_create, split_settings
from study.matrix import Matrix
from study.presets import open_data


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
    """The name given, or `<matrix>-<data>`."""
    name = args.study or f"{args.matrix}-{Path(args.data).resolve().name}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] in "-.":
        raise ConfigError(f"--study must be letters, digits, - _ and ., got {name!r}")
    return name


def git_commit() -> str:
    """The commit of this checkout, `+` when it has changes; "" outside git."""
    here = Path(__file__).resolve().parents[1]
    try:
        def git(*words: str) -> str:
            return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True,
                                  check=True, timeout=10).stdout.strip()
        changed = "+" if git("status", "--porcelain") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return ""


def open_session(args: argparse.Namespace, matrix: Matrix, console) -> Session:
    """Read the arguments, the data and the study; nothing is written but data caches.

    Raises: ValueError kinds whose message is one line for the user.
    """
    settings = pairs_of(args.settings, "--set")
    tune = {k: settings.pop(k) for k in list(settings) if k in ("tuning", "tune.trials")}
    if tune.get("tuning", "default") not in TUNINGS:
        raise ConfigError(f"tuning must be one of {', '.join(TUNINGS)}, got {tune['tuning']!r}")
    if "tuning" in tune and args.tune:
        raise ConfigError("--set tuning belongs to --grid; --tune tunes the default arms")
    if "tune.trials" in tune and not args.tune:
        raise ConfigError("--set tune.trials belongs to --tune")
    recipe_text, loss_params, environment_text = split_settings(settings)
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
    preflight.check_background(folder, recipe, loss_params)
    with step(console, f"decoding {folder.name}") as progress:
        store = preflight.prepare_store(folder, Path(args.out), recipe["max_side"], progress)
    fresh = declare(
        path, matrix_name=args.matrix, matrix=matrix,
        data=preflight.describe_data(store, folder, recipe), recipe=recipe,
        loss_params=loss_params, pretrained=args.pretrained or preset.pretrained,
    )
    unused = [n for n in loss_params if not any(
        n.removeprefix("loss.") in fresh.config(c, 0, **stand_in(fresh, c)).loss_params
        for c in fresh.cells)]
    if unused:
        raise ConfigError(f"--set {unused[0]}: no loss of matrix {args.matrix} declares it")
    study, _ = open_or_create(fresh, given=frozenset(recipe_given))
    session = Session(args, study, args.seeds or preset.n_seeds, device, environment,
                      store_path=str(store.path), tune=tune, commit=git_commit())
    n_chosen = len(session.runs())
    if not n_chosen:
        raise ConfigError(f"--only seed must be below --seeds {session.n_seeds}")
    session.n_workers = args.workers or (min(n_cores(), n_chosen) if device == "cpu" else 1)
    preflight.check_crops(study.config(c, 0, **stand_in(study, c)) for c in session.cells())
    return session


def stand_in(study: Study, cell: dict) -> dict[str, str]:
    """Weights for configurations that are only looked at before the real ones are known."""
    return {} if study.resolvable(cell) else {"weights": "0" * 64, "weights_source": "?"}


def resolve_weights(session: Session, console) -> None:
    """Find, make or download the pretrained weights if a chosen run needs them."""
    study = session.study
    if any(cell["values"]["init"] == "pretrained" for cell in session.cells()):
        source = study.declaration["pretrained"]
        with step(console, f"preparing {source} weights") as progress:
            encoder = study.declaration["recipe"]["encoder"]
            weights = preflight.prepare_weights(source, encoder, progress)
        session.weights_path = str(weights.path)
        study.set_weights(weights.source, weights.sha256)
    study.save()


def add_tuned_cells(session: Session) -> None:
    """`--set tuning=tuned`: the chosen default cells get a tuned sister in the declaration."""
    if session.tune.get("tuning") == "tuned":
        from study.tuning import tuned_values

        cells = [c for c in session.cells() if c["values"]["tuning"] == "default"]
        values = [tuned_values(session.out, session.study, cell) for cell in cells]
        session.study.add_cells(values)  # saved by the caller, with the study locked


def command(args: argparse.Namespace, verb: str | None = None, extra: str = "") -> str:
    """The command line that continues this study; `verb` and one more setting for the next step."""
    words = ["python", "runs.py", verb or ("--tune" if args.tune else "--grid")]
    for name, default in (("data", "shapes"), ("study", None), ("matrix", "default"),
                          ("seeds", None), ("workers", None), ("device", "auto"),
                          ("out", "outputs"), ("pretrained", None)):
        if (value := getattr(args, name)) != default:
            words += [f"--{name}", str(value)]
    settings = [t for t in args.settings if verb is None or not t.startswith("tune.")]
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
        raise StudyError(f"study {study.name} is being run by process {who}; wait for it or "
                         "use another --study") from None


