"""How well the colours of classes can be told apart, and how their table was made.

    python benchmarks/palette.py          least distances of the table in seglib.drawing
    python benchmarks/palette.py --make   search a table and print it (10 s)

Distances are CIEDE2000 (Sharma et al. 2005), between colours as they are and as people without red
or green cones see them (Machado et al. 2009, severity 1); the least of the three counts.
"""

from __future__ import annotations

import sys

import numpy as np

from seglib import drawing

PREFIXES = (12, 21, 40, 64)
CHROMA = 20  # at least, in CIELAB: colours, not greys
# Of a distance; less for all cones, so that who has them sees larger ones than the least.
WEIGHT = {"normal": 0.7, "protanopia": 1.0, "deuteranopia": 1.0}
# Machado et al. 2009, of linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(rgb: np.ndarray, sight: str = "normal") -> np.ndarray:
    """(..., 3) uint8 sRGB as CIELAB under D65, as seen with these cones."""
    values = np.asarray(rgb, float) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHTS[sight].T, 0, 1)
    xyz = seen @ XYZ.T / XYZ.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def ciede2000(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distance of CIELAB colours (..., 3), broadcast against each other."""
    l1, a1, b1 = np.moveaxis(one, -1, 0)
    l2, a2, b2 = np.moveaxis(other, -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    grey = 1.5 - np.sqrt(mean7 / (mean7 + 25.0**7)) / 2
    c1, c2 = np.hypot(grey * a1, b1), np.hypot(grey * a2, b2)
    h1, h2 = np.arctan2(b1, grey * a1), np.arctan2(b2, grey * a2)
    turn = (h2 - h1 + np.pi) % (2 * np.pi) - np.pi
    turn = np.where(c1 * c2 == 0, 0, turn)
    hue = np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(hue - np.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6))
        - 0.20 * np.cos(4 * hue - np.radians(63))
    )
    s_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    degrees = np.degrees(hue) % 360
    bend = np.radians(60) * np.exp(-(((degrees - 275) / 25) ** 2))
    r_t = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(bend)
    d_l, d_c = (l2 - l1) / s_l, (c2 - c1) / s_c
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / s_h
    found: np.ndarray = np.sqrt(d_l**2 + d_c**2 + d_h**2 + r_t * d_c * d_h)
    return found


def least(colours: np.ndarray, sight: str) -> float:
    """Least distance between any two of (n, 3) uint8 colours."""
    seen = lab(colours, sight)
    apart = ciede2000(seen[:, None], seen[None])
    return float(apart[np.triu_indices(len(colours), 1)].min())


def distances(colours: np.ndarray) -> dict[int, dict[str, float]]:
    """Number of first colours -> sight -> least distance between any two of them."""
    return {n: {sight: least(colours[:n], sight) for sight in SIGHTS} for n in PREFIXES}


def make(fixed: np.ndarray, n_rounds: int = 20) -> np.ndarray:
    """64 colours far from each other and from `fixed`; the first n are far apart for every n.

    Farthest point first, then each of a prefix moved to where it is farthest from the others.
    """
    steps = np.linspace(0, 255, 25).round()
    pool = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    seen = {sight: lab(pool, sight) for sight in SIGHTS}
    light, chroma = seen["normal"][:, 0], np.hypot(*seen["normal"][:, 1:].T)
    inside = (light > 32) & (light < 90) & (chroma > CHROMA)
    pool, seen = pool[inside], {sight: known[inside] for sight, known in seen.items()}

    def far(colour: np.ndarray) -> np.ndarray:
        """(pool,) distance to one colour, the least over the sights by their weights."""
        return np.min(
            [WEIGHT[sight] * ciede2000(seen[sight], lab(colour, sight)) for sight in SIGHTS], 0
        )

    apart = [far(colour) for colour in fixed]
    chosen: list[int] = []
    for n in PREFIXES:
        start = len(chosen)
        while len(chosen) < n:
            chosen.append(int(np.min(apart, 0).argmax()))
            apart.append(far(pool[chosen[-1]]))
        for number in range(n_rounds * (n - start)):
            at = start + number % (n - start)
            others = np.delete(apart, len(fixed) + at, 0)
            chosen[at] = int(others.min(0).argmax())
            apart[len(fixed) + at] = far(pool[chosen[at]])
    return pool[chosen].astype(np.uint8)


def main() -> None:
    table = np.array(drawing.COLOURS, np.uint8)
    if "--make" in sys.argv:
        table = make(np.array([drawing.BACKGROUND, drawing.VOID_COLOUR, (255, 255, 255)], np.uint8))
        print("\n".join(bytes(colour).hex() for colour in table))
    for n, found in distances(table).items():
        print(n, {sight: round(value, 1) for sight, value in found.items()})


if __name__ == "__main__":
    main()
