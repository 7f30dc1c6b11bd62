"""What is drawn: text, JSON, edits of bytes; how often; what may be answered."""

import copy
import json
import math
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MANY = int(os.environ.get("FUZZ", 0))
fuzz = settings(
    max_examples=MANY or 60,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSED = (ValueError, OSError)  # what runs.main turns into one line and exit code 2

TEXT = st.text(max_size=12)
SOUP = st.sampled_from(
    [
        *(b"", b"\0", b"\xff" * 9, b"\r\n", b"\xef\xbb\xbf", b"[" * 50_000, b"NaN", b"1e999"),
        *(b"-Infinity", b"null", b"{}", b" ", b"../", b"\n\n"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | TEXT
    | st.floats()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, "final", "../..", "bce"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
PLACE = st.integers(0, 2**16)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "cut", "drop", "replace"]),
        PLACE,
        st.binary(max_size=30) | SOUP,
    ),
    min_size=1,
    max_size=4,
)


def edited(content, edits):
    """Bytes after some damage."""
    for kind, place, blob in edits:
        at = place % (len(content) + 1)
        if kind == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ (1 << place % 8)]) + content[at + 1 :]
        elif kind == "insert":
            content = content[:at] + blob + content[at:]
        elif kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + len(blob) + 1 :]
        elif kind == "replace":
            content = content[:at] + blob + content[at + len(blob) :]
    return content


def replaced(value, place, new):
    """JSON with one of its nodes replaced by `new`, or removed where `new` is "remove"."""
    root = [copy.deepcopy(value)]
    nodes = [(root, 0)]
    for node, key in nodes:  # grows while it is walked
        child = node[key]
        items = (
            child
            if isinstance(child, dict)
            else range(len(child))
            if isinstance(child, list)
            else ()
        )
        nodes += [(child, k) for k in items]
    node, key = nodes[place % len(nodes)]
    if new == "remove" and node is not root:
        del node[key]
    else:
        node[key] = new
    return root[0]


NODE = st.tuples(PLACE, JSON | st.just("remove"))


def finite(value):
    """Whether all numbers in it are."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def damaged_lines(content, edits, node, line, which):
    if which:
        return edited(content, edits)
    lines = content.splitlines()
    at = line % len(lines)
    lines[at] = json.dumps(replaced(json.loads(lines[at]), *node)).encode()
    return b"\n".join(lines) + b"\n"
