"""Small drawn scenes: the classes of the embedded data set and how one is drawn.

Knows nothing of files, of training or of the rest of the library. A class is an outline *and* a
texture; colour says almost nothing, and a test holds it to that: a table from colour to class stays
under IoU 0.2 on every object class.
"""

import colorsys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

VOID = 255
SIDE_PX = (64, 88)
HUE_SD = 0.10  # in turns; the class centres below lie about 0.12 apart


@dataclass(frozen=True)
class _Kind:
    """What one object class looks like and how common it is."""

    name: str
    outline: str
    texture: str
    n_mean: float
    """Mean number per scene (Poisson, at most 3)."""
    radius_px: tuple[float, float]
    """Range of the radius of the circle around the object."""
    contrast: float
    """Difference in HSV value between the two tones."""
    hue: float
    """Centre of a wide hue distribution, in turns: a weak cue, as in a photograph."""


# Commonest first. Common classes share outlines and textures, so that neither alone names one. The
# rare ones are small, so that they are rare in pixels too, but distinct and of high contrast.
_KINDS = (
    _Kind("ball", "disc", "stripes", 1.50, (15, 25), 0.40, 0.00),
    _Kind("tile", "box", "checks", 1.15, (14, 24), 0.40, 0.37),
    _Kind("button", "disc", "dots", 0.85, (11, 19), 0.40, 0.87),
    _Kind("flag", "box", "stripes", 0.65, (12, 20), 0.45, 0.25),
    _Kind("tent", "triangle", "checks", 0.52, (14, 19), 0.50, 0.12),
    _Kind("wheel", "ring", "spokes", 0.28, (11, 15), 0.60, 0.50),
    _Kind("cross", "plus", "bands", 0.22, (12, 15), 0.60, 0.62),
    _Kind("star", "star", "speckles", 0.20, (12, 16), 0.65, 0.75),
)
_N_MEANS = np.array([kind.n_mean for kind in _KINDS])
CLASSES: tuple[str, ...] = ("background", *(kind.name for kind in _KINDS))


def _outline(name: str, u: Array, v: Array, radius: float) -> Array:
    """Signed distance in px to an outline inside the circle of `radius`, negative inside it.

    Exact near edges, too large or small near some corners; enough for a thin contour.
    """
    distance: Array
    if name == "disc":
        distance = np.hypot(u, v) - radius
    elif name == "ring":
        distance = np.abs(np.hypot(u, v) - 0.72 * radius) - 0.28 * radius
    elif name == "box":
        distance = np.maximum(np.abs(u) - 0.8 * radius, np.abs(v) - 0.6 * radius)
    elif name == "bar":
        distance = np.maximum(np.abs(u) - radius, np.abs(v) - 1.5)
    elif name == "triangle":
        distance = np.maximum(np.abs(u) * 0.75**0.5 - 0.5 * v, v) - 0.5 * radius
    elif name == "plus":
        a, b = np.abs(u), np.abs(v)
        distance = np.maximum(np.maximum(a, b) - 0.92 * radius, np.minimum(a, b) - 0.38 * radius)
    elif name == "star":
        angle = np.arctan2(v, u)
        # Fold onto half a point. For radius 1 its edge runs from tip (1, 0) to (0.445, 0.323).
        folded = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
        x, y = np.hypot(u, v) * np.array((np.cos(folded), np.sin(folded)))
        distance = ((x - radius) * 0.323 + y * 0.555) / 0.642
    else:
        assert name == "blob", name
        angle = np.arctan2(v, u)
        lobes = 0.16 * np.sin(3 * angle) + 0.12 * np.sin(2 * angle + 1)
        distance = np.hypot(u, v) - radius * (0.72 + lobes)
    return distance


def _texture(rng: np.random.Generator, name: str, u: Array, v: Array, distance: Array) -> Array:
    """Weight in [0, 1] of an object's second tone; edges about one pixel soft."""
    period_px = rng.uniform(5.0, 7.0)
    weight: Array
    if name == "speckles":
        weight = rng.integers(0, 2, u.shape).astype(float)
    elif name == "spokes":
        weight = np.clip(0.5 + np.hypot(u, v) * np.sin(5 * np.arctan2(v, u)) / 5, 0, 1)
    elif name == "bands":
        weight = np.clip(0.5 + 2 * np.sin(distance * (2 * np.pi / period_px)), 0, 1)
    elif name == "plain":
        weight = np.zeros_like(u)
    else:
        a, b = np.sin(u * (2 * np.pi / period_px)), np.sin(v * (2 * np.pi / period_px))
        wave = {"stripes": 2 * a, "checks": 4 * a * b, "dots": 2 * (a + b) - 1.2}[name]
        weight = np.clip(0.5 + wave, 0, 1)
    return weight


