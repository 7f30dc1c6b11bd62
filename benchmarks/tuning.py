"""What a sampler is worth: regret on a cheap objective, relative to random search's.

    python benchmarks/tuning.py [REPEATS]

In the search space of each loss, a quadratic bowl with its best point drawn anew for each repeat
(inside 0.2 to 0.8 of each range), without noise and with normal noise of s.d. 0.1. Median over the
repeats (20) of the squared distance of the chosen trial from the best point, divided by random
search's.
"""

import math
import sys

import numpy as np
import optuna

from study.tuning.database import make_sampler
from study.tuning.space import search_space


def regret(space: dict, kind: str, seed: int, n_trials: int, noise: float) -> float:
    """Squared distance of the trial that looked best from the best point, in the unit cube."""
    rng = np.random.default_rng(seed)
    best = rng.uniform(0.2, 0.8, len(space))
    study = optuna.create_study(direction="maximize", sampler=make_sampler(kind, seed))
    lost = []
    for _ in range(n_trials):
        trial = study.ask(space)
        at = [unit(d, trial.params[name]) for name, d in space.items()]
        lost.append(float(np.sum((np.array(at) - best) ** 2)))
        study.tell(trial, -lost[-1] + noise * rng.standard_normal())
    return lost[study.best_trial.number]


def unit(distribution, value: float) -> float:
    """A value of a range as 0 to 1."""
    low, high = distribution.low, distribution.high
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"median regret over {repeats} repeats / random search's")
    for loss in ("focal_tversky", "dice_bce", "focal_tversky_bce"):
        space = search_space(loss, has_background=True)
        for n_trials in (12, 20, 40):
            for noise in (0.0, 0.1):
                found = {
                    kind: np.median(
                        [regret(space, kind, seed, n_trials, noise) for seed in range(repeats)]
                    )
                    for kind in ("random", "tpe", "gp")
                }
                shown = "  ".join(
                    f"{kind} {found[kind] / found['random']:.2f}" for kind in ("tpe", "gp")
                )
                print(
                    f"{loss:18} {len(space)} dimensions, {n_trials} trials, noise {noise}: {shown}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
