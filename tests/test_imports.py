"""Who may import whom: reads the imports and fails on any other arrow."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"seglib", "study", "analysis", "runs", "benchmarks", "tests"}
FOREIGN = {"mlflow": "study/tracking/", "optuna": "study/tuning/"}
SEGLIB_NEVER = {"mlflow", "optuna", "pandas", "argparse", "rich"}


def files() -> list[Path]:
    found = [p for name in ("seglib", "study", "analysis") for p in (ROOT / name).rglob("*.py")]
    return [*found, ROOT / "runs.py"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def allowed(path: str, module: str) -> bool:
    part = path.split("/")[0]
    if part == "seglib":
        return module.startswith("seglib")
    if part == "study":
        return module.startswith(("seglib", "study"))
    if path == "analysis/__main__.py" and module.startswith("study.tracking"):
        return True
    if part == "analysis":
        return module.startswith(("analysis", "seglib.metrics"))
    return part == "runs.py"


@pytest.mark.parametrize("path", [str(p.relative_to(ROOT)) for p in files()])
def test_imports_point_the_right_way(path):
    for module in imports(ROOT / path):
        top = module.split(".")[0]
        if top in OURS:
            assert module == "seglib" or allowed(path, module), f"{path} imports {module}"
        if top in FOREIGN:
            assert path.startswith(FOREIGN[top]), f"{path} imports {module}"
        if path.startswith("seglib"):
            assert top not in SEGLIB_NEVER, f"{path} imports {module}"


def test_the_rule_refuses_what_it_should():
    assert not allowed("seglib/train.py", "study.config")
    assert not allowed("study/runner.py", "analysis.tables.tables")
    assert not allowed("analysis/tables.py", "study.tracking")
    assert not allowed("analysis/report.py", "seglib.losses")
