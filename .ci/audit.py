"""Known vulnerabilities of the installed packages, by pip-audit, which asks the package index.

Exit code 1 names each one; 0 where none is known, or where nothing could be asked: it says which.
"""

import json
import subprocess
import sys


def verdict(report: str) -> tuple[int, list[str]]:
    """Exit code and lines for a report of `pip-audit -f json`."""
    packages = json.loads(report)["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    lines = [
        f"{package['name']} {package['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in known
        for found in package["vulns"]
    ]
    code = int(bool(lines))
    if known:
        lines.append(f"audit: {len(lines)} known vulnerabilities")
    lines.append(f"audit: {len(known)} of {len(packages)} packages were audited")
    return code, lines


def main() -> int:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip_audit",
            "-f",
            "json",
            "--progress-spinner",
            "off",
            "--skip-editable",
        ],
        capture_output=True,
        text=True,
    )
    if done.stdout.strip():
        code, lines = verdict(done.stdout)
        print("\n".join(lines))
        return code
    error = (done.stderr.strip().splitlines() or ["no output"])[-1]
    if "requests.exceptions." in done.stderr or "No module named pip_audit" in error:
        print(f"audit: nothing was audited, it needs pip-audit and a network: {error}")
        return 0
    print(f"audit: pip-audit failed: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
