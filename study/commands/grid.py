"""--grid: run what is missing of the chosen cells, keep MLflow up to date, show what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from seglib.data.store import open_store
from seglib.metrics import listed
from study.commands.budget import budget_lines
from study.commands.console import clock, table
from study.commands.display import Display
from study.commands.hooks import Analysis
from study.commands.session import Session
from study.commands.signals import stop_on_signal
from study.commands.words import command_line
from study.execution.executor import Job, LocalExecutor, Message
from study.execution.footprint import check_memory
from study.execution.panel import write_panel
from study.execution.preflight import check_drift, check_room
from study.record import RunDir, files
from study.record.journal import Died, Failed, Finished
from study.tracking.projection import Projection
from study.tracking.sender import Sender

SUMMARY = ("arm", "n", "test mIoU mean", "s.d.", "dev mIoU", "time", "status")
SPARE = ("dev mIoU", "time", "s.d.")  # on a narrow terminal


def grid(session: Session, console: Console, analysis: Analysis) -> int:
    """Run the chosen runs; 1 when some failed. Raises: KeyboardInterrupt when told to stop."""
    jobs = _missing(session)
    check_drift(f"study {session.study.name}", jobs, "--study NEWNAME for a new one")
    configs = [job.config for job in jobs]
    check_room(session.out, configs, session.study.n_classes, session.n_workers)
    store = open_store(session.store_path)
    check_memory(configs, store, session.n_workers)
    write_panel(store, session.study.path / files.PANEL)
    _announce(session, console, len(jobs))
    work = _Grid(session, console, analysis)
    work.run(jobs)
    if work.executor.interrupted:
        raise KeyboardInterrupt
    print_summary(session, console, analysis, work.failed)
    return 1 if work.failed else 0


def _missing(session: Session) -> list[Job]:
    """The chosen runs that are not finished."""
    jobs = []
    for cell, seed in session.runs():
        config = session.place(session.study.config(cell, seed))
        run_dir = session.study.run_dir(config)
        if run_dir.state() == "finished":
            run_dir.drop_checkpoints()  # a kill may have come between
        else:
            jobs.append(Job(config, cell.arm, run_dir.path, session.commit))
    return jobs


def _announce(session: Session, console: Console, n_jobs: int) -> None:
    declared = session.study.declaration
    console.print(
        f"study {session.study.name}: {n_jobs} of {len(session.runs())} chosen runs to do, "
        f"{session.n_workers} at once on {session.device}, {declared.recipe['precision']}"
    )
    for line in budget_lines(session.study, session.n_seeds):
        console.print(line)
    for note in declared.data.notes:
        console.print(f"note: {note}")


class _Grid:
    """The runs of one call while they are done: what failed, what is tried again."""

    def __init__(self, session: Session, console: Console, analysis: Analysis) -> None:
        self.session, self.console, self.analysis = session, console, analysis
        self.executor = LocalExecutor(session.n_workers)
        self.sender = Sender(Projection(session.study, session.out))
        self.failed: dict[str, str] = {}
        self._tries: Counter[str] = Counter()

    def run(self, jobs: Sequence[Job]) -> None:
        todo = Counter(job.config.network for job in jobs)
        try:
            self.sender.catch_up()
            with (
                Display(self.console, todo, self.session.n_workers) as display,
                stop_on_signal(self.executor.interrupt),
            ):
                for message in self.executor.run(jobs):
                    display.show(message, again=self._take(message))
                    if RunDir(message.job.path).config.exists():  # else the disk was full
                        self.sender.seed(message.job.path)
                    if isinstance(message.event, Finished):
                        self._summarise([message.job.arm])
            if self.executor.disk_full:
                say_disk_full(self.session, self.console)
            if not self.executor.interrupted:
                self._summarise([cell.arm for cell in self.session.cells()])
        finally:
            close_sender(self.sender, self.session, self.console, self.executor.interrupted)

    def _take(self, message: Message) -> bool:
        """Keep account of a run's end; whether it is begun once more."""
        name, event = message.job.name, message.event
        if isinstance(event, Finished):
            self.failed.pop(name, None)
        if not isinstance(event, Failed | Died):
            return False
        self._tries[name] += 1
        n = self._tries[name]
        self.failed[name] = event.error + (f" (tried {n} times)" if n > 1 else "")
        again = n <= self.session.settings.retries and not self.executor.stopping
        if again:
            self.executor.again(message.job)
        return again

    def _summarise(self, arms: Sequence[str]) -> None:
        """Bring the arms' own values in MLflow up to date."""
        try:
            by_arm = self.analysis.aggregate(self.session.study.path, arms)
        except ValueError as error:  # some run directory is damaged: the grid goes on
            text = f"not summarised: {', '.join(arms)}: {error}"
            self.console.print(text, style="yellow")
            return
        for arm, values in by_arm.items():
            self.sender.arm(self.session.study.declaration.cell(arm), values)


