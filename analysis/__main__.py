"""`python -m analysis --study NAME`: the report of a study that is already on disk."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.records import read_study
from analysis.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `<out>/<study>/report/` and print the page's path; 2 and one line if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study, a folder under --out")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="where studies lie")
    options = parser.parse_args(arguments)
    study_dir = options.out / options.study
    try:
        print(write_report(read_study(study_dir), study_dir / "report"))
    except ValueError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
