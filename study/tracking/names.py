"""What a study's metrics are called in MLflow, which takes few characters in a name."""

from __future__ import annotations

import re
from collections.abc import Sequence


def metric_labels(classes: Sequence[str]) -> dict[str, str]:
    """Class names as MLflow accepts them in a metric, each still different from the others.

    Letters, digits, _ - . space : only, no path of its own (`.`), at most 200 characters.
    """
    labels: dict[str, str] = {}
    for index, name in enumerate(classes):
        label = re.sub(r"[^\w\-. :]", "_", name)[:200]
        while not label.strip(". ") or label in labels.values():
            label = f"{label.strip('. ')}_{index}"
        labels[name] = label
    return labels


class MetricNames:
    """The names of a study's metrics in MLflow."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._labels = metric_labels(classes)

    def of(self, name: str) -> str:
        """`test/iou/<class>`, or with /mean after it, with the class as MLflow accepts it."""
        prefix, iou, label = name.partition("/iou/")
        if not iou:
            return name
        for end in ("", "/mean", "/sd", "/low", "/high"):
            if label.endswith(end) and label.removesuffix(end) in self._labels:
                return f"{prefix}/iou/{self._labels[label.removesuffix(end)]}{end}"
        raise ValueError(f"{name} must end in a class of the study, got {label!r}")
