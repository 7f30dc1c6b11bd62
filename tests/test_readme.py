"""The README's layout names what is on disk, and its commands are the command line's."""

import re
import subprocess
from pathlib import Path

import runs
from study.commands.parser import parser

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
