"""Do the intervals of the analysis cover, and how often do they raise a false alarm?

    OMP_NUM_THREADS=1 python benchmarks/coverage.py [N_STUDIES]      default 2000 a row, 5 minutes

The studies are those of `simulated.py`.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special
from simulated import IMAGE_NOISE, RARE, SEED_NOISE, World, simulate, true_scores

from analysis.statistics.bootstrap import Resampled, replicates, resample
from analysis.statistics.contrasts import contrast, paired_bootstrap
from analysis.statistics.intervals import Interval, adjust, t_interval
from analysis.statistics.seeds import SeedVariance, satterthwaite, seed_variance

N_BOOT = 200


def planned(n_networks: int) -> dict[str, list[np.ndarray]]:
    """The default matrix's families: neighbouring networks under each loss, losses against bce."""
    cell = np.eye(3 * n_networks)
    families = {
        f"network {n + 1} - {n}": [cell[3 * n + 3 + k] - cell[3 * n + k] for k in range(3)]
        for n in range(n_networks - 1)
    }
    families["loss"] = [cell[3 * n + k] - cell[3 * n] for n in range(n_networks) for k in (1, 2)]
    return families


def pooled_for(sample: Resampled, weights: np.ndarray, *, same_seeds: bool) -> SeedVariance:
    networks = np.repeat(np.arange(len(weights) // 3), 3)
    seeds = [range(len(scores)) for scores in sample.observed] if same_seeds else None
    return seed_variance(sample.observed, weights, networks=networks, seeds=seeds)


def covered(interval: Interval, truth: float) -> bool:
    return bool(interval.low <= truth <= interval.high)


def coverage_row(
    world: World, n_seeds: int, n_studies: int, rng: np.random.Generator, truth: np.ndarray
) -> dict[str, dict[str, float]]:
    """Shares of studies whose 95 % interval covers, by kind of contrast and of interval."""
    families = planned(world.n_networks)
    chosen = {"loss": families["loss"][0]}
    if world.n_networks > 1:
        chosen["network"] = families["network 1 - 0"][0]
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in chosen}
    for _ in range(n_studies):
        counts, groups = simulate(world, n_seeds, rng)
        arms = list(counts)
        if world.missing:
            arms[1] = arms[1][:-1]
        state = rng.bit_generator.state
        sample = resample(arms, n_boot=N_BOOT, rng=rng, groups=groups)
        rng.bit_generator.state = state  # the same resamples
        scores = replicates(arms, n_boot=N_BOOT, rng=rng, groups=groups)[..., 0]
        by_arm = np.split(scores, np.cumsum([len(arm) for arm in arms])[:-1], axis=1)
        for kind, w in chosen.items():
            blocks, alone = (
                contrast(sample, w, pooled=pooled_for(sample, w, same_seeds=same))
                for same in (world.same_seeds, False)
            )
            drawn = {a: by_arm[a] for a in np.flatnonzero(w)}
            one_seed = np.quantile(sum(w[a] * drawn[a][:, 0] for a in drawn), (0.025, 0.975))
            means = np.quantile(sum(w[a] * drawn[a].mean(1) for a in drawn), (0.025, 0.975))
            value = w @ truth
            row = {
                "recipe": covered(blocks.miou, value[0]),
                "rare": covered(blocks.per_class.at(RARE), value[1 + RARE]),
                "free": covered(alone.miou, value[0]),
                "images": means[0] <= value[0] <= means[1],
                "one": one_seed[0] <= value[0] <= one_seed[1],
                "half": (blocks.miou.high - blocks.miou.low) / 2,
                "df": blocks.df,
            }
            for name, x in row.items():
                found[kind].setdefault(name, []).append(float(x))
    return {
        kind: {
            name: float(np.median(x) if name in ("half", "df") else np.mean(x))
            for name, x in columns.items()
        }
        for kind, columns in found.items()
    }


def false_alarms(
    world: World,
    n_seeds: int,
    n_studies: int,
    rng: np.random.Generator,
    families: dict[str, Sequence[np.ndarray]],
) -> dict[str, float]:
    """Share of studies of alike arms in which a family of mIoU contrasts claims anything (Holm).

    Also "classes": the family of all classes of the last contrast.
    """
    alarms = dict.fromkeys([*families, "classes"], 0)
    for _ in range(n_studies):
        counts, groups = simulate(world, n_seeds, rng)
        sample = resample(list(counts), n_boot=N_BOOT, rng=rng, groups=groups)
        for name, family in families.items():
            rows = [
                contrast(sample, w, pooled=pooled_for(sample, w, same_seeds=world.same_seeds))
                for w in family
            ]
            alarms[name] += bool((adjust([row.miou for row in rows]).p < 0.05).any())
        alarms["classes"] += bool((adjust(rows[-1].per_class).p < 0.05).any())
    return {name: n / n_studies for name, n in alarms.items()}


def small_df(rng: np.random.Generator, n: int = 100_000) -> list[tuple]:
    """Coverage of the 95 % t interval from two known-normal parts: plain df, and ours."""
    rows = []
    for seed_df in (1, 2, 4, 8):
        for ratio in (0.05, 0.3, 1.0, 4.0):  # image variance / seed variance
            seeds = rng.chisquare(seed_df, n) / seed_df
            images = ratio * rng.chisquare(99, n) / 99
            miss = rng.standard_normal(n) * np.sqrt(1 + ratio)
            full = [np.full(n, float(d)) for d in (seed_df, 99)]
            df = satterthwaite(np.array([seeds, images]), np.array(full))
            plain = np.abs(miss) <= special.stdtrit(df, 0.975) * np.sqrt(seeds + images)
            ours = t_interval(miss, seeds, full[0], images, full[1])
            rows.append((seed_df, ratio, plain.mean(), ((ours.low <= 0) & (ours.high >= 0)).mean()))
    return rows


def bootstrap_s() -> float:
    """Seconds for 10,000 replicates of 1,449 images x 21 classes."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 20_000, (1449, 21)) * (rng.random((1449, 21)) < 0.1)
    tp = (truth * rng.random((2, 1449, 21))).astype(int)
    counts = np.stack([tp, rng.integers(0, 2000, tp.shape), truth - tp], axis=-1)
    began = time.perf_counter()
    paired_bootstrap(*counts, n_boot=10_000, rng=rng)
    return time.perf_counter() - began


def cover(n_studies: int) -> None:
    """Print how often intervals hold the truth."""
    worlds = {"seed noise dominates": SEED_NOISE, "image noise dominates": IMAGE_NOISE}
    cells = [(name, world, s) for name, world in worlds.items() for s in (2, 3, 5)]
    cells += [
        ("seeds share nothing", replace(SEED_NOISE, shared_seed=0.0), 2),
        ("seeds share most", replace(SEED_NOISE, seed=0.1, seed_common=0.05, shared_seed=0.25), 3),
        ("seeds of arms disjoint", replace(SEED_NOISE, same_seeds=False), 3),
        ("shared seed x image", replace(SEED_NOISE, shared_seed_image=0.6), 3),
        ("a seed missing", replace(SEED_NOISE, missing=True), 3),
        ("8 groups", replace(IMAGE_NOISE, n_groups=8), 3),
        ("one loss 3x as noisy", replace(SEED_NOISE, noise=(0.5, 1.5, 0.5)), 3),
    ]
    print(
        f"{'95 % intervals cover, %':24}{'S':>2} {'contrast':9}{'recipe':>7}{'rare class':>11}"
        f"{'seeds free':>11}{'images only':>12}{'one seed':>9}{'half width':>11}{'df':>6}"
    )
    for number, (name, world, n_seeds) in enumerate(cells):
        rng = np.random.default_rng([1, number])
        rows = coverage_row(world, n_seeds, n_studies, rng, true_scores(world, rng))
        for kind, row in rows.items():
            shares = [100 * row[key] for key in ("recipe", "rare", "free", "images", "one")]
            print(
                f"{name:24}{n_seeds:>2} {kind:9}"
                + "".join(f"{x:{w}.1f}" for x, w in zip(shares, (7, 11, 11, 12, 9), strict=True))
                + f"{100 * row['half']:11.2f}{row['df']:6.1f}",
                flush=True,
            )
    print(
        "seeds free: pooled without blocks; images only: bootstrap of the seed means; one seed: "
        "of one run a side;\nhalf width: median, mIoU points\n"
    )


def alarm(n_studies: int) -> None:
    """Print how often arms that are alike are told apart."""
    alike = replace(SEED_NOISE, effect=0.0)
    apart = replace(alike, n_networks=1, same_seeds=False)
    nine = replace(alike, n_networks=3)
    images = replace(IMAGE_NOISE, effect=0.0, n_networks=3)
    pair = {"pair": planned(1)["loss"][:1]}
    rows = [("two arms, disjoint seeds", apart, s, pair) for s in (2, 3, 5)]
    rows += [("default matrix, 9 arms", nine, s, planned(3)) for s in (2, 3, 5)]
    rows += [("the same, image noise dominates", images, 2, planned(3))]
    print(f"{'A/A: families with a false alarm, %':37}{'S':>2}")
    for number, (name, world, n_seeds, families) in enumerate(rows):
        rng = np.random.default_rng([2, number])
        row = false_alarms(world, n_seeds, n_studies, rng, families)
        shares = "  ".join(f"{key} {100 * x:.1f}" for key, x in row.items())
        print(f"{name:37}{n_seeds:>2}  {shares}", flush=True)


def main(n_studies: int) -> None:
    began = time.process_time()
    print(f"paired_bootstrap, 10,000 x 1,449 images x 21 classes: {bootstrap_s():.2f} s")
    print(
        f"{n_studies} studies a row; standard error of 95 %: "
        f"{100 * np.sqrt(0.95 * 0.05 / n_studies):.1f} points. mIoU unless said otherwise."
    )
    cover(n_studies)
    alarm(n_studies)
    print(
        "\n95 % t intervals from seed variance + image variance (99 df), cover %: "
        "Satterthwaite's df, ours"
    )
    for seed_df, ratio, plain, ours in small_df(np.random.default_rng(3)):
        print(
            f"seed df {seed_df}, image/seed variance {ratio:4.2f}: {100 * plain:5.1f}"
            f"{100 * ours:7.1f}"
        )
    print(f"CPU time {time.process_time() - began:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
