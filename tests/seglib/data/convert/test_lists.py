"""Lists: those of the source are kept, else no frame beside another, whole groups first."""

import pytest

from seglib.data import DataError
from seglib.data.convert import convert
from seglib.data.convert.lists import draw, nearest
from tests.seglib.data.convert import made


def numbers(*ranges, name="f_{:03d}"):
    return [name.format(i) for some in ranges for i in some]


def test_one_sequence_is_cut_once():
    test, how = draw(numbers(range(50)), {})
    assert sorted(test) == numbers(range(40, 50)) and "numbered sequence" in how


def test_of_uneven_sequences_each_is_cut_once():
    names = numbers(range(45), name="a{}") + numbers(range(45), name="b{}")
    test, _ = draw(names, {})
    assert test == set(numbers(range(36, 45), name="a{}") + numbers(range(36, 45), name="b{}"))


def test_numbers_are_not_read_as_text():
    assert draw([str(i) for i in range(10)], {})[0] == {"8", "9"}


def test_whole_sequences_where_there_are_several():
    names = [f"{video}_{i}" for video in "abcdefghij" for i in range(7)]
    test, how = draw(names, {})
    assert {name[0] for name in test} == {n[0] for n in names if n in test}
    assert len(test) == 14 and "2 of 10 numbered sequences, whole" in how
    assert all(len([n for n in test if n[0] == video]) == 7 for video in {n[0] for n in test})


def test_names_alone_decide():
    names = [f"{c}{d}" for c in "abcdefgh" for d in "qrstuvwxyz"]
    test, how = draw(names, {})
    assert len(test) == 16 and test == draw(names[::-1], {})[0]
    assert len({name[0] for name in test}) > 3 and "drawn by the names" in how


@pytest.mark.parametrize(
    "sizes, wanted, total",
    [
        ({"a": 37, "b": 3}, 8, 3),
        ({"a": 10, "b": 10, "c": 10, "d": 10, "e": 10}, 10, 10),
        ({"a": 50, "b": 50}, 20, 50),
        ({"a": 9, "b": 4, "c": 7, "d": 60}, 16, 16),
        ({"a": 97, "b": 5, "c": 6}, 21.6, 11),
        ({"a": 1, "b": 99}, 20, 1),
        ({f"g{i}": 3 for i in range(100)}, 60, 60),
    ],
)
def test_nearest_whole_groups(sizes, wanted, total):
    chosen = nearest(sizes, wanted)
    assert sum(sizes[name] for name in chosen) == total and len(set(chosen)) == len(chosen)


def test_groups_of_a_pattern_stay_whole(tmp_path):
    source = made.pairs(tmp_path / "s", n=10, image="images/a_{i}.jpg", mask="masks/a_{i}.png")
    made.pairs(source, n=3, image="images/b_{i}.jpg", mask="masks/b_{i}.png")
    done = convert(source, tmp_path / "new", groups="^([^_]+)_")
    lists = made.listed(tmp_path / "new")
    assert lists["test"] == ["b_0", "b_1", "b_2"] and len(lists["train"]) == 10
    assert "a_4 a\n" in (tmp_path / "new/groups.txt").read_text()
    assert any("1 of 2 groups, whole" in line for line in done.lines)


def test_groups_of_a_file(tmp_path):
    source = made.pairs(tmp_path / "s")
    groups = tmp_path / "g.txt"
    groups.write_text("".join(f"{i:03d} {'late' if i > 6 else 'early'}\n" for i in range(10)))
    done = convert(source, tmp_path / "new", groups=str(groups))
    assert made.listed(tmp_path / "new")["test"] == ["007", "008", "009"]
    assert (tmp_path / "new/groups.txt").read_text() == groups.read_text()
    assert not any("as near" in line for line in done.lines)


