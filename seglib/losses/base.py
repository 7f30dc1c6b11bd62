"""What every loss term is made of: declared parameters, and the batch as terms read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from seglib.lazy import F, torch


class Params(dict[str, float | str]):
    """The resolved parameters of a loss, as its terms read them."""

    def number(self, name: str) -> float:
        value = self[name]
        assert isinstance(value, float), f"{name} is not a number"
        return value

    def choice(self, name: str) -> str:
        value = self[name]
        assert isinstance(value, str), f"{name} is not a choice"
        return value


@dataclass(frozen=True, kw_only=True)
class Param:
    """One declared parameter of a loss: its default, what is allowed, what it means.

    `low` and `high` bound what is accepted; `search` is the narrower range worth tuning.
    """

    default: float | str | None
    help: str
    low: float = 0.0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    search: tuple[float, float] | None = None
    log: bool = False
    introduced: float | str | None = None  # the first default, when `default` has changed since

    def check(self, name: str, value: object) -> float | str:
        """Return `value` in its canonical type, or raise ValueError saying what was expected."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{name} must be one of {', '.join(self.choices)}, got {value!r}")
            return str(value)
        try:
            number = float(value) + 0.0  # type: ignore[arg-type]  # -0.0 is 0.0
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name} must be a number, got {value!r}") from None
        if not self.low <= number <= self.high or math.isinf(number):
            raise ValueError(f"{name} must be in [{self.low:g}, {self.high:g}], got {number:g}")
        return number


@dataclass(frozen=True, kw_only=True)
class Term:
    """A loss of its own, or one part of a compound one.

    `function(target, params)` gives a scalar; `formula` and `source` are for the reader.
    """

    name: str
    function: Callable[[Target, Params], torch.Tensor]
    params: Mapping[str, Param]
    formula: str
    source: str

    def having(self, **defaults: float | str) -> Term:
        """The same term with other defaults."""
        changed = {k: replace(self.params[k], default=v) for k, v in defaults.items()}
        return replace(self, params={**self.params, **changed})


@dataclass(frozen=True)
class Target:
    """A batch as the terms read it; what several terms need is computed once.

    logits (B, C, H, W) float32 or float64; labels (B, H, W) int64 with void at 0; valid (B, H, W)
    1, or 0 on void; weights (C,) for the pixel terms, or None.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    valid: torch.Tensor
    weights: torch.Tensor | None

    @cached_property
    def log_probs(self) -> torch.Tensor:
        return F.log_softmax(self.logits, dim=1)

    @cached_property
    def true_log_probs(self) -> torch.Tensor:
        """(B, H, W) log p of each pixel's class, softmax."""
        return self._true(self.log_probs)

    @cached_property
    def true_logits(self) -> torch.Tensor:
        """(B, H, W) logit of each pixel's class."""
        return self._true(self.logits)

    @cached_property
    def softmax(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (B, C, H, W), and that of each pixel's class (B, H, W)."""
        if "log_probs" in vars(self):  # a pixel term has them: cheaper than a second softmax
            return self.log_probs.exp(), self.true_log_probs.exp()
        probs = self.logits.softmax(1)
        return probs, self._true(probs)

    @cached_property
    def sigmoid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """As `softmax`, one-vs-rest."""
        return self.logits.sigmoid(), self.true_logits.sigmoid()

    @cached_property
    def n_valid(self) -> torch.Tensor:
        """Valid pixels, at least 1."""
        return self.valid.sum().clamp(min=1)

    @cached_property
    def n_truth(self) -> torch.Tensor:
        """(B, C) pixels of each class in each image."""
        return self.per_class(torch.ones_like(self.valid))

    def _true(self, values: torch.Tensor) -> torch.Tensor:
        return values.gather(1, self.labels.unsqueeze(1)).squeeze(1)

    def per_class(self, values: torch.Tensor) -> torch.Tensor:
        """(B, H, W) -> (B, C): sums over the valid pixels of each class.

        In float64: one by one in float32, 1e5 values near 1 would lose the distance from 1.
        """
        n_images, n_classes = self.logits.shape[:2]
        first = torch.arange(n_images, device=values.device).view(-1, 1, 1) * n_classes
        sums = values.new_zeros(n_images * n_classes, dtype=torch.float64)
        sums = sums.index_add(
            0, (self.labels + first).flatten(), (values * self.valid).double().flatten()
        )
        return sums.view(n_images, n_classes).to(values)

    def over_valid(self, values: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C): sums over all valid pixels.

        Not as a matrix product: autocast and TF32 would round those.
        """
        return (values * self.valid.unsqueeze(1)).sum((2, 3))
