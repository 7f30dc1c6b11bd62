"""--plan: each cell with its state, what is excluded and why, the cost of what is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console

from seglib.data.store import open_store
from study.commands.choice import may_match
from study.commands.console import duration, table
from study.commands.session import Session, n_cores
from study.config import RunConfig
from study.execution.footprint import check_memory
from study.execution.forecast import Forecaster, forecast_range, schedule_s


def plan(session: Session, console: Console) -> int:
    """Print the plan; nothing is written."""
    session.add_tuned_cells()
    study = session.study
    rows, missing = [], []
    for cell in session.cells():
        states = []
        for seed in session.seeds():
            config = study.config(cell, seed, **study.stand_in(cell))
            state = study.run_dir(config).state() if study.resolvable(cell) else "new"
            states.append(state)
            missing += [session.place(config)] if state != "finished" else []
        shown = [f"{state} x{states.count(state)}" for state in dict.fromkeys(states)]
        rows.append([cell.arm, ", ".join(shown)])
    title = f"plan of study {study.name}"
    console.print(table(["arm", "runs"], rows, title, width=console.width))
    if n := len(study.cells) - len(rows):
        console.print(f"left out: {n} of {len(study.cells)} arms that --only does not choose")
    _describe(session, console)
    _forecast(session, console, missing)
    return 0


def _describe(session: Session, console: Console) -> None:
    declared = session.study.declaration
    for entry in declared.excluded:
        if not may_match(entry.where, session.request.only):
            continue
        where = ", ".join(f"{name}={value}" for name, value in entry.where.items())
        console.print(f"excluded: {where}: {entry.reason}")
    sizes = ", ".join(f"{split} {n}" for split, n in declared.data.n_images.items())
    n_classes = session.study.n_classes
    console.print(f"data {declared.data.name}: {sizes} images, {n_classes} classes")
    for line in session.length:
        console.print(line)
    for note in declared.data.notes:
        console.print(f"note: {note}")


def _forecast(session: Session, console: Console, missing: Sequence[RunConfig]) -> None:
    if not missing:
        console.print("forecast: no run is missing")
        return
    runs = f"{len(missing)} run{'' if len(missing) == 1 else 's'}"
    store = open_store(session.store_path)
    one, all_of_them = check_memory(missing, store, session.n_workers)
    if one:
        console.print(
            f"memory: up to {one / 1e9:.1f} GB a run, {all_of_them / 1e9:.1f} GB with "
            f"{session.n_workers} at once"
        )
    forecaster, load = Forecaster(store, session.n_workers), load_now()
    costs = [forecaster.cost(config) for config in missing]
    seconds = schedule_s((cost.seconds for cost in costs), session.n_workers)
    megabytes = sum(cost.megabytes for cost in costs)
    console.print(
        f"forecast: {runs}, {time_text(seconds, load)} with {session.n_workers} at once "
        f"(from timed steps), {megabytes / 1e3:.1f} GB on disk"
    )


def load_now() -> float:
    """How busy the machine is, before anything is timed: processes, over the last minute."""
    return os.getloadavg()[0]


def time_text(seconds: float, load: float) -> str:
    """A forecast in words: one time on an idle machine, a range on a busy one."""
    low, high = map(duration, forecast_range(seconds, load, n_cores()))
    return f"about {low}" if low == high else f"{low} to {high} (this machine is busy)"
