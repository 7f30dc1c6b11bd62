"""What the verbs do with a session: plan, grid and tune. Everything slow happens in workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seglib.data.store import open_store
from study.console import Display, clock, table
from study.executor import Job, LocalExecutor
from study.interrupt import stop_on_signal
from study.preflight import check_drift, check_room, measure_run, write_panel
from study.rundir import RunDir
from study.session import Session, add_tuned_cells, command
from study.tracking import Tracker, tracking_uri

if TYPE_CHECKING:
    from study.tuning import CellTuning

# Called with arms when runs of theirs finished; gives each arm's "n", "<metric>/mean", ...
Aggregate = Callable[[Sequence[str]], dict[str, dict[str, float]]]


class Tracking:
    """The tracker of a session: what it is told of a run comes from the run's own directory."""

    def __init__(self, session: Session) -> None:
        study, self._commit = session.study, session.commit
        arms = [cell["arm"] for cell in study.cells]
        data = study.declaration["data"]
        text = f"Comparison on {data['name']}: {len(arms)} arms\n\n- " + "\n- ".join(arms)
        self._study = study.name
        self.tracker = Tracker(
            tracking_uri(session.out), study.name, study.declaration["uuid"],
            session.out / "mlartifacts" / study.name, text, data,
        )

    def _update(self, path: Path, record: dict, *, arm: str, parent: str, child: str) -> None:
        config = record["config"]
        tags = {
            "study": self._study, "arm": arm, "network": record["network"],
            "loss": config["loss"], "role": config["role"], "seed": config["seed"],
            "commit": self._commit, "weights": config["weights_source"] or "none",
            "weights_sha256": config["weights"][:12],
        }
        self.tracker.update(RunDir(path), tags, parent, child)

    def seed(self, path: Path) -> None:
        """Bring one final run up to date, nested under its arm."""
        record = RunDir(path).record()
        arm, seed = record["arm"], record["config"]["seed"]
        self._update(path, record, arm=arm, parent=arm, child=f"{arm} seed {seed}")

    def trial(self, path: Path, tuning: CellTuning) -> None:
        """Bring one trial up to date, nested under its tuning."""
        record = RunDir(path).record()
        self._update(path, record, arm=tuning.cell["arm"], parent=tuning.name, child=record["arm"])


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
    check_drift(study.name, jobs)
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
            console.print(f"not summarised: {', '.join(arms)}: {error}", style="yellow",
                          markup=False)
            return
        cells = {cell["arm"]: cell["values"] for cell in study.cells}
        for arm, values in by_arm.items():
            tracking.tracker.summarise(arm, {"study": study.name, "arm": arm}, cells[arm], values,
                                       int(values["n"]))

    failed: dict[str, str] = {}
    tries: Counter[str] = Counter()
    todo = Counter(job.config.network for job in jobs)
    try:
        for path in (study.path / "runs").glob("*/config.json"):
            tracking.seed(path.parent)  # what an earlier call left behind
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
            console.print("disk full: no more runs were started; make room and run the same "
                          f"command again: {command(session.args)}", style="red", markup=False)
        if not executor.interrupted:
            summarise([cell["arm"] for cell in session.cells()])
            tracking.tracker.study([study.path / "study.json", study.path / "panel.npz"])
    finally:
        if behind := tracking.tracker.close(3.0 if executor.interrupted else 60.0):
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
            config = session.place(study.config(cell, seed, **study.stand_in(cell)))
            known = study.resolvable(cell)
            state = study.run_dir(config).state() if known else "new"
            states.append(state)
            if state == "finished":
                continue
            if config.model not in cost:
                bare = replace(config, init="scratch", weights="", weights_source="")
                cost[config.model] = measure_run(bare, fit, dev, len(store.test()))
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
    rounds = -(-n_missing // session.n_workers)  # equal runs fill whole rounds
    forecast_s = total_s / max(1, n_missing) * rounds
    console.print(
        f"forecast: {n_missing} run{'' if n_missing == 1 else 's'}, about {clock(forecast_s)} with "
        f"{session.n_workers} at once (from timed steps), {total_mb / 1e3:.1f} GB on disk"
    )
    return 0


def tune(session: Session, console) -> int:
    """Tune every chosen (network, loss); trials are children of one MLflow parent each."""
    from study.tuning import CellTuning, TuningError  # optuna is slow to import

    cells = [c for c in session.cells() if c["values"]["tuning"] == "default"]
    tunings = [CellTuning(session.out, session.study, c, session.n_trials) for c in cells]
    console.print(f"tuning {len(tunings)} arms, {session.n_trials} trials each, "
                  f"{session.n_workers} at once on {session.device}")
    executor, tracking = LocalExecutor(session.n_workers), Tracking(session)

    def jobs() -> Iterator[Job]:
        for tuning in tunings:
            yield from tuning.jobs(session.place, session.commit)

    by_name = {tuning.name: tuning for tuning in tunings}
    todo: Counter[str] = Counter()
    for tuning in tunings:
        todo[tuning.cell["network"]] += tuning.n_left()
    rows, failed = [], []
    try:
        for tuning in tunings:
            for path in tuning.runs.glob("*/config.json"):
                tracking.trial(path.parent, tuning)
        with Display(console, todo, session.n_workers) as display, stop_on_signal(executor):
            for event in executor.run(jobs()):
                tuning = by_name[event.job.arm.rsplit(" trial ", 1)[0]]
                tuning.take(event, executor)
                display.show(event)
                tracking.trial(event.job.path, tuning)
        again = [job for tuning in tunings if not executor.interrupted
                 for job in tuning.rerank_jobs(session.place, session.commit)]
        if again:
            console.print(f"running the best settings again with fresh seeds: {len(again)} runs")
            count = Counter(job.config.network for job in again)
            with Display(console, count, session.n_workers) as display, stop_on_signal(executor):
                for event in executor.run(again):
                    display.show(event)
                    tracking.trial(event.job.path, by_name[event.job.arm.rsplit(" trial ", 1)[0]])
        for tuning in tunings:
            try:
                result = tuning.finish()
            except TuningError as error:
                failed.append(str(error))
                continue
            if result is not None:
                rows.append(_tuned_row(result))
                best = {f"best.{k}": v for k, v in result["params"].items()}
                tracking.tracker.summarise(
                    tuning.name, {"study": session.study.name, "arm": result["arm"], **best}, {},
                    {"best/dev_miou": result["dev_miou"],
                     "best/dev_miou_again": result["dev_rerank"],
                     **{f"importance/{k}": v for k, v in result["importances"].items()}},
                    result["n_trials"])
    finally:
        for tuning in tunings:
            tuning.close()
        if behind := tracking.tracker.close():
            console.print(f"MLflow is behind ({behind}); the next --tune sends what is missing",
                          style="yellow")
    console.print(table(["arm", "trials", "default dev mIoU", "chosen: at selection", "run again",
                         "settings"],
                        rows, "tuning (dev images only)"))
    for line in failed:
        console.print(f"failed: {line}", style="red", markup=False)
    if executor.interrupted:
        console.print(f"interrupted; continue with: {command(session.args)}", markup=False)
        return 130
    console.print(f"next: {command(session.args, '--grid', 'tuning=tuned')}", markup=False)
    return 1 if failed else 0


def _tuned_row(result: dict) -> list[str]:
    params = ", ".join(f"{k.removeprefix('loss.')} {v:.3g}" for k, v in result["params"].items())
    states = ", ".join(f"{n} {state}" for state, n in result["states"].items())
    default = result["default_dev_miou"]
    return [result["arm"], states, "-" if default is None else f"{default:.3f}",
            f"{result['dev_miou']:.3f}", f"{result['dev_rerank']:.3f}", params]
