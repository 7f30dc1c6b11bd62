"""What `make audit` says of a report of pip-audit; none is made here."""

import json
import runpy
from pathlib import Path

verdict = runpy.run_path(str(Path(__file__).parents[1] / ".ci/audit.py"))["verdict"]
CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}, {"id": "CVE-2", "fix_versions": []}],
}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def said(*packages):
    return verdict(json.dumps({"dependencies": packages, "fixes": []}))


def test_a_vulnerability_is_named_and_what_was_not_audited_is_counted():
    assert said(CLEAN) == (
        0,
        ["audit: 0 known vulnerabilities", "audit: 1 of 1 packages were audited"],
    )
    assert said(CLEAN, BAD, UNKNOWN) == (
        1,
        [
            "b 2: CVE-1, fixed in 3",
            "b 2: CVE-2, fixed in no version yet",
            "audit: 2 known vulnerabilities",
            "audit: 2 of 3 packages were audited",
        ],
    )
    assert said(UNKNOWN) == (0, ["audit: 0 of 1 packages were audited"])
