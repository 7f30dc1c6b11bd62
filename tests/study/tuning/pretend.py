"""A tuning whose runs are pretended: what driver and workers do, without training."""

import itertools
import math

from study.execution.executor import Message
from study.record import RunDir
from study.record.journal import Epoch, Finished, Stopped
from study.tuning.opening import open_tuning
from study.tuning.options import TuneOptions
from tests.helpers import facts, new_study

EPOCHS = 4
# the rarest class is not in dev
DATA = facts(
    ("background", "cat", "dog", "cow"),
    pixel_share={
        "fit": (0.7, 0.2, 0.06, 0.04),
        "dev": (0.7, 0.2, 0.1, 0.0),
        "test": (0.7, 0.2, 0.1, 0.0),
    },
)
FINISHED = Finished(best_epoch=1, duration_s=1.0, peak_memory_mb=1.0, metrics={}, contract={})


def begin(path, loss="dice_bce", **options):
    study = new_study(path / "s", data=DATA, epochs=EPOCHS, warmup_frac=0.0)
    cell = study.declaration.cell(f"unet-scratch-{loss}")
    return open_tuning(path, study, cell, TuneOptions(**options))


def score(config):
    """What a pretended run reaches: best at a share of 0.3 and a doubled learning rate."""
    off = (config.loss_params.get("share", 0.3) - 0.3) ** 2
    off += 0.1 * (math.log(config.lr_multiplier / 2)) ** 2
    return max(0.0, 0.8 - off - 0.1 * config.class_weight_exponent)


class Stop(Exception):
    """The driver is killed here."""


def play(tuning, slots=2, *, value=score, kill_at=None, ends=None, disk_full=False):
    """What workers and driver do, an epoch a turn. `kill_at`: events until the driver dies.

    `ends` maps the number of a job to how it ends (Failed or Died) after its second epoch.
    Returns: run ids in the order in which they were begun.
    """
    begun, under_way, stopped, n_events = [], {}, set(), itertools.count()

    class Executor:
        def stop(self, run_id, reason):
            stopped.add(run_id)

    def tell(job, event):
        if next(n_events) == kill_at:
            raise Stop
        assert job.owner == tuning.place.key
        tuning.take(Message(job, event), Executor())

    jobs = tuning.jobs(lambda config: config, "")
    while True:
        while len(under_way) < slots and (job := next(jobs, None)) is not None:
            run_dir = RunDir(job.path)
            run_dir.create(job.config.record(job.arm))
            begun.append(job.config.run_id)
            under_way[job.config.run_id] = (job, run_dir, len(begun) - 1)
        if not under_way:
            return begun
        for run_id, (job, run_dir, number) in list(under_way.items()):
            epoch = len(run_dir.journal().epochs) + 1
            end = (ends or {}).get(number)
            if run_id in stopped:
                event = Stopped(reason="pruned")
            elif end and epoch > 2:
                event = end(error="boom", disk_full=disk_full)
            elif epoch > job.config.epochs:
                event = FINISHED
            else:
                reached = value(job.config) * epoch / job.config.epochs
                event = Epoch(epoch=epoch, metrics=dev(reached))
            event = run_dir.append(event)
            if not isinstance(event, Epoch):
                del under_way[run_id]
            tell(job, event)


def dev(reached):
    """The metrics of an epoch; undefined where `reached` is."""
    if math.isnan(reached):
        return {"dev/miou": None, "dev/iou/dog": None, "dev/iou/cow": None}
    return {"dev/miou": reached, "dev/iou/dog": reached / 2, "dev/iou/cow": None}


def rerun(tuning):
    """Pretend the re-runs of the candidates."""
    for job in tuning.rerank_jobs(lambda config: config, ""):
        assert job.owner == tuning.place.key
        run_dir = RunDir(job.path)
        run_dir.create(job.config.record(job.arm))
        for epoch in range(1, EPOCHS + 1):
            reached = score(job.config) - 0.01 * (job.config.seed % 2)
            run_dir.append(Epoch(epoch=epoch, metrics=dev(reached)))
        run_dir.append(FINISHED)
    assert not tuning.missing()
    return tuning.finish()
