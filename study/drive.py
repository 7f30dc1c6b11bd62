"""What the verbs do with a session: plan, grid and tune. Everything slow happens in workers."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seglib.data.store import open_store
from study.config import ConfigError, RunConfig
from study.console import Display, clock, table
from study.executor import Job, LocalExecutor
from study.preflight import check_disk, measure_run, write_panel
from study.rundir import RunDir
from study.session import Session, add_tuned_cells, command, stand_in
from study.tracking import Tracker, tracking_uri

DEFAULT_TRIALS = 12
# Called with an arm's name when one of its runs finished; gives "n", "<metric>/mean", ...
Aggregate = Callable[[str], dict[str, float]]


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


def open_tracker(session: Session) -> Tracker:
    data = session.study.declaration["data"]
    arms = [cell["arm"] for cell in session.study.cells]
    text = f"Comparison on {data['name']}: {len(arms)} arms\n\n- " + "\n- ".join(arms)
    return Tracker(tracking_uri(session.out), session.study.name,
                   session.out / "mlartifacts" / session.study.name, text, data)


def run_tags(session: Session, config: RunConfig, arm: str) -> dict[str, str]:
    return {"study": session.study.name, "arm": arm, "network": config.network,
            "loss": config.loss, "role": config.role, "seed": str(config.seed),
            "commit": session.commit, "weights": config.weights_source or "none",
            "weights_sha256": config.weights[:12]}


@dataclass(frozen=True)
class Outcome:
    """How a grid ended: failed runs with their reasons, and whether it was interrupted."""

    failed: dict[str, str]
    interrupted: bool


def grid(session: Session, console, aggregate: Aggregate) -> Outcome:
    """Run what is missing of the chosen cells and keep MLflow up to date."""
    study = session.study
    jobs, finished = [], []
    for cell, seed in session.runs():
        config = session.place(study.config(cell, seed))
        run_dir = study.run_dir(config)
        target = finished if run_dir.state() == "finished" else jobs
        target.append(Job(config, cell["arm"], run_dir.path, session.commit))
    check_disk(session.out, 250e6 * len(jobs), f"{len(jobs)} runs")
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
        for arm in arms:
            values = aggregate(arm)
            cell = next(c for c in study.cells if c["arm"] == arm)
            tracker.summarise(arm, {"study": study.name, "arm": arm}, cell["values"], values,
                              int(values["n"]))

    for job in finished:
        track(job)
    failed: dict[str, str] = {}
    todo = Counter(job.config.network for job in jobs)
    with Display(console, todo, session.n_workers) as display, stop_on_signal(executor):
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
    return Outcome(failed, executor.interrupted)


def plan(session: Session, console) -> int:
    """Each cell with its state, what is excluded and why, and the cost of what is missing."""
    add_tuned_cells(session)
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
            config = session.place(study.config(cell, seed, **stand_in(study, cell)))
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
    from study.tuning import CellTuning  # optuna is slow to import

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

    by_name = {tuning.name: tuning for tuning in tunings}
    todo: Counter[str] = Counter()
    for tuning in tunings:
        todo[tuning.cell["network"]] += tuning.n_left()
    with Display(console, todo, session.n_workers) as display, \
            stop_on_signal(executor):
        for event in executor.run(jobs()):
            tuning = by_name[event.job.arm.rsplit(" trial ", 1)[0]]
            tuning.take(event, executor)
            display.show(event)
            tracker.update(RunDir(event.job.path),
                           run_tags(session, event.job.config, tuning.cell["arm"]),
                           tuning.name, event.job.arm)
    rows = []
    for tuning in tunings:
        result = tuning.finish()
        if result is None:
            continue
        params = ", ".join(
            f"{k.removeprefix('loss.')} {v:.3g}" for k, v in result["params"].items())
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
        console.print(f"interrupted; continue with: {command(session.args)}", markup=False)
        return 130
    console.print(f"next: {command(session.args, '--grid', 'tuning=tuned')}", markup=False)
    return 0


