"""Damaged and hostile input, drawn at random: an answer, or one line that says what is wrong.

The gate draws the same few examples each time; `FUZZ=5000 python -m pytest tests/test_fuzz.py`
draws others, and more.
"""

import copy
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import runs
from analysis.records import read_study
from seglib.data.build import build_store
from seglib.data.folder import open_folder
from study.commands.choice import choose
from study.commands.console import make_console
from study.commands.parser import parse
from study.commands.session import open_session
from study.commands.settings import pairs_of, split_settings
from study.config import AXES, FIELDS, RECIPE, RunConfig, parse_value
from study.continuing import open_or_create
from study.describe import inspect_data, open_splits
from study.record import Cell, RunDir
from tests.analysis.studies import CELLS, write_run, write_study
from tests.helpers import write_folder

MANY = int(os.environ.get("FUZZ", 0))
fuzz = settings(
    max_examples=MANY or 60,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSED = (ValueError, OSError)  # what runs.main turns into one line and exit code 2
RECIPE_OF_DATA = {"split_seed": 0, "dev_share": 0.2}

TEXT = st.text(max_size=12)
SOUP = st.sampled_from(
    [
        b"",
        b"\0",
        b"\xff" * 9,
        b"\r\n",
        b"\xef\xbb\xbf",
        b"[" * 50_000,
        b"NaN",
        b"1e999",
        b"-Infinity",
        b"null",
        b"{}",
        b" ",
        b"../",
        b"\n\n",
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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("fuzz") / "tiny", {"train": 2, "val": 2}, side=24)
    (root / "groups.txt").write_text(
        "".join(
            f"{path.stem} {path.stem[-1]}\n" for path in sorted((root / "JPEGImages").iterdir())
        )
    )
    (root / "JPEGImages/train_01.jpg").rename(root / "JPEGImages/train_01.png")
    (root / "JPEGImages/train_01.png").write_bytes(
        (root / "SegmentationClass/train_01.png").read_bytes()
    )
    return root


FILES = [
    "JPEGImages/train_00.jpg",
    "JPEGImages/train_01.png",
    "SegmentationClass/val_00.png",
    "SegmentationClass/train_00.png",
    "ImageSets/Segmentation/train.txt",
    "classes.txt",
    "groups.txt",
]


def look(root, tmp_path):
    """What `--check` and `--plan` do with a folder."""
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    folder = open_folder(root)
    store = build_store(folder, tmp_path / "store", max_side=None)
    facts, sheet = inspect_data(store, folder, RECIPE_OF_DATA)
    for split in open_splits(store, RECIPE_OF_DATA).values():
        for image, mask in (split[i] for i in range(len(split))):
            assert image.shape == (*mask.shape, 3)
            assert ((mask < len(store.classes)) | (mask == 255)).all()
    return facts.model_dump(), sheet


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Pillow warns of odd files that it can read
@fuzz
@given(name=st.sampled_from(FILES), edits=EDITS)
def test_damaged_data(tiny, tmp_path, name, edits):
    content = (tiny / name).read_bytes()
    try:
        (tiny / name).write_bytes(edited(content, edits))
        facts, _ = look(tiny, tmp_path)
        assert finite(facts)
    except REFUSED as error:
        assert str(error)
    finally:
        (tiny / name).write_bytes(content)


LINE = st.lists(
    st.sampled_from(
        [
            "train_00",
            "val_00",
            "background",
            "square",
            " ",
            "\t",
            "\r",
            "a",
            "..",
            "/",
            "\x85",
            "\u2028",
            "\ufeff",
            "é",
            "e\u0301",
            ".",
            "\x1b[2J",
        ]
    )
    | TEXT,
    max_size=4,
).map("".join)


@pytest.mark.slow
@fuzz
@given(name=st.sampled_from(FILES[4:]), lines=st.lists(LINE, max_size=5))
def test_odd_lists(tiny, tmp_path, name, lines):
    content = (tiny / name).read_bytes()
    try:
        (tiny / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        assert finite(look(tiny, tmp_path)[0])
    except REFUSED as error:
        assert str(error)
    finally:
        (tiny / name).write_bytes(content)


WORD = (
    st.sampled_from(
        [
            *AXES,
            *RECIPE,
            *FIELDS,
            "network",
            "arm",
            "unet",
            "bce",
            "scratch",
            "0",
            "loss.share",
            "loss.activation",
            "tuning",
            "tune.trials",
            "default",
        ]
    )
    | TEXT
)
VALUE = (
    st.sampled_from(
        [
            "nan",
            "inf",
            "-inf",
            "1e999",
            "1" * 5000,
            "9" * 400,
            "-0",
            "1_0",
            "٣",
            "²",
            "0x10",
            " 3 ",
            "none",
            "null",
            "true",
            "",
            "1e-320",
        ]
    )
    | TEXT
    | (st.integers() | st.floats()).map(str)
)


def test_the_study_s_own_cells_are_chosen():
    assert len(choose(DECLARED, ["loss=bce", "model=unet,init=scratch"])) == 1


DECLARED = [
    Cell(
        arm=f"unet-scratch-{loss}",
        network="unet-scratch",
        cell_id=None,
        values={"model": "unet", "init": "scratch", "loss": loss, "tuning": "default"},
    )
    for loss in ("bce", "dice_bce")
]


@fuzz
@given(
    only=st.lists(
        st.lists(st.tuples(WORD, WORD).map("=".join) | WORD, max_size=3).map(",".join), max_size=3
    )
)
def test_any_only(only):
    try:
        assert choose(DECLARED, only)
    except REFUSED as error:
        assert "--only" in str(error)


@fuzz
@given(texts=st.lists(st.tuples(WORD, VALUE).map("=".join) | TEXT, max_size=3))
@example(texts=["lr=nan"])
def test_any_setting(texts):
    try:
        recipe, loss_params, environment = split_settings(pairs_of(texts, "--set"))
        parsed = {name: parse_value(name, text) for name, text in (recipe | environment).items()}
        assert finite([*parsed.values(), *loss_params.values()])
        given = {k.removeprefix("loss."): v for k, v in loss_params.items()}
        RunConfig(
            **{
                "data": "d",
                "model": "unet",
                "init": "scratch",
                "loss": "dice_bce",
                "seed": 0,
                "loss_params": given,
                **parsed,
            }
        )
    except REFUSED as error:
        assert str(error)


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """A study as `--grid` declares it, and the arguments that ask for it."""
    place = tmp_path_factory.mktemp("declared")
    root = write_folder(place / "tiny", {"train": 2, "val": 2}, side=24)
    request = parse(
        [
            "--grid",
            "--data",
            str(root),
            "--matrix",
            "losses",
            "--out",
            str(place / "out"),
            "--set",
            "epochs=1",
            "--set",
            "crop_px=32",
        ],
        runs.MATRICES,
    )
    session = open_session(request, runs.MATRICES["losses"], make_console())
    session.study.save()
    return session.study


@fuzz
@given(edits=EDITS, node=NODE, which=st.booleans())
def test_damaged_study_json(declared, edits, node, which):
    file = declared.path / "study.json"
    content = file.read_bytes()
    try:
        file.write_bytes(
            edited(content, edits)
            if which
            else json.dumps(replaced(json.loads(content), *node)).encode()
        )
        study, new = open_or_create(copy.deepcopy(declared))
        assert not new and study.declaration.uuid
        assert [cell.cell_id for cell in study.cells] == [
            study.config(cell, 0, **study.stand_in(cell)).cell_id for cell in study.cells
        ]
    except REFUSED as error:
        assert str(file) in str(error) or "--study NEWNAME" in str(error)
    finally:
        file.write_bytes(content)


@fuzz
@given(edits=EDITS, node=NODE, line=PLACE, which=st.booleans())
def test_damaged_journal(recorded, edits, node, line, which):
    run = RunDir(recorded / "runs/0000")
    file = run.path / "journal.jsonl"
    content = file.read_bytes()
    try:
        file.write_bytes(damaged_lines(content, edits, node, line, which))
        for event in run.journal().events:
            assert finite(event.model_dump())
        assert run.state() in ("new", "dead", "failed", "pruned", "finished")
        numbers = [event.epoch for event in run.journal().epochs]
        assert numbers == sorted(set(numbers))
    except REFUSED as error:
        assert str(file) in str(error)
    finally:
        file.write_bytes(content)


def damaged_lines(content, edits, node, line, which):
    if which:
        return edited(content, edits)
    lines = content.splitlines()
    at = line % len(lines)
    lines[at] = json.dumps(replaced(json.loads(lines[at]), *node)).encode()
    return b"\n".join(lines) + b"\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A study directory with three runs, as the analysis reads it."""
    root = write_study(tmp_path_factory.mktemp("recorded") / "s", CELLS)
    for seed, cell in enumerate(CELLS[:3]):
        write_run(root, cell, seed)
    return root


@fuzz
@given(
    name=st.sampled_from(
        [
            "study.json",
            "runs/0000/config.json",
            "runs/0000/journal.jsonl",
            "runs/0000/confusion.npz",
            "panel.npz",
        ]
    ),
    edits=EDITS,
    node=NODE,
    line=PLACE,
    which=st.booleans(),
)
def test_damaged_records(recorded, name, edits, node, line, which):
    file = recorded / name
    content = file.read_bytes()
    try:
        if file.suffix == ".json" and not which:
            file.write_bytes(json.dumps(replaced(json.loads(content), *node)).encode())
        else:
            file.write_bytes(
                damaged_lines(content, edits, node, line, which or file.suffix == ".npz")
            )
        study = read_study(recorded)
        for run in study.finished():
            assert all(math.isfinite(run.result[k]) for k in ("dev/miou", "test/miou"))
        for run in study.runs_of(CELLS[0].arm):
            names, counts = run.confusion("test")
            assert counts.dtype == np.int64 and len(names) == len(counts)
        study.panel()
    except REFUSED as error:
        assert str(error)
    finally:
        file.write_bytes(content)


def test_nothing_unsafe_is_loaded():
    """No code runs from a file: every load says that it takes tensors or arrays only."""
    root = Path(__file__).parents[1]
    parts = ("seglib", "study", "analysis")
    files = [root / "runs.py", *(path for part in parts for path in (root / part).rglob("*.py"))]
    source = "\n".join(path.read_text() for path in files)
    for call, guard in (("torch.load(", "weights_only=True"), ("np.load(", "allow_pickle=False")):
        calls = source.split(call)[1:]
        assert calls and all(guard in text.split("\n", 1)[0] for text in calls)
    for word in (
        "import pickle",
        "import joblib",
        "import yaml",
        "import shelve",
        "shell=True",
        " eval(",
        " exec(",
        "os.system(",
        "allow_pickle=True",
        "weights_only=False",
        "torch.hub.load(",
    ):
        assert word not in source, word