@pytest.mark.parametrize(
    "groups, message",
    [
        ("nowhere.txt", "'nowhere.txt' is no file and as a pattern does not match 10 of 10 names"),
        ("^00[0-4]", "does not match 5 of 10 names: 005, 006, 007 and 2 more"),
        ("(", "a regular expression, got '.': no such file, and missing"),
        ("^0", "--groups must give at least 2 groups, got 0"),
        ("x*", "must match a group's name, got nothing in '000'"),
    ],
)
def test_bad_groups(tmp_path, groups, message):
    with pytest.raises(DataError, match=message):
        convert(made.pairs(tmp_path / "s"), tmp_path / "new", groups=groups)


@pytest.mark.parametrize(
    "places",
    [
        ("{s}/images/{{i:03d}}.jpg", "{s}/masks/{{i:03d}}.png"),
        ("images/{s}/{{i:03d}}.jpg", "annotations/{s}/{{i:03d}}.png"),
        ("{s}/{{i:03d}}.jpg", "{s}annot/{{i:03d}}.png"),
        ("{s}/{{i:03d}}.jpg", "{s}_labels/{{i:03d}}_L.png"),
        ("{s}/{{i:03d}}.jpg", "{s}/{{i:03d}}_mask.png"),
        ("images/{s}ing/x/{{i:03d}}.jpg", "masks/{s}ing/x/{{i:03d}}.png"),
    ],
)
def test_split_folders_are_kept(tmp_path, places):
    """The same names in each: they get the split's name before them."""
    source = tmp_path / "s"
    for split, n in (("train", 5), ("test", 3)):
        image, mask = (p.format(s=split) for p in places)
        made.pairs(source, n=n, image=image, mask=mask)
    convert(source, tmp_path / "new")
    lists = made.listed(tmp_path / "new")
    assert {split: len(names) for split, names in lists.items()} == {"train": 5, "test": 3}
    assert all(name.startswith(split) for split, names in lists.items() for name in names)


def test_images_in_no_split_are_not_dropped(tmp_path):
    source = made.pairs(tmp_path / "s", image="images/train/{i}.png", mask="masks/train/{i}.png")
    made.pairs(source, n=3, image="images/{i}.png", mask="masks/{i}.png")
    with pytest.raises(DataError, match="3 of 13 in no split's folder: 0, 1, 2; move them"):
        convert(source, tmp_path / "new")


def test_lists_of_the_source_are_kept(tmp_path):
    lists = {"train": range(4), "val": range(4, 6), "test": range(6, 9), "trainval": range(6)}
    files = {"classes.txt": "background\nsquare\nstripe\n"}
    done = convert(made.voc(tmp_path / "s", lists=lists, files=files), tmp_path / "new")
    found = made.listed(tmp_path / "new")
    assert found == {k: [f"{i:03d}" for i in v] for k, v in lists.items() if k != "trainval"}
    assert "left out: 1 images that no list names" in done.lines


def test_a_list_of_the_validation_alone_leaves_the_rest_to_train(tmp_path):
    source = made.pairs(tmp_path / "s")
    (source / "valid.txt").write_text("008.jpg\n009.jpg\n")
    done = convert(source, tmp_path / "new")
    assert made.listed(tmp_path / "new")["val"] == ["008", "009"]
    assert "train: the 8 images that valid leave" in done.lines


def test_lists_with_paths_and_masks_beside_them(tmp_path):
    source = made.pairs(tmp_path / "s")
    for title, some in (("train", range(7)), ("val", range(7, 10))):
        lines = [f"/data/images/{i:03d}.jpg /data/masks/{i:03d}.png\n" for i in some]
        (source / f"{title}.txt").write_text("".join(lines))
    convert(source, tmp_path / "new")
    assert made.listed(tmp_path / "new")["val"] == ["007", "008", "009"]


def test_groups_on_both_sides_of_given_lists_are_named(tmp_path):
    source = made.voc(tmp_path / "s", lists={"train": range(6), "test": range(6, 10)})
    done = convert(source, tmp_path / "new", groups="^(..)")
    assert "groups in more than one list: 00" in done.lines


def test_progress_counts_every_file(tmp_path):
    seen = []
    convert(made.pairs(tmp_path / "s"), tmp_path / "new", progress=lambda *at: seen.append(at))
    assert seen[0] == (1, 10) and seen[-1] == (20, 20) and len(seen) == 20
