"""Files of a study and of its runs."""

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import runs
from analysis.records import read_study
from study.commands.console import make_console
from study.commands.opening import open_session
from study.commands.parser import parse
from study.continuing import open_or_create
from study.record import RunDir
from tests.analysis.studies import CELLS, write_run, write_study
from tests.fuzz.damage import (
    EDITS,
    NODE,
    PLACE,
    REFUSED,
    damaged_lines,
    edited,
    finite,
    fuzz,
    replaced,
)
from tests.helpers import write_folder

FILES = ["study.json", "panel.npz"]
FILES += [f"runs/0000/{name}" for name in ("config.json", "journal.jsonl", "confusion.npz")]


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """A study as `--grid` declares it, and the arguments that ask for it."""
    place = tmp_path_factory.mktemp("declared")
    root = write_folder(place / "tiny", {"train": 2, "val": 2}, side=24)
    words = f"--grid --matrix losses --data {root} --out {place}/out --set epochs=1"
    request = parse([*words.split(), "--set", "crop_px=32"], runs.MATRICES)
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A study directory with three runs, as the analysis reads it."""
    root = write_study(tmp_path_factory.mktemp("recorded") / "s", CELLS)
    for seed, cell in enumerate(CELLS[:3]):
        write_run(root, cell, seed)
    return root


@fuzz
@given(name=st.sampled_from(FILES), edits=EDITS, node=NODE, line=PLACE, which=st.booleans())
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
            assert counts.dense().dtype == np.int64 and len(names) == len(counts)
        study.panel()
    except REFUSED as error:
        assert str(error)
    finally:
        file.write_bytes(content)
