"""--convert through the real command line, and the line that it ends with."""

import shlex

import pytest

import runs
from tests.helpers import refused
from tests.seglib.data.convert import made


@pytest.mark.slow
def test_a_conversion_and_the_check_it_names(tmp_path, capfd):
    source = made.pairs(tmp_path / "my source", change=made.coloured)
    labels = tmp_path / "labels.txt"
    labels.write_text("background 0 0 0\nsquare 128 0 0\nstripe 0 128 0\n")
    words = ["--convert", source, "--to", tmp_path / "my data", "--labels", labels]
    assert runs.main([*map(str, words), "--out", str(tmp_path / "o")]) == 0
    said = capfd.readouterr()
    lines = said.out.splitlines()
    assert said.err == "" and "pairs: 10 images with masks, 3 classes" in lines
    assert f"written: {tmp_path / 'my data'}" in lines
    command = lines[-1].removeprefix("next: ")
    assert command == f"python runs.py --check '{tmp_path / 'my data'}' --out {tmp_path / 'o'}"
    assert runs.main(shlex.split(command)[2:]) == 0
    page = capfd.readouterr().out
    assert "nothing suspicious was found in masks and images" in page
    assert "3 of 3 classes" in page and "floor: always predicting background" in page


@pytest.mark.parametrize(
    "words, message",
    [
        (["--convert", "nowhere", "--to", "new"], "--convert must be a folder, got nowhere"),
        (["--convert", ".", "--to", "new", "--format", "x"], "--format must be one of pairs, voc"),
    ],
)
def test_refusals_are_one_line(words, message, capfd):
    assert message in refused(words, capfd)
