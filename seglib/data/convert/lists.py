"""Lists of a new data set: those of the source; else whole groups, or blocks of numbered names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from seglib.data.convert.source import SPLIT_WORDS, Item, few
from seglib.data.lists import DataError, read_groups

TEST_SHARE = 0.2
FEW_SHARE, MUCH_SHARE = 0.1, 0.3  # beyond these, whole groups miss the share


def find_groups(groups: str | None, given: Path | None, items: Sequence[Item]) -> dict[str, str]:
    """Name -> group, by `--groups` (a file, or a regular expression), or the source's file.

    Raises: DataError for a name without a group.
    """
    names = tuple(item.name for item in items)
    if groups is None:
        return _of_file(given, names) if given else {}
    if os.path.exists(path := os.path.expanduser(groups)):
        return _of_file(Path(path), names)
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise DataError(
            f"--groups must be a file '<name> <group>' a line, or a regular expression, got "
            f"{groups!r}: no such file, and {error}"
        ) from None
    found = {name: match for name in names if (match := pattern.search(name))}
    if missing := [name for name in names if name not in found]:
        raise DataError(
            f"--groups must give every image a group, {groups!r} is no file and as a pattern does "
            f"not match {len(missing)} of {len(names)} names: {few(missing)}"
        )
    return {
        name: _word(next((g for g in match.groups() if g), match.group()), name)
        for name, match in found.items()
    }


def _of_file(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    found = read_groups(path, names) or {}
    return {name: found[name] for name in names}


def _word(group: str, name: str) -> str:
    """A group in one word, as groups.txt must have it."""
    if not group.strip():
        raise DataError(f"--groups must match a group's name, got nothing in {name!r}")
    return "_".join(group.split())


def make_lists(
    items: Sequence[Item], groups: dict[str, str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The lists, and what to say of them.

    Returns: list -> names; lines. Raises: DataError where a list would have under 2 images.
    """
    given: dict[str, list[str]] = {}
    for item in items:
        given.setdefault(item.split, []).append(item.name)
    notes = []
    if len(given) > 1 and (loose := given.get("", [])):
        raise DataError(
            f"every image must lie in a split's folder or none, got {len(loose)} of {len(items)} "
            f"in no split's folder: {few(loose)}; move them"
        )
    if "train" in given and len(given) > 1:
        lists = {split: given[split] for split in SPLIT_WORDS if split in given}
        notes.append("lists: those of the source")
    else:
        if any(given):
            notes.append(
                f"lists: the source has only {', '.join(given)}, which is divided: a study needs "
                "train and one more"
            )
        names = [item.name for item in items]
        test, how = draw(names, groups)
        lists = {"train": [n for n in names if n not in test], "test": sorted(test)}
        notes.append(f"lists: {len(test)} of {len(names)} images are the test: {how}")
    for split, names in lists.items():
        if len(names) < 2:
            raise DataError(
                f"{split} must have at least 2 images, got {len(names)} of {len(items)}; "
                "add images, or give lists (train.txt, test.txt) in the source"
            )
    if groups:
        notes += _shared(lists, groups)
    return lists, notes


def _shared(lists: dict[str, list[str]], groups: dict[str, str]) -> list[str]:
    places: dict[str, set[str]] = {}
    for split, names in lists.items():
        for name in names:
            places.setdefault(groups[name], set()).add(split)
    both = sorted(group for group, splits in places.items() if len(splits) > 1)
    return [f"groups in more than one list: {few(both)}"] if both else []


def draw(names: Sequence[str], groups: dict[str, str]) -> tuple[set[str], str]:
    """The test images, by names alone, never one frame beside another, and how they were chosen.

    Whole groups where there are groups. Else names that differ only in their last number are a
    sequence: whole sequences where these give about the share, else the end of each.
    """
    wanted = max(2, TEST_SHARE * len(names))
    if groups:
        members = _members({name: groups[name] for name in names})
        if len(members) < 2:
            raise DataError(f"--groups must give at least 2 groups, got {', '.join(members)}")
        chosen = nearest({group: len(found) for group, found in members.items()}, wanted)
        test = {name for group in chosen for name in members[group]}
        far = not FEW_SHARE <= len(test) / len(names) <= MUCH_SHARE
        return test, f"{len(chosen)} of {len(members)} groups, whole" + (
            f"; {len(test) / len(names):.0%}, as near to {TEST_SHARE:.0%} as whole groups come"
            if far
            else ""
        )
    sequences = _members({name: _sequence(name)[0] for name in names})
    if len(sequences) > 1:
        chosen = nearest({key: len(found) for key, found in sequences.items()}, wanted)
        test = {name for key in chosen for name in sequences[key]}
        if FEW_SHARE <= len(test) / len(names) <= MUCH_SHARE:
            longest = max(map(len, sequences.values()))
            kept = (
                f"{len(chosen)} of {len(sequences)} numbered sequences, whole, as if each were a "
                "video; `--groups` says better what belongs together"
            )
            drawn = "drawn by the names, which show no sequences; `--groups` keeps images together"
            return test, kept if longest > 1 else drawn
    test = set()
    for key in sorted(sequences):
        ordered = sorted(sequences[key], key=lambda name: (_sequence(name)[1], name))
        whole, already = sum(len(sequences[k]) for k in sorted(sequences) if k <= key), len(test)
        test |= set(ordered[len(ordered) - max(0, round(wanted / len(names) * whole) - already) :])
    return test, (
        "the end of each numbered sequence, as one block, as if it were a video; `--groups` says "
        "better what belongs together"
    )


def _members(key_of: dict[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for name, key in key_of.items():
        members.setdefault(key, []).append(name)
    return members


def _sequence(name: str) -> tuple[str, int]:
    """`walk_007_left` -> (`walk_#_left`, 7); a name without a number is alone."""
    found = list(re.finditer(r"\d+", name))
    if not found:
        return name, 0
    last = found[-1]
    return f"{name[: last.start()]}#{name[last.end() :]}", int(last.group()[-18:])


def nearest(sizes: dict[str, int], wanted: float) -> list[str]:
    """Whole groups whose sizes sum up to nearest `wanted`, never all and never none.

    The order is that of a hash of the names, so that the choice depends on nothing else.
    """
    order = sorted(sizes, key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    total = sum(sizes.values())
    goal = max(1, round(wanted))
    found: dict[int, tuple[int, str]] = {0: (0, "")}  # sum -> the sum before, the group added
    for group in order:
        for before in sorted(found, reverse=True):
            after = before + sizes[group]
            if after not in found and after <= max(2 * goal, min(sizes.values())) and after < total:
                found[after] = (before, group)
        if goal in found:
            break
    sums = [n for n in found if n] or [0]
    left = min(sums, key=lambda n: (abs(n - wanted), n))
    chosen = []
    while left:
        left, group = found[left]
        chosen.append(group)
    return chosen
