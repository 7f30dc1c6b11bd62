"""The command line as a Request, and requests as command lines."""

import shlex
import subprocess

import pytest

import runs
from study.commands.parser import parse
from study.config import ConfigError


def read_by_bash(line):
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def parsed(line):
    return parse(shlex.split(line), runs.MATRICES)


@pytest.mark.parametrize(
    "line",
    [
        "--grid",
        "--grid --data 'my data' --study s --matrix losses --seeds 3 --budget 1.5h "
        "--workers 2 --device cpu --out 'a b' --pretrained pretext "
        "--only loss=bce,dice_bce --only seed=1 --set epochs=5 "
        "--set loss.share=0.5",
        "--tune --set tune.trials=3",
        "--check 'my data' --out o",
        "--convert 'my data' --out o --to 'a new' --labels l.txt --groups '^([^_]+)_' --format voc",
        "--grid --data=-x --study a.b --out 'it'\"'\"'s $HOME; ?%#' --only=-y=1",
        "--grid --out $'\\x1b[31m\\x0ared' --pretrained '~/my weights.pt'",
    ],
)
def test_a_command_that_is_printed_asks_for_the_same(line):
    request = parse(read_by_bash(line), runs.MATRICES)
    assert request.command() == f"python runs.py {line}"
    words = read_by_bash(request.command().removeprefix("python runs.py "))
    assert parse(words, runs.MATRICES) == request


def test_the_next_step_leaves_out_what_is_not_its_own():
    request = parsed("--tune --set tune.trials=3 --set tune.name=a --set epochs=5 --out o")
    assert request.command("grid", "tuning=tuned") == (
        "python runs.py --grid --out o --set tune.name=a --set epochs=5 --set tuning=tuned"
    )
    assert request.about("sync", "s t") == "python runs.py --sync --study 's t' --out o"


@pytest.mark.parametrize(
    "line, message",
    [
        ("--grid --data ''", "--data must be some text in UTF-8, got ''"),
        ("--grid --study ''", "--study must be some text in UTF-8, got ''"),
        ("--grid --out ''", "--out must be some text in UTF-8, got ''"),
        ("--plan --only 'a\udcff=1'", "--only must be some text in UTF-8, got 'a.udcff=1'"),
        ("--grid --seeds 0", "--seeds must be at least 1 and at most 1000, got 0"),
        ("--grid --workers 2000", "--workers must be at least 1 and at most 1024, got 2000"),
        ("--report --only loss=bce", "--report takes no --only or --set: it shows the whole study"),
        ("--sync --set epochs=3", "--sync takes no --only or --set: it sends the whole study"),
        ("--convert d", "--convert must be told where to write, got no --to FOLDER; add it"),
        ("--convert d --to e --set epochs=3", "--convert takes no --only, .* or --set: it reads"),
        ("--grid --budget 1", "--budget must be a number above 0 .*, e.g. 30m or 1.5h, got '1'"),
        ("--grid --budget ''", "--budget must be some text in UTF-8, got ''"),
        ("--tune --budget 1h", "--tune takes no --budget: a tuning has its own, --set tune.trials"),
        ("--report --budget 1h", "--report takes no --budget: it belongs to --grid and --plan"),
        ("--grid --to e", "--grid takes no --to: it belongs to --convert"),
        ("--check d --groups g.txt", "--check takes no --groups: it belongs to --convert"),
        ("--check d --seeds 2", "--check takes no --only, --study or --seeds: it looks at the"),
    ],
)
def test_what_makes_no_sense_is_one_line(line, message):
    with pytest.raises(ConfigError, match=message):
        parsed(line)


def test_check_takes_its_data_as_its_value():
    assert parsed("--check 'my data'").data == "my data"


@pytest.mark.parametrize(
    "line", ["", "--grid --plan", "--grid --seeds x", "--grid more", "--grid -x"]
)
def test_words_that_cannot_be_read_are_one_line(line, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(line)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.startswith("runs.py: ") and error.count("\n") == 1
    assert "`python runs.py --help` lists the flags" in error
