"""Dev is made of whole groups as near to the wanted number of images as any choice comes."""

import itertools
import time

import numpy as np
import pytest

from seglib.data.build import build_store
from seglib.data.folder import open_folder
from seglib.data.integrity import changes
from seglib.data.splits import draw_dev
from tests.helpers import write_folder


def drawn(sizes, seed=0, share=0.2):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    dev = draw_dev(np.ones((len(groups), 2), int), groups, share=share, seed=seed)
    chosen = {groups[i] for i in dev}
    assert [i for i, group in enumerate(groups) if group in chosen] == dev.tolist()
    return len(dev), chosen


def best(sizes, share):
    """By trying every choice."""
    wanted = max(1, round(share * sum(sizes)))
    sums = {sum(some) for n in range(1, len(sizes)) for some in itertools.combinations(sizes, n)}
    return min(abs(total - wanted) for total in sums), wanted


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_no_choice_of_groups_is_nearer(share):
    rng = np.random.default_rng(0)
    for seed in range(60):
        sizes = rng.integers(1, rng.integers(2, 40), rng.integers(2, 9)).tolist()
        n_dev, _ = drawn(sizes, seed, share)
        off, wanted = best(sizes, share)
        assert abs(n_dev - wanted) == off and 0 < n_dev < sum(sizes), sizes


@pytest.mark.parametrize(
    "sizes, n_dev",
    [
        ((37, 3), {3}),
        ((3, 37), {3}),
        ((1, 1), {1}),
        ((5, 15, 20), {5}),
        ((6, 10, 24), {6, 10}),
        ((8, 8, 8, 8, 8), {8}),
        ((30, 4, 3, 2, 1), {8}),
    ],
)
def test_known_groups(sizes, n_dev):
    found = {drawn(sizes, seed)[0] for seed in range(40)}
    assert found == n_dev


def test_the_seed_alone_chooses_among_equals():
    chosen = [frozenset(drawn((8,) * 5, seed)[1]) for seed in range(40)]
    assert len(set(chosen)) == 5
    assert chosen == [frozenset(drawn((8,) * 5, seed)[1]) for seed in range(40)]


def test_many_groups_take_no_time():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 60, 1500).tolist()
    start = time.process_time()
    assert drawn(sizes)[0] == round(0.2 * sum(sizes))
    assert time.process_time() - start < 20


def test_one_group_is_refused():
    with pytest.raises(ValueError, match=r"at least 2 groups, got \['g0'\]: dev is made of whole"):
        drawn((5,))


def with_groups(root, change=lambda line: line):
    names = sorted(path.stem for path in (root / "JPEGImages").iterdir())
    (root / "groups.txt").write_text("".join(f"{name} g{i // 3}\n" for i, name in enumerate(names)))
    return root


@pytest.mark.parametrize(
    "lists, ruled", [({"train": 9, "val": 3}, True), ({"train": 6, "val": 3, "test": 3}, False)]
)
def test_the_rule_is_part_of_the_data_where_dev_is_drawn_by_it(tmp_path, monkeypatch, lists, ruled):
    root = with_groups(write_folder(tmp_path / "tiny", lists))
    new = build_store(open_folder(root), tmp_path / "new", max_side=None)
    monkeypatch.setattr("seglib.data.build.GROUP_RULE", "")  # as it was before
    old = build_store(open_folder(root), tmp_path / "old", max_side=None)
    assert (old.fingerprint != new.fingerprint) == ruled
    words = "the same files, but dev is drawn from the groups by another rule now"
    assert changes(old, new) == (words if ruled else "")
