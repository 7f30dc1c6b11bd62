"""Speed of convergence, score at equal cost."""

import numpy as np
import pytest

from analysis.statistics.curves import convergence, score_at_cost
from tests.analysis.statistics.counts import NAN


def test_convergence_and_cost():
    epochs = np.array([1, 2, 4, 8])
    slow, fast = np.array([0.1, 0.2, 0.3, 0.6]), np.array([0.1, 0.5, NAN, 0.5])
    found = convergence([(epochs, slow), (epochs, fast)])
    assert found.reference == 0.6
    assert found.epochs.tolist() == [[4, 8, 8], [2, 2, np.inf]]
    assert found.area == pytest.approx([(0.15 + 0.5 + 1.8) / 7, (0.3 + 3.0) / 7])
    falls = np.array([0.1, 0.3, NAN, 0.2])  # evaluated after 2, 4 and 16 minutes
    np.testing.assert_allclose(
        score_at_cost(epochs * 2.0, falls, [1, 2, 3, 4, 15, 17]), [NAN, 0.1, 0.2, 0.3, 0.3, 0.3]
    )
    with pytest.raises(ValueError, match="first increasing"):
        score_at_cost([2, 1], [0.1, 0.2], 1.5)
