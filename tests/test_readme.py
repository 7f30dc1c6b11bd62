"""The README's layout names what is on disk, and its commands are the command line's."""

import re
import subprocess
from pathlib import Path

import runs
from study.commands.parser import parser
from study.matrix import Contrast, Matrix

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_layout_is_the_disk():
    block = README.split("## Layout")[1].split("Everything of a run")[0]
    named = set(re.findall(r"^    ([\w./]+)", block, flags=re.M))
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:  # an unpacked archive has no git
        tracked = {p.name + "/" for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    else:
        folders = {f.split("/")[0] + "/" for f in listing.stdout.split() if "/" in f}
        tracked = {f for f in folders if not f.startswith(".")}
    assert tracked <= named
    assert all((ROOT / name).exists() for name in named)


def test_every_flag_and_target_in_the_readme_exists():
    known = parser(runs.MATRICES)._option_string_actions
    ours = "\n".join(line for line in README.splitlines() if "mlflow ui" not in line)
    for flag in set(re.findall(r"`?(--[a-z]+)", ours)):
        assert flag in known, flag
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"^    make ([a-z]+)", README, flags=re.M)) <= targets


def test_the_notebook_of_the_readme_runs(finished_study, monkeypatch):
    """The indented lines that compute a table of contrasts, as they stand."""
    lines = README.split("for a notebook:")[1].split("In MLflow")[0].splitlines()
    code = "\n".join(line.removeprefix("    ") for line in lines)
    code = code.replace("outputs/default-shapes", str(finished_study))
    assert "contrasts(answer(read_study(" in code
    exec(compile(code, "README.md", "exec"), {})


def test_the_matrix_of_the_readme_is_one():
    block = README.split("## Matrices")[1].split("Models:")[0]
    code = "\n".join(line.removeprefix("    ") for line in block.splitlines() if line[:4] == "    ")
    matrix = eval(f"{{{code}}}", {"Matrix": Matrix, "Contrast": Contrast})["augmented"]
    assert len(matrix.expand()) == 8 and list(matrix.factors) == ["augmentation"]
