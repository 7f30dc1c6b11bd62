"""--tune: tune every chosen (network, loss); trials are children of one MLflow parent each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from seglib.data import open_store
from study.commands.console import table
from study.commands.display import Display
from study.commands.grid import close_sender
from study.commands.plan import load_now, time_text
from study.commands.session import Session
from study.commands.signals import stop_on_signal
from study.config import ConfigError, RunConfig
from study.errors import one_line
from study.execution.executor import Job, LocalExecutor
from study.execution.forecast import Forecaster
from study.execution.preflight import check_drift, check_room
from study.record import RunDir, TuningResult, run_dirs
from study.tracking.projection import Projection
from study.tracking.sender import Sender
from study.tuning.database import STORAGE_ERRORS
from study.tuning.figures import draw
from study.tuning.opening import open_tuning
from study.tuning.options import TuningError
from study.tuning.outcome import N_CANDIDATES, N_RERANK_SEEDS
from study.tuning.search import Tuning

SPARE = ("default", "trials", "epochs", "chosen: at selection")  # on a narrow terminal
COLUMNS = ("arm", "trials", "epochs", "default", "chosen: at selection", "run again", "settings")


def tune(session: Session, console: Console) -> int:
    """Tune the chosen arms; 1 when some tuning has no result."""
    cells = [cell for cell in session.cells() if not cell.tuned]
    if not cells:
        raise ConfigError("--tune tunes default arms; --only must leave at least one, got none")
    tunings: list[Tuning] = []
    try:
        for cell in cells:
            options = session.settings.tune
            tunings.append(open_tuning(session.out, session.study, cell, options))
        return _tune(session, console, tunings)
    except STORAGE_ERRORS as error:
        raise TuningError(
            f"Optuna's storage must answer, got: {one_line(error)}; continue with: "
            f"{session.request.command()}"
        ) from None
    finally:
        for tuning in tunings:
            tuning.close()


def _tune(session: Session, console: Console, tunings: Sequence[Tuning]) -> int:
    begun = [(tuning, run) for tuning in tunings for run in run_dirs(tuning.place.runs)]
    _check_half_done([run for _, run in begun])
    configs = [session.place(tuning.config(tuning.default)) for tuning in tunings]
    check_room(session.out, configs, session.study.n_classes, session.n_workers)
    _announce(session, console, tunings, configs)
    work = _Work(session, console, tunings)
    rows: list[list[object]] = []
    failed: list[str] = []
    try:
        for tuning, run in begun:
            work.sender.trial(run.path, tuning.place)
        work.trials()
        work.reruns()
        for tuning in tunings:
            result, reason = work.result(tuning)
            rows += [_row(result)] if result else []
            failed += [reason] if reason else []
        if work.executor.disk_full:
            failed.append(
                f"disk full: make room and run the same command again: {session.request.command()}"
            )
    finally:
        close_sender(work.sender, session, console, work.executor.interrupted)
    options = session.settings.tune
    if rows:
        title = f"tuning on dev alone: {options.objective}, {options.sampler}"
        console.print(table(COLUMNS, rows, title, width=console.width, spare=SPARE))
    for line in failed:
        console.print(f"failed: {line}", style="red")
    if work.executor.interrupted:
        raise KeyboardInterrupt
    if not failed:
        budget = session.study.declaration.budget
        request = session.request.model_copy(update={"budget": budget and budget.given})
        console.print(f"next: {request.command('grid', 'tuning=tuned')}")
    return 1 if failed else 0


def _check_half_done(begun: Sequence[RunDir]) -> None:
    jobs = []
    for run in begun:
        if run.state() == "dead":
            record = run.record()
            jobs.append(Job(RunConfig.of(record.config), record.arm, run.path))
    check_drift("this tuning", jobs, "--set tune.name=NEWNAME for another one")


class _Work:
    """The trials and re-runs of one call while they are done."""

    def __init__(self, session: Session, console: Console, tunings: Sequence[Tuning]) -> None:
        self.session, self.console = session, console
        self.by_key = {tuning.place.key: tuning for tuning in tunings}
        self.executor = LocalExecutor(session.n_workers)
        self.sender = Sender(Projection(session.study, session.out))

    def _do(self, jobs: Iterable[Job], todo: Counter[str]) -> None:
        with (
            Display(self.console, todo, self.session.n_workers) as display,
            stop_on_signal(self.executor.interrupt),
        ):
            for message in self.executor.run(jobs):
                tuning = self.by_key[message.job.owner]
                tuning.take(message, self.executor)
                display.show(message)
                self.sender.trial(message.job.path, tuning.place)

    def trials(self) -> None:
        """All trials, and once more what was cut off and queued again."""
        tunings = self.by_key.values()

        def jobs() -> Iterator[Job]:
            for tuning in tunings:
                yield from tuning.jobs(self.session.place, self.session.commit)

        while not self.executor.stopping and any(tuning.n_left() for tuning in tunings):
            todo: Counter[str] = Counter()
            for tuning in tunings:
                todo[tuning.cell.network] += tuning.n_left()
            self._do(jobs(), todo)

    def reruns(self) -> None:
        """The best settings once more with fresh seeds."""
        for _ in range(2):  # a worker that was killed gets one more chance
            again = [
                job
                for tuning in self.by_key.values()
                if not self.executor.stopping
                for job in tuning.rerank_jobs(self.session.place, self.session.commit)
            ]
            if again:
                self.console.print(
                    f"running the best settings again with fresh seeds: {len(again)} runs"
                )
                self._do(again, Counter(job.config.network for job in again))

    def result(self, tuning: Tuning) -> tuple[TuningResult | None, str]:
        """What a tuning chose; or why there is no result (or "" after being told to stop)."""
        if missing := tuning.missing():
            return None, "" if self.executor.stopping else missing
        try:
            result = tuning.finish()
        except TuningError as error:
            return None, str(error)
        draw(tuning)
        self.sender.tuning(tuning.place)
        return result, ""


def _announce(
    session: Session, console: Console, tunings: Sequence[Tuning], configs: Sequence[RunConfig]
) -> None:
    """What a tuning will do, and a forecast from timed training steps."""
    forecaster, load = Forecaster(open_store(session.store_path), session.n_workers), load_now()
    n_trials = n_again = 0
    total_s = 0.0
    for tuning, config in zip(tunings, configs, strict=True):
        left = tuning.n_left()
        done = tuning.place.result.exists() and not left
        again = 0 if done else N_CANDIDATES * N_RERANK_SEEDS
        n_trials, n_again = n_trials + left, n_again + again
        total_s += (left + again) * forecaster.cost(config).seconds
    shares = dict.fromkeys(f"{tuning.budget} epochs" for tuning in tunings)
    options = session.settings.tune
    console.print(
        f"tuning {len(tunings)} arm{'s' * (len(tunings) > 1)}, {' or '.join(shares)} each, by "
        f"{options.sampler} for dev {options.objective}, {session.n_workers} at once on "
        f"{session.device}: at least {n_trials} trials and at most {n_again} re-runs are left, "
        f"{time_text(total_s / session.n_workers, load)} (from timed steps)"
    )


def _row(result: TuningResult) -> list[object]:
    params = ", ".join(f"{k.removeprefix('loss.')} {v:.3g}" for k, v in result.params.items())
    default = "-" if result.default_dev is None else f"{result.default_dev:.3f}"
    chosen = [f"{result.dev_selected:.3f}", f"{result.dev_rerank:.3f}", params]
    return [result.arm, result.states, result.epochs, default, *chosen]
