"""Simulated studies with a known answer, for `coverage.py`.

100 images of 5 classes (in 100, 70, 45, 25 and 12 % of
the images), arms of 3 losses a network. The logit of the recall of a class in an image is a sum of
    its base + arm                                  the effect that is to be found
    + image + arm x image                           difficulty: shared by all arms, and not
    + seed (of a network: shared by its arms) + seed (of one arm)
    + seed x image (of one arm, or shared)
all normal but the first line; missed pixels become false positives of other classes. The truth is
the mean score over seeds and images of this size, from 2,500 separate studies of 5 seeds; two arms
alike differ by 0 exactly. Networks have 1, 1.4 and 0.7 times the seed noise given.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

PRESENT = np.array([1.0, 0.7, 0.45, 0.25, 0.12])  # share of images that hold the class
SIZE_PX = np.array([2500, 500, 400, 300, 150])
RECALL = np.array([3.0, 1.6, 1.0, 0.6, 0.2])  # logits
CONFUSED = np.array(
    [  # where the missed pixels of a class go
        [0, 0.5, 0.25, 0.15, 0.1],
        [0.8, 0, 0.1, 0.05, 0.05],
        [0.8, 0.1, 0, 0.05, 0.05],
        [0.8, 0.1, 0.05, 0, 0.05],
        [0.8, 0.1, 0.05, 0.05, 0],
    ]
)
N_CLASSES = len(SIZE_PX)
NETWORK_NOISE = np.array([1.0, 1.4, 0.7])
RARE = 3  # the class held by 25 of 100 images


@dataclass(frozen=True)
class World:
    """Standard deviations on the logit scale, and the shape of a study."""

    seed: float = 0.18  # of one arm, each class on its own
    seed_common: float = 0.1  # of one arm, all classes alike
    shared_seed: float = 0.15  # of a network's arms, each class on its own
    seed_image: float = 0.3
    shared_seed_image: float = 0.0
    arm_image: float = 0.3
    image: float = 0.8
    n_networks: int = 2
    noise: tuple[float, ...] = (1.0, 1.0, 1.0)  # factor on the seed noise of each loss
    same_seeds: bool = True
    missing: bool = False  # the second arm lacks its last seed
    n_groups: int = 0  # video clips that share half of the image effects
    effect: float = 0.35  # arms differ by that much, each class on its own; 0: all alike


SEED_NOISE = World()
IMAGE_NOISE = World(seed=0.03, seed_common=0.02, shared_seed=0.03, arm_image=0.9)


def simulate(world: World, n_seeds: int, rng: np.random.Generator, n_images: int = 100):
    """Counts (A, S, n_images, C, 3) of one study, and its groups (n_images,) or None."""
    draw, n_arms = rng.standard_normal, 3 * world.n_networks
    networks = np.repeat(np.arange(world.n_networks), 3)
    noise = (NETWORK_NOISE[networks] * np.tile(world.noise, world.n_networks))[:, None, None]
    if not world.effect:
        noise = noise / NETWORK_NOISE[networks][:, None, None]  # arms alike in everything
    arms = world.effect * np.random.default_rng(7).standard_normal((n_arms, N_CLASSES))
    shared = draw((world.n_networks, n_seeds, N_CLASSES))[networks]
    if not world.same_seeds:
        shared = draw((n_arms, n_seeds, N_CLASSES))
    seeds = noise * (
        world.seed * draw((n_arms, n_seeds, N_CLASSES))
        + world.seed_common * draw((n_arms, n_seeds, 1))
        + world.shared_seed * shared
    )
    groups = None
    images, by_arm = draw((n_images, N_CLASSES)), draw((n_arms, n_images, N_CLASSES))
    if world.n_groups:
        groups = np.sort(rng.permutation(n_images) % world.n_groups)
        images = (images + draw((world.n_groups, N_CLASSES))[groups]) / np.sqrt(2)
        by_arm = (by_arm + draw((n_arms, world.n_groups, N_CLASSES))[:, groups]) / np.sqrt(2)
    logits = (
        (RECALL + arms)[:, None, None]
        + (world.image * images + world.arm_image * by_arm)[:, None]
        + seeds[:, :, None]
        + world.seed_image * draw((n_arms, n_seeds, n_images, N_CLASSES))
    )
    if world.shared_seed_image:
        logits += world.shared_seed_image * draw((n_seeds, n_images, N_CLASSES))
    sizes = np.rint(SIZE_PX * np.exp(0.5 * draw((n_images, N_CLASSES))))
    truth = sizes * (rng.random(sizes.shape) < PRESENT)
    tp = np.rint(truth * special.expit(logits))
    return np.stack([tp, np.rint((truth - tp) @ CONFUSED), truth - tp], axis=-1), groups


def true_scores(world: World, rng: np.random.Generator, n_studies: int = 2500) -> np.ndarray:
    """Expected scores (A, K) of the arms; written without the code under test."""
    total, n = np.zeros((3 * world.n_networks, 1 + N_CLASSES)), 0
    for _ in range(n_studies):
        tp, fp, fn = np.moveaxis(simulate(world, 5, rng)[0].sum(2), -1, 0)
        if (tp[0, 0] + fn[0, 0] > 0).all():  # a class is missing once in 300,000 studies
            iou = (tp / (tp + fp + fn)).mean(1)
            total, n = total + np.c_[iou.mean(1), iou], n + 1
    return total / n
