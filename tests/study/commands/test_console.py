"""What is shown: at any width, in any alphabet, with nothing that a terminal would obey."""

import io
import math
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from study.commands.choice import choose
from study.commands.console import Terminal, fitted, shortened, step, table
from study.commands.grid import SPARE, SUMMARY, print_summary, ui_command
from study.commands.request import Request
from study.tracking.store import tracking_uri
from tests.helpers import new_study
from tests.study.commands.nasty import NASTY

ROOT = Path(__file__).parents[3]
ARMS = [
    f"{network}-{loss}"
    for network in ("unet-w16-scratch", "resnetunet-scratch", "resnetunet-pretrained", "网络")
    for loss in ("bce", "dice_bce", "focal_tversky", "焦点损失函数-很长的名字-一")
]


def screen(width):
    return Terminal(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)


def lines(console):
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_arms_can_be_told_apart_at_any_width(width):
    console = screen(width)
    rows = [[arm, 2, "0.325", "0.012", "0.333", "1:02:12", "incomplete"] for arm in ARMS]
    console.print(table(SUMMARY, rows, "study s", width=width, spare=SPARE))
    text = lines(console)
    assert max(map(cell_len, text)) <= width
    shown = "".join(line.split("│")[1].strip() for line in text if line.startswith("│"))
    assert shown == "".join(ARMS)  # each whole, over as many lines as it takes
    assert sum("0.325" in line and "incomplete" in line for line in text) == len(ARMS)
    assert ("0.012" in "".join(text)) == (width >= 80)


def test_numbers_keep_to_one_line_before_their_heads_do():
    console = screen(80)
    row = ["resnetunet-pretrained-bce", 2, "0.325", "0.012", "0.333", "1:02:12", "incomplete"]
    console.print(table(SUMMARY, [row], width=80, spare=SPARE))
    assert sum(line.startswith("│") for line in lines(console)) == 1


@pytest.mark.parametrize(
    "width, wanted",
    [
        (120, ["a seed 0 finished in 0:10  dev mIoU 0.271  [3 of 4 runs, ETA 0:20]"]),
        (50, ["a seed 0 finished in 0:10  dev mIoU 0.271", "  [3 of 4 runs, ETA 0:20]"]),
        (30, ["a seed 0 finished in 0:10", "  dev mIoU 0.271", "  [3 of 4 runs, ETA 0:20]"]),
    ],
)
def test_a_line_breaks_between_its_parts(width, wanted):
    parts = ["a seed 0 finished in 0:10", "dev mIoU 0.271", "[3 of 4 runs, ETA 0:20]"]
    assert fitted(parts, width) == wanted


def test_a_short_name_shows_both_ends():
    short = {shortened(arm, 30) for arm in ARMS}
    assert len(short) == len(ARMS) and all(cell_len(name) <= 30 for name in short)
    assert shortened("resnetunet-pretrained-focal_tversky", 20) == "resnetune…al_tversky"


@pytest.mark.parametrize("name", NASTY)
def test_no_name_is_obeyed(name):
    console = screen(60)
    console.print(f"failed: {name}")
    console.print(table(["arm", "n"], [[name, name]], f"study {name}", width=60))
    with step(console, f"reading {name}") as progress:
        progress(1, 2)
    text = console.file.getvalue().replace("\n", "")
    assert text.isprintable() and "[bold]" not in text


def test_a_line_of_text_is_not_wrapped():
    console = screen(40)
    console.print("next: python runs.py --report --study 'a b' --out some/where/far")
    assert len(lines(console)) == 1


def test_what_was_never_chosen_is_counted_and_left_out(tmp_path, monkeypatch):
    study = new_study(tmp_path / "a-b")
    chosen = choose(study.cells, ["model=unet"])
    request = Request(verb="grid", out=tmp_path / "$o ut", only=("model=unet",))
    session = SimpleNamespace(study=study, request=request, out=request.out, cells=lambda: chosen)
    row = {"n": 0, "test/miou mean": math.nan, "test/miou sd": math.nan, "dev/miou mean": math.nan}
    rows = [
        row | {"arm": cell.arm, "minutes per run mean": 0.2, "status": "not run"}
        for cell in study.cells
    ]
    rows[-1] |= {"status": "failed", "test/miou mean": 0.5}
    console, failed = screen(80), {"x seed 0": "\x1b[31mbad"}
    found = {"a": 0.0, "b": 0.0, "c": 0.1}, {"a": 0.0, "b": 0.2, "c": 0.0}, {}
    by_arm = {
        str(i): {
            "n": len(ious),
            **{f"test/iou/{c}/{of}": v for c, v in ious.items() for of in ("mean", "sd")},
        }
        for i, ious in enumerate(found)
    }
    analysis = SimpleNamespace(summary=lambda _: rows, aggregate=lambda *_: by_arm)
    print_summary(session, console, analysis, failed)
    text = console.file.getvalue()
    assert sum(line.startswith("│ unet-") for line in lines(console)) == 3
    assert (
        text.count("│ resnetunet") == 1 and "0:12" in text
    )  # the one that failed; not 0.0 minutes
    assert "left out: 5 of 9 arms that --only does not choose and no run of which exists" in text
    assert "test IoU 0 in every run above: a\n" in text
    assert r"failed: x seed 0: \x1b[31mbad" in text
    (command,) = [line for line in lines(console) if line.startswith("next: ")]
    words = shlex.split(command)
    assert words[-1] == str(request.out) and words[words.index("--study") + 1] == "a-b"


@pytest.mark.parametrize("word", [w for w in NASTY if w.isprintable() and w])
def test_the_command_for_mlflows_pages_can_be_pasted(tmp_path, word):
    """Through bash and make to the server's words."""
    out, bin_ = tmp_path / word.replace("/", ""), tmp_path / "bin"
    for folder in (out, bin_):
        folder.mkdir()
    (out / "mlflow.db").write_text("")
    (tmp_path / "ready").write_text("")
    (bin_ / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"')
    (bin_ / "mlflow").write_text('#!/bin/sh\nprintf "%s" "$3" > ' + str(tmp_path / "got"))
    for path in bin_.iterdir():
        path.chmod(0o755)
    line = f"{ui_command(out)} BIN={bin_} READY={tmp_path / 'ready'} >/dev/null"
    subprocess.run(["bash", "-c", line], cwd=ROOT, check=True)
    assert (tmp_path / "got").read_text() == tracking_uri(out)