def _tones(rng: np.random.Generator, hue: float, contrast: float) -> Array:
    """Two RGB colours, (2, 3) in [0, 255], alike in hue and `contrast` apart in value."""
    low = rng.uniform(0.12, 0.97 - contrast)
    saturation = rng.uniform(0.2, 0.8, 2)
    hues = hue + rng.normal(0, 0.04, 2)
    tones = zip(hues, saturation, rng.permutation([low, low + contrast]), strict=True)
    return 255 * np.array([colorsys.hsv_to_rgb(h % 1, s, v) for h, s, v in tones])


def _paint(
    rng: np.random.Generator, image: Array, mask: Array, label: int, kind: _Kind, radius: float
) -> None:
    """Draw one object at a random place into `image` and `mask`; label 0 leaves the mask alone."""
    height, width = mask.shape
    tones = _tones(rng, rng.normal(kind.hue, HUE_SD), kind.contrast)
    x0, y0 = rng.uniform(0.05, 0.95, 2) * (width, height)
    turn = rng.uniform(0, 2 * np.pi)
    reach = radius + 2
    left, right = max(0, int(x0 - reach)), min(width, int(x0 + reach) + 1)
    top, bottom = max(0, int(y0 - reach)), min(height, int(y0 + reach) + 1)
    x = np.arange(left, right) - x0
    y = np.arange(top, bottom)[:, None] - y0
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x

    distance = _outline(kind.outline, u, v, radius)
    second = _texture(rng, kind.texture, u, v, distance)[..., None]
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    patch = image[top:bottom, left:right]
    patch += cover * (tones[0] + second * (tones[1] - tones[0]) - patch)
    if label:
        labels = mask[top:bottom, left:right]
        labels[distance < 0.7] = VOID
        labels[distance < -0.7] = label


def _ground(rng: np.random.Generator, height: int, width: int) -> Array:
    """Background, (H, W, 3) float: two tones mixed by smooth noise, then unlabelled distractors."""
    tones = _tones(rng, rng.uniform(), rng.uniform(0.1, 0.35))
    coarse = Image.fromarray(rng.uniform(0, 1, (5, 5)).astype(np.float32))
    mix = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))[..., None]
    image: Array = tones[0] + mix * (tones[1] - tones[0])
    nowhere = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 5)):
        # A class's outline without a texture, a texture without a class's outline, or a line.
        kind = _KINDS[rng.choice(len(_KINDS), p=_N_MEANS / _N_MEANS.sum())]
        distractor, radius_px = (
            (replace(kind, texture="plain"), (8, 18)),
            (replace(kind, outline="blob"), (8, 20)),
            (replace(kind, outline="bar", texture="plain"), (15, 60)),
        )[rng.integers(3)]
        _paint(rng, image, nowhere, 0, distractor, rng.uniform(*radius_px))
    return image


def draw_scene(rng: np.random.Generator) -> tuple[Array, Array]:
    """One scene; height and width are drawn first, each between 64 and 88 px.

    Returns: image (H, W, 3) uint8, and mask (H, W) uint8 of indices into CLASSES with a contour of
        VOID, one to two pixels wide, along the visible part of every object's outline.
    """
    height, width = rng.integers(SIDE_PX[0], SIDE_PX[1] + 1, 2)
    image = _ground(rng, height, width)
    mask = np.zeros((height, width), np.uint8)
    counts = np.minimum(rng.poisson(_N_MEANS), 3)
    objects = [
        (rng.uniform(*kind.radius_px), label)
        for label, (kind, count) in enumerate(zip(_KINDS, counts, strict=True), start=1)
        for _ in range(count)
    ]
    # Larger objects lie behind: anything may be cut, and a small one is seldom lost entirely.
    for radius, label in sorted(objects, reverse=True):
        _paint(rng, image, mask, label, _KINDS[label - 1], radius)

    down, across = rng.uniform(-0.25, 0.25, 2)
    light = 1 + np.linspace(-down, down, height)[:, None] + np.linspace(-across, across, width)
    noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(3, 9)
    return np.clip(image * light[..., None] + noise, 0, 255).astype(np.uint8), mask
