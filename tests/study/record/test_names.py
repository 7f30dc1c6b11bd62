"""Names that files and servers say: none of another kind becomes a path."""

import pytest
from pydantic import TypeAdapter, ValidationError

from study.record import Cell, RecordError, TuningPlace, tunings_of
from study.record.names import (
    ArmName,
    CellId,
    RunId,
    StudyName,
    StudyUuid,
    TuningKey,
    TuningName,
    is_tuning_name,
    run_id_of,
)

HEX = "0123456789abcdef"
GOOD = {
    RunId: [HEX, "00" * 32],
    CellId: [HEX],
    StudyName: ["default-shapes", "a.b_c-1", "студия", "_a", "a" * 255],
    StudyUuid: [HEX * 2, "0123"],
    TuningKey: [HEX, f"{HEX}-random", f"{HEX}-a_1"],
    TuningName: ["", "random", "a_1"],
    ArmName: ["unet-scratch-bce", "a=b", "<script>"],
}
BAD = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\n",
    "\n",
    " ",
    "~",
    "*",
    "a b",
]
BAD += [
    "a" * 300,
    HEX + "\n",
    HEX + "/..",
    "-x",
    "\u202ea",
    "é/",
    "C:x",
    "%2e%2e%2f",
    HEX.upper(),
    3,
]
BAD += [None, b"ab", ["a"], "０１２３４５６７"]
ALLOWED = {  # of BAD, where it is harmless
    (StudyName, HEX.upper()),
    (StudyName, "０１２３４５６７"),
    (StudyUuid, HEX.upper()),
    (StudyUuid, "-x"),
    (TuningName, HEX.upper()),
}


@pytest.mark.parametrize("kind", GOOD, ids=[str(i) for i in range(len(GOOD))])
def test_each_kind_takes_its_own_names_alone(kind):
    adapter = TypeAdapter(kind)
    for name in GOOD[kind]:
        assert adapter.validate_python(name, strict=True) == name
    if kind is ArmName:
        return  # shown only
    for name in ["", *BAD]:
        if isinstance(name, str) and (kind, name) in ALLOWED or name in GOOD[kind]:
            continue
        with pytest.raises(ValidationError):
            print(kind, repr(adapter.validate_python(name, strict=True)))


def test_an_arm_is_called_something_of_bounded_length():
    for name in ("", "a" * 2001, None, 3):
        with pytest.raises(ValidationError):
            TypeAdapter(ArmName).validate_python(name, strict=True)


@pytest.mark.parametrize("name", ["", *BAD])
def test_a_run_id_of_a_server_is_refused_in_one_line(name):
    with pytest.raises(RecordError, match="^MLflow's run 7 must have a run id of 4 to 64") as error:
        run_id_of(name, "MLflow's run 7")
    assert "\n" not in str(error.value) and len(str(error.value)) < 200
    assert run_id_of(HEX, "") == HEX


def test_folders_beside_the_tunings_are_none(tmp_path):
    values = {"model": "unet", "init": "scratch", "loss": "bce", "tuning": "default"}
    cell = Cell(values=values, arm="a", network="n", cell_id=HEX)
    names = [HEX, f"{HEX}-random", f"{HEX}-", f"{HEX}x", f"{HEX}-a-b", f"{HEX}-..", f"{HEX}-é"]
    for name in names:
        (tmp_path / "tuning" / name).mkdir(parents=True)
    assert [place.key for place in tunings_of(tmp_path, cell)] == names[:2]
    assert not is_tuning_name("a/b")
    (tmp_path / "else").mkdir()
    (tmp_path / "tuning" / f"{HEX}-link").symlink_to(tmp_path / "else")
    with pytest.raises(RecordError, match="must be a folder, got a link"):
        _ = TuningPlace(tmp_path, "a", HEX, "link").runs
