"""What a look at the decoded data finds before any training: copies, masks that look wrong."""

from __future__ import annotations

from collections.abc import Mapping

from seglib.data.store import Split


def copies(splits: Mapping[str, Split]) -> list[dict]:
    """Images whose pixels are the same: {"images": ["fit/a", "test/b"], "across": splits differ}.

    Found by a hash of the pixels, so a copy saved again with losses is not found.
    """
    places: dict[str, list[tuple[str, str]]] = {}
    for split, images in splits.items():
        for name, key in zip(images.names, images.copies, strict=True):
            places.setdefault(key, []).append((split, name))
    return [
        {
            "images": [f"{split}/{name}" for split, name in found],
            "across": len({split for split, _ in found}) > 1,
        }
        for found in places.values()
        if len(found) > 1
    ]


def suspicious(splits: Mapping[str, Split]) -> list[dict]:
    """Masks that look wrong: {"split", "name", "what"}."""
    return [
        {"split": split, "name": name, "what": what}
        for split, images in splits.items()
        for name, what in zip(images.names, images.suspicious, strict=True)
        if what
    ]
