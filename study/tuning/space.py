"""What is tuned of an arm and where the search begins: the space of its loss, its first points.

Knows nothing of Optuna's database, runs or budgets.
"""

from __future__ import annotations

from collections.abc import Iterable

from optuna.distributions import FloatDistribution

from seglib.losses import loss_spec
from study.config import RunConfig
from study.record import Cell
from study.tuning.options import TuningError

MOST_DIMENSIONS = 5
Space = dict[str, FloatDistribution]
Values = dict[str, float]  # a point of a space
# Published settings, tried beside the defaults (the losses' papers; nnU-Net).
_PAPER = {"loss.fn_weight": 0.7, "loss.exponent": 0.75}
PUBLISHED: dict[str, list[Values]] = {
    "dice_bce": [{"loss.share": 0.5}, {"loss.share": 0.75}],
    "focal_tversky": [_PAPER],
    "focal_tversky_bce": [_PAPER],
}


def search_space(loss: str, has_background: bool) -> Space:
    """What is tuned for a loss: its declared parameters, class weights, learning rate.

    The background's weight only where at most five dimensions are left with it.
    """
    spec = loss_spec(loss)
    space = {
        f"loss.{name}": FloatDistribution(*param.search, log=param.log)
        for name, param in spec.params.items()
        if param.search
    }
    if spec.cross_entropy:
        space["class_weight_exponent"] = FloatDistribution(0.0, 1.0)
        if has_background and len(space) < MOST_DIMENSIONS - 1:
            space["background_multiplier"] = FloatDistribution(0.25, 2.0, log=True)
    space["lr_multiplier"] = FloatDistribution(0.3, 3.0, log=True)
    return space


def point_of(config: RunConfig, names: Iterable[str]) -> Values:
    """The settings of a run as a point of its loss's space."""
    flat = {f"loss.{k}": v for k, v in config.loss_params.items()}
    return {name: float(flat[name] if name in flat else getattr(config, name)) for name in names}


def space_of(cell: Cell, config: RunConfig, has_background: bool) -> tuple[Space, Values]:
    """What is tuned of an arm, and the arm as it is in the study: a point inside that space.

    What the matrix itself sets is what the arm is, not what is tuned; what is switched off by
    --set stays so.
    Raises: TuningError when nothing is left.
    """
    whole = search_space(cell.loss, has_background)
    space = {name: found for name, found in whole.items() if name not in cell.values}
    if not space:
        raise TuningError(
            f"{cell.arm} has nothing to tune: its matrix sets all of it; leave it out with --only"
        )
    default = point_of(config, space)
    for name, value in list(default.items()):
        log = space[name].log
        if log and value <= 0:
            del space[name], default[name]
            continue
        low, high = min(space[name].low, value), max(space[name].high, value)
        space[name] = FloatDistribution(low, high, log=log)
    return space, default


def first_points(loss: str, default: Values) -> list[Values]:
    """What is tried before anything is sampled: the default, then the published settings."""
    points = [default]
    for published in PUBLISHED.get(loss, []):
        point = default | {name: value for name, value in published.items() if name in default}
        if point not in points:
            points.append(point)
    return points
