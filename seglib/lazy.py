"""torch, imported when it is first used: it takes seconds, and a report or `--help` needs none.

For modules that name it in annotations, which are never evaluated, and use it inside functions.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["F", "torch"]


class _Later:
    """A module by its name; each attribute is looked up in it, so a patch of the module is seen."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
else:
    torch, F = _Later("torch"), _Later("torch.nn.functional")
