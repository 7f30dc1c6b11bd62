"""What the verbs do with a session: plan, grid and tune. Everything slow happens in workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seglib.data.store import open_store
from study.commands.console import Display, clock, table
from study.commands.session import Session, add_tuned_cells, command
from study.commands.signals import stop_on_signal
from study.config import ConfigError, RunConfig
from study.execution.executor import Job, LocalExecutor
from study.execution.preflight import check_drift, check_room, measure_run, write_panel
from study.record.rundir import RunDir
from study.tracking.projection import one_line
from study.tracking.sender import Aggregate, Tracking

if TYPE_CHECKING:
    from study.tuning.search import CellTuning


@dataclass(frozen=True)
class Outcome:
    """How a grid ended: failed runs with their reasons, and whether it was interrupted."""

    failed: dict[str, str]
    interrupted: bool


def grid(session: Session, console, aggregate: Aggregate) -> Outcome:
    """Run what is missing of the chosen cells and keep MLflow up to date."""
    study = session.study
    jobs = []
    for cell, seed in session.runs():
        config = session.place(study.config(cell, seed))
        run_dir = study.run_dir(config)
        if run_dir.state() == "finished":
            run_dir.drop_checkpoints()  # a kill may have come between
        else:
            jobs.append(Job(config, cell["arm"], run_dir.path, session.commit))
    check_drift(f"study {study.name}", jobs, "--study NEWNAME for a new one")
    n_classes = len(study.declaration["data"]["classes"])
    check_room(session.out, [job.config for job in jobs], n_classes, session.n_workers)
    write_panel(open_store(Path(session.store_path)), study.path / "panel.npz")
    console.print(
        f"study {study.name}: {len(jobs)} of {len(session.runs())} chosen runs to do, "
        f"{session.n_workers} at once on {session.device}, "
        f"{study.declaration['recipe']['precision']}"
    )
    for note in study.declaration["data"]["notes"]:
        console.print(f"note: {note}", markup=False)
    executor, tracking = LocalExecutor(session.n_workers), Tracking(session)

    def summarise(arms: Sequence[str]) -> None:
        try:
            by_arm = aggregate(arms)
        except ValueError as error:  # some run directory is damaged: the grid goes on
            console.print(
                f"not summarised: {', '.join(arms)}: {error}", style="yellow", markup=False
            )
            return
        for cell in study.cells:
            if cell["arm"] in by_arm:
                tracking.arm(cell, by_arm[cell["arm"]])

    failed: dict[str, str] = {}
    tries: Counter[str] = Counter()
    todo = Counter(job.config.network for job in jobs)
    try:
        tracking.catch_up()
        with Display(console, todo, session.n_workers) as display, stop_on_signal(executor):
            for event in executor.run(jobs):
                name = f"{event.job.arm} seed {event.job.config.seed}"
                if event.kind in ("failed", "died"):
                    tries[name] += 1
                    n = tries[name]
                    failed[name] = event.row["error"] + (f" (tried {n} times)" if n > 1 else "")
                    if n <= session.retries and not executor.stopping:
                        executor.again(event.job)
                        event.row["again"] = True
                elif event.kind == "finished":
                    failed.pop(name, None)
                display.show(event)
                if RunDir(event.job.path).config.exists():  # else the disk was full at its start
                    tracking.seed(event.job.path)
                if event.kind == "finished":
                    summarise([event.job.arm])
        if executor.disk_full:
            console.print(
                "disk full: no more runs were started; make room and run the same "
                f"command again: {command(session.args)}",
                style="red",
                markup=False,
            )
        if not executor.interrupted:
            summarise([cell["arm"] for cell in session.cells()])
    finally:
        tracking.close(console, quickly=executor.interrupted)
    return Outcome(failed, executor.interrupted)


def timed_cost(session: Session) -> Callable[[RunConfig], tuple[float, float]]:
    """A function of a run: its seconds and megabytes, from steps timed once for each model.

    Only a final run is scored on the test images.
    """
    recipe = session.study.declaration["recipe"]
    store = open_store(Path(session.store_path))
    fit, dev = store.development(split_seed=recipe["split_seed"], dev_share=recipe["dev_share"])
    known: dict[str, tuple[float, float]] = {}

    def cost(config: RunConfig) -> tuple[float, float]:
        if config.model not in known:
            bare = replace(config, init="scratch", weights="", weights_source="")
            n_test = len(store.test()) if config.role == "final" else 0
            known[config.model] = measure_run(bare, fit, dev, n_test)
        return known[config.model]

    return cost


def plan(session: Session, console) -> int:
    """Each cell with its state, what is excluded and why, and the cost of what is missing."""
    add_tuned_cells(session)
    study, rows = session.study, []
    cost = timed_cost(session)
    total_s = total_mb = 0.0
    n_missing = 0
    for cell in session.cells():
        states = []
        for seed in session.seeds():
            config = session.place(study.config(cell, seed, **study.stand_in(cell)))
            known = study.resolvable(cell)
            state = study.run_dir(config).state() if known else "new"
            states.append(state)
            if state == "finished":
                continue
            run_s, run_mb = cost(config)
            total_s, total_mb = total_s + run_s, total_mb + run_mb
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
    rounds = -(-n_missing // session.n_workers)  # equal runs fill whole rounds
    forecast_s = total_s / max(1, n_missing) * rounds
    console.print(
        f"forecast: {n_missing} run{'' if n_missing == 1 else 's'}, about {clock(forecast_s)} with "
        f"{session.n_workers} at once (from timed steps), {total_mb / 1e3:.1f} GB on disk"
    )
    return 0


def tune(session: Session, console) -> int:
    """Tune every chosen (network, loss); trials are children of one MLflow parent each."""
    from study.tuning.search import (  # optuna is slow to import
        STORAGE_ERRORS,
        CellTuning,
        TuningError,
    )

    cells = [c for c in session.cells() if c["values"]["tuning"] == "default"]
    if not cells:
        raise ConfigError("--tune tunes default arms; --only must leave at least one, got none")
    tunings: list[CellTuning] = []
    try:
        for cell in cells:
            tunings.append(CellTuning(session.out, session.study, cell, session.tune))
        return _tune(session, console, tunings)
    except STORAGE_ERRORS as error:
        raise TuningError(
            f"Optuna's storage must answer, got: {one_line(error)}; continue with: "
            f"{command(session.args)}"
        ) from None
    finally:
        for tuning in tunings:
            tuning.close()


def _tune(session: Session, console, tunings: Sequence[CellTuning]) -> int:
    from study.tuning.search import TuningError

    begun = [
        (tuning, RunDir(path.parent))
        for tuning in tunings
        for path in sorted(tuning.runs.glob("*/config.json"))
    ]
    check_drift(
        "this tuning",
        [
            Job(RunConfig(**record["config"]), record["arm"], run_dir.path)
            for _, run_dir in begun
            if run_dir.state() == "dead" and (record := run_dir.record())
        ],
        "--set tune.name=NEWNAME for another one",
    )
    configs = [session.place(tuning.config(tuning.default)) for tuning in tunings]
    n_classes = len(session.study.declaration["data"]["classes"])
    check_room(session.out, configs, n_classes, session.n_workers)
    _announce(session, console, tunings, configs)
    executor, tracking = LocalExecutor(session.n_workers), Tracking(session)
    by_name = {tuning.name: tuning for tuning in tunings}

    def work(jobs: Iterable[Job], todo: Counter[str]) -> None:
        with Display(console, todo, session.n_workers) as display, stop_on_signal(executor):
            for event in executor.run(jobs):
                tuning = by_name[event.job.arm.rsplit(" trial ", 1)[0]]
                tuning.take(event, executor)
                display.show(event)
                tracking.trial(event.job.path, tuning)

    def trials() -> Iterator[Job]:
        for tuning in tunings:
            yield from tuning.jobs(session.place, session.commit)

    rows, failed = [], []
    try:
        for tuning, run_dir in begun:
            tracking.trial(run_dir.path, tuning)
        while not executor.stopping and any(tuning.n_left() for tuning in tunings):
            todo: Counter[str] = Counter()
            for tuning in tunings:
                todo[tuning.cell["network"]] += tuning.n_left()
            work(trials(), todo)  # again when the last trials were cut off and queued once more
        for _ in range(2):  # a worker that was killed gets one more chance
            again = [
                job
                for tuning in tunings
                if not executor.stopping
                for job in tuning.rerank_jobs(session.place, session.commit)
            ]
            if again:
                console.print(
                    f"running the best settings again with fresh seeds: {len(again)} runs"
                )
                work(again, Counter(job.config.network for job in again))
        for tuning in tunings:
            if missing := tuning.missing():
                failed += [missing] * (not executor.stopping)
                continue
            try:
                result = tuning.finish()
            except TuningError as error:
                failed.append(str(error))
                continue
            rows.append(_tuned_row(result))
            tuning.figures()
            tracking.tuning(tuning)
        if executor.disk_full:
            failed.append(
                f"disk full: make room and run the same command again: {command(session.args)}"
            )
    finally:
        tracking.close(console, quickly=executor.interrupted)
    title = f"tuning on dev alone: {session.tune.objective}, {session.tune.sampler}"
    if rows:
        console.print(
            table(
                [
                    "arm",
                    "trials",
                    "epochs",
                    "default",
                    "chosen: at selection",
                    "run again",
                    "settings",
                ],
                rows,
                title,
            )
        )
    for line in failed:
        console.print(f"failed: {line}", style="red", markup=False)
    if executor.interrupted:
        raise KeyboardInterrupt
    if not failed:
        console.print(f"next: {command(session.args, '--grid', 'tuning=tuned')}", markup=False)
    return 1 if failed else 0


def _announce(
    session: Session, console, tunings: Sequence[CellTuning], configs: Sequence[RunConfig]
) -> None:
    """What a tuning will do, and a forecast from timed training steps."""
    from study.tuning.search import N_CANDIDATES, N_RERANK_SEEDS

    cost = timed_cost(session)
    n_trials = n_again = 0
    total_s = 0.0
    for tuning, config in zip(tunings, configs, strict=True):
        left = tuning.n_left()
        again = 0 if tuning.result.exists() and not left else N_CANDIDATES * N_RERANK_SEEDS
        n_trials, n_again = n_trials + left, n_again + again
        total_s += (left + again) * cost(config)[0]
    shares = dict.fromkeys(f"{tuning.budget} epochs" for tuning in tunings)
    console.print(
        f"tuning {len(tunings)} arm{'s' * (len(tunings) > 1)}, {' or '.join(shares)} each, by "
        f"{session.tune.sampler} for dev {session.tune.objective}, {session.n_workers} at once on "
        f"{session.device}: at least {n_trials} trials and at most {n_again} re-runs are left, "
        f"about {clock(total_s / session.n_workers)} (from timed steps)"
    )


def _tuned_row(result: dict) -> list[str]:
    params = ", ".join(f"{k.removeprefix('loss.')} {v:.3g}" for k, v in result["params"].items())
    states = ", ".join(f"{n} {state}" for state, n in result["trials"].items())
    if result["dropped"]:
        states += f"; {result['dropped']} of the best dropped, a re-run failed"
    default = result["default_dev"]
    return [
        result["arm"],
        states,
        result["epochs"],
        "-" if default is None else f"{default:.3f}",
        f"{result['dev_selected']:.3f}",
        f"{result['dev_rerank']:.3f}",
        params,
    ]