def say_disk_full(session: Session, console: Console) -> None:
    console.print(
        "disk full: no more runs were started; make room and run the same "
        f"command again: {session.request.command()}",
        style="red",
    )


def close_sender(sender: Sender, session: Session, console: Console, quickly: bool) -> None:
    """Send what is left; one line when not all of it has arrived."""
    if behind := sender.close(quickly=quickly):
        line = session.request.about("sync", session.study.name)
        console.print(
            f"MLflow is behind ({behind}); send what is missing with: {line}",
            style="yellow",
        )


def print_summary(
    session: Session, console: Console, analysis: Analysis, failed: dict[str, str]
) -> None:
    """A table of the arms, the floor, what failed, what comes next."""

    def number(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) and value == value else "-"

    def a_run(minutes: object) -> str:
        return clock(60 * minutes) if isinstance(minutes, float) and minutes == minutes else "-"

    chosen = {cell.arm for cell in session.cells()}
    rows = [
        [
            row["arm"],
            row["n"],
            number(row["test/miou mean"]),
            number(row["test/miou sd"]),
            number(row["dev/miou mean"]),
            a_run(row["minutes per run mean"]),
            row["status"],
        ]
        for row in analysis.summary(session.study.path)
        if row["arm"] in chosen or row["status"] != "not run"
    ]
    title = f"study {session.study.name}"
    console.print(table(SUMMARY, rows, title, width=console.width, spare=SPARE))
    say_left_out(session, console, len(session.study.cells) - len(rows))
    floor = session.study.declaration.data.constant_floor
    console.print(f"floor: predicting {floor.name} everywhere scores {floor.test_miou:.3f}")
    if zero := _never_right(analysis.aggregate(session.study.path, [str(row[0]) for row in rows])):
        console.print(f"test IoU 0 in every run above: {listed(zero)}", style="yellow")
    for name, reason in failed.items():
        console.print(f"failed: {name}: {reason}", style="red")
    console.print(f"next: {session.request.about('report', session.study.name)}")
    console.print(f"then: {ui_command(session.out)}")


def _never_right(by_arm: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Classes of which no run of these arms has a pixel right."""
    done = [values for values in by_arm.values() if values["n"]]
    return [
        name.removeprefix("test/iou/").removesuffix("/mean")
        for name in (done[0] if done else ())
        if name.startswith("test/iou/")
        and name.endswith("/mean")
        and all(values.get(name) == 0 for values in done)
    ]


def ui_command(out: Path) -> str:
    """How to look at MLflow; make reads $$ as $."""
    place = str(out).replace("$", "$$")
    return command_line(["make", "ui", *([] if place == "outputs" else [f"OUT={place}"])])


def say_left_out(session: Session, console: Console, n: int) -> None:
    """How many arms a table leaves out, of those that --only does not choose."""
    if n:
        total = len(session.study.cells)
        console.print(
            f"left out: {n} of {total} arms that --only does not choose and no run of which exists"
        )
