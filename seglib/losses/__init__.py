"""Segmentation losses: terms, their declared parameters, weighted sums of terms, class weights."""

from seglib.losses.base import Param, Params, Target, Term
from seglib.losses.catalog import (
    LOSSES,
    Loss,
    LossSpec,
    build_loss,
    compound,
    introduced_params,
    loss_spec,
    resolve_params,
)
from seglib.losses.weights import class_weights

__all__ = [
    "LOSSES",
    "Loss",
    "LossSpec",
    "Param",
    "Params",
    "Target",
    "Term",
    "build_loss",
    "class_weights",
    "compound",
    "introduced_params",
    "loss_spec",
    "resolve_params",
]
