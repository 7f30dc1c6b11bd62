"""Faults put into small studies, and what became of them: a table for NOTES.md.

    python -m benchmarks.faults [NAME ...] [--cases FOLDER]

NAME is of kill damage signals disk many many-killed, and of reader links moved leftovers streams
names data (faults from outside); default all. `data --cases FOLDER` runs the scripts of a folder:
each makes a bad data set in the folder given to it and prints the commands to try on it.

Each study is compared with one that nothing disturbed: tables of the report (timing columns
aside), best weights, confusion matrices; and each epoch must be in MLflow once. About 15 minutes.
`tests/study/execution` holds the faults that need no study.
"""

import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import outside, outside_data, outside_folders, outside_names
from benchmarks.fault_study import Evil, Study, flip, reference, truncate, workers_of
from benchmarks.many import many
from seglib.data.shapes import write_shapes

STUDIES = {"reader": outside.reader, "leftovers": outside.leftovers}
COMMANDS = {
    "links": outside_folders.links,
    "moved": outside_folders.moved,
    "streams": outside.streams,
    "names": outside_names.names,
}
NAMES = ("kill", "damage", "signals", "disk", "many", "many-killed", *STUDIES, *COMMANDS, "data")
COLUMNS = ("fault", "how", "times", "lost", "repeated", "outcome")


def kill(study: Study, whole: Study, rng: random.Random) -> tuple:
    """20 kills at random moments, driver and worker in turn; one driver in five while it starts."""
    n_driver = n_worker = n_early = 0
    process = study.start()
    while n_driver + n_worker < 20:
        early = n_driver % 5 == 4 and n_driver == n_worker
        if early:
            time.sleep(rng.uniform(0, 4))
        else:
            study.wait_for_events(process)
            time.sleep(rng.uniform(0, 1.5))
        if process.poll() is not None:
            raise RuntimeError(
                f"the study must outlast 20 kills, got {n_driver + n_worker}; give it more epochs"
            )
        if n_driver <= n_worker:
            process.kill()
            process.communicate()
            process = study.start()
            n_driver, n_early = n_driver + 1, n_early + early
        elif workers := workers_of(process.pid):
            rng.choice(workers).kill()
            n_worker += 1
    process.communicate()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    times = f"{n_driver} driver ({n_early} at its start), {n_worker} worker"
    return (
        "kill -9",
        f"random moments; resumed {resumed} times after an epoch > 0",
        times,
        lost,
        f"{again} epochs",
        outcome,
    )


def damage(study: Study, whole: Study, rng: random.Random) -> tuple:
    """Driver killed, the checkpoints of its runs damaged, continued; twice each way."""
    evil, n = study.out / "evil", 0
    ways = (truncate, flip, lambda path: path.write_bytes(pickle.dumps(Evil(evil))))
    for way in [*ways] * 2:
        process = study.start()
        study.wait_for_events(process)
        time.sleep(rng.uniform(0.3, 1))
        process.kill()
        process.communicate()
        for run in study.runs():
            while run.locked():
                time.sleep(0.05)
            if run.last.exists():
                way(run.last)
                n += 1
    study.finish()
    said = sum(e.event == "note" for run in study.runs() for e in run.journal().events)
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    code = "code was run" if evil.exists() else "no code run"
    return (
        "checkpoint truncated, bit flipped, malicious pickle",
        f"driver killed, every last.pt damaged; {said} said, {resumed} resumed",
        n,
        lost,
        f"{again} epochs",
        f"{outcome}; {code}",
    )


def signals(study: Study, whole: Study, rng: random.Random) -> tuple:
    """Ctrl-C and SIGTERM at random moments from the first on: seconds to the end, exit code."""
    took_s, bad = [], []
    for i in range(8):
        process = study.start()
        if i % 2:
            study.wait_for_events(process)
        time.sleep(rng.uniform(0.2, 3))
        began = time.monotonic()
        process.send_signal((signal.SIGINT, signal.SIGTERM)[i // 2 % 2])
        text, _ = process.communicate()
        took_s.append(time.monotonic() - began)
        if process.returncode != 130 or "continue with: python" not in text or "Trace" in text:
            bad.append(f"exit code {process.returncode}: {text[-300:]}")
    study.finish()
    resumed, again = study.repeated()
    lost, outcome = study.judge(whole)
    said = "exit 130 and the command each time" if not bad else f"BAD: {bad}"
    return (
        "Ctrl-C, SIGTERM",
        f"random moments, imports included; resumed {resumed} times",
        len(took_s),
        lost,
        f"{again} epochs",
        f"at most {max(took_s):.1f} s; {said}; {outcome}",
    )


def disk(study: Study, whole: Study, rng: random.Random) -> tuple:
    """A small tmpfs filled while two runs train; continued after room was made."""
    study.out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", study.out])
    if mounted.returncode:
        return "disk full", "no tmpfs may be mounted here", 0, "-", "-", "not tried"
    try:
        process = study.start()
        study.wait_for_events(process)
        time.sleep(rng.uniform(1, 2))
        filler = study.out / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**12))
            except OSError:
                pass
        text, _ = process.communicate()
        lines = [line for line in text.splitlines() if line.startswith("disk full: no more runs")]
        states = sorted(run.state() for run in study.runs())
        filler.unlink()
        study.finish()
        resumed, again = study.repeated()
        lost, outcome = study.judge(whole)
        return (
            "disk full",
            "tmpfs filled while 2 runs train",
            1,
            lost,
            f"{again} epochs",
            f"exit {process.returncode}, {len(lines)} line, left {', '.join(states)}; with "
            f"room again {resumed} resumed; {outcome}",
        )
    finally:
        subprocess.run(["umount", study.out], check=True)


def main(names: list[str]) -> None:
    cases = None
    if "--cases" in names:
        at = names.index("--cases")
        given = names[at + 1 : at + 2]
        if not given or not Path(given[0]).is_dir():
            sys.exit(f"--cases must be followed by a folder of scripts, got {' '.join(given)}")
        cases = Path(given[0]).resolve()
        names = names[:at] + names[at + 2 :]
    if unknown := set(names) - set(NAMES):
        sys.exit(f"names must be among {', '.join(NAMES)}, got {', '.join(sorted(unknown))}")
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    try:
        data, wholes = root / "drawn", {}
        write_shapes(data, n_train=16, n_val=8, n_test=8)
        for name in names or NAMES:
            rng = random.Random(0)
            if name.startswith("many"):
                row = many(root, rng, 5 if name == "many-killed" else 0)
            elif name == "data":
                row = outside_data.data(root, cases)
            elif name in COMMANDS:
                row = COMMANDS[name](root, data)
            else:
                study = Study(root, name, data)
                if study.epochs not in wholes:
                    wholes[study.epochs] = reference(root, f"{name}-reference", data)
                row = (STUDIES.get(name) or globals()[name])(study, wholes[study.epochs], rng)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1:])
