"""Sparse confusions: the numbers of the whole array, bit for bit, in a share of its bytes."""

import numpy as np
import pytest

from seglib.metrics import Confusions, class_counts, confusion, sparse


def drawn(n: int, n_classes: int, share: float, seed: int = 0, largest: int = 70_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, largest, (n, n_classes, n_classes))
    return counts * (rng.random(counts.shape) < share)


@pytest.mark.parametrize("n, n_classes", [(0, 3), (1, 1), (4, 2), (7, 21), (3, 250), (9, 255)])
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_it_says_what_the_whole_array_says(n, n_classes, share, monkeypatch):
    dense = drawn(n, n_classes, share, seed=n)
    found = Confusions.of(dense)
    images = reversed(list(enumerate(dense)))  # they come in any order
    again = Confusions.of_images(images, n, n_classes)
    for one in (found, again):
        assert len(one) == n and np.array_equal(one.dense(), dense)
        assert np.array_equal(one.class_counts(), class_counts(dense))
        assert np.array_equal(one.total(), dense.sum(0))
    monkeypatch.setattr(sparse, "SMALL", 0)
    packed = found.packed("test")
    assert np.array_equal(Confusions.unpacked("test", packed).dense(), dense)
    n_bytes = sum(a.nbytes for name, a in packed.items() if name != "test_shape")
    assert n_bytes <= 4 * n * n_classes**2


def test_large_counts_stay_exact():
    dense = np.zeros((2, 3, 3), np.int64)
    dense[0, 1, 2], dense[1, 1, 2], dense[1, 0, 0] = 2**40, 2**40 + 1, 1
    found = Confusions.of(dense)
    assert found.total()[1, 2] == 2**41 + 1 and found.class_counts()[1, 2, 1] == 2**40 + 1


def test_small_ones_are_stored_whole_as_before_and_read_again():
    dense = drawn(5, 4, 0.3)
    stored = Confusions.of(dense).packed("dev")
    assert list(stored) == ["dev"] and stored["dev"].dtype == np.int32
    assert np.array_equal(stored["dev"], dense)
    assert np.array_equal(Confusions.unpacked("dev", stored).dense(), dense)


def test_many_images_of_many_classes_take_little():
    dense = drawn(300, 250, 12 / 250**2)
    packed = Confusions.of(dense).packed("test")
    assert sum(a.nbytes for a in packed.values()) < dense.nbytes / 1000
    assert {a.dtype for a in packed.values()} == {np.dtype(np.int64), np.dtype(np.uint32)}


def test_images_are_counted_one_by_one():
    rng = np.random.default_rng(0)
    guess, truth = rng.integers(0, 5, (2, 6, 9, 9), dtype=np.uint8)
    truth[:, 0] = 255
    one_by_one = (
        (i, confusion(guess[i : i + 1], truth[i : i + 1], n_classes=5)[0]) for i in range(6)
    )
    found = Confusions.of_images(one_by_one, 6, 5)
    assert np.array_equal(found.dense(), confusion(guess, truth, n_classes=5))


GOOD = {"a_shape": (2, 3, 3), "a_cells": (1, 17), "a_counts": (5, 6)}


@pytest.mark.parametrize(
    "change",
    [
        {"a_cells": (17, 1)},
        {"a_cells": (1, 1)},
        {"a_cells": (1, 18)},
        {"a_cells": (-1, 17)},
        {"a_cells": (1,)},
        {"a_counts": (5, 0)},
        {"a_counts": (5.0, 6.0)},
        {"a_shape": (2, 3, 4)},
        {"a_shape": (2, 3)},
        {"a_counts": None},
        {"a": np.zeros((2, 3, 4), np.int32)},
        {"a": np.zeros((2, 3, 3))},
    ],
)
def test_what_was_not_packed_is_refused(change):
    arrays = {k: np.asarray(v) for k, v in (GOOD | change).items() if v is not None}
    with pytest.raises(ValueError, match="must"):
        Confusions.unpacked("a", arrays)
    whole = {k: np.asarray(v) for k, v in GOOD.items()}
    assert Confusions.unpacked("a", whole).dense()[1, 2, 2] == 6
