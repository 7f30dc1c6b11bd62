"""Class names in MLflow: accepted there, and still different."""

import pytest

from study.tracking.names import metric_labels


@pytest.mark.parametrize(
    "classes, expected",
    [
        (("a", "b c"), ["a", "b c"]),
        (("a?", "a!", "a_"), ["a_", "a__1", "a__2"]),
        (("a__2", "a?", "a!"), ["a__2", "a_", "a__2_2"]),
        ((".", "..", " "), ["_0", "_1", "_2"]),
        (("z" * 300, "z" * 301), ["z" * 200, "z" * 200 + "_1"]),
        (("Fu\u00dfweg", "\u6c34"), ["Fu\u00dfweg", "\u6c34"]),
    ],
)
def test_metric_labels(classes, expected):
    assert list(metric_labels(classes).values()) == expected
