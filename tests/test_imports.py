"""Who may import whom: reads every import, those in functions and under TYPE_CHECKING too, and
fails on another arrow, on any circle, and on an import in a function that gives no reason."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"seglib", "study", "analysis", "runs", "benchmarks", "tests"}
# From the bottom up: each may import itself and those before it, less what NEVER says.
LAYERS = (
    "seglib",
    "study.record",
    "study.errors",
    "study.addresses",
    "study.values",
    "study.agreement",
    "study.budget",
    "study.config",
    "study.levels",
    "study.matrix",
    "study.presets",
    "study.study",
    "study.declare",
    "study.continuing",
    "study.execution",
    "study.notes",
    "study.describe",
    "study.tracking",
    "study.tuning",
    "study.commands",
    "analysis",
    "runs",
)
NEVER = {
    "study.record": ("seglib",),
    "study.tracking": ("study.execution", "study.describe"),
    "study.tuning": ("study.tracking", "study.describe", "study.execution.run"),
    "runs": ("seglib",),
}
ONLY = {"analysis": ("analysis", "study.record", "seglib.metrics", "seglib.drawing")}
# Foreign package -> the only folder that imports it.
FOREIGN = {
    "mlflow": "study.tracking",
    "optuna": "study.tuning",
    "argparse": "study.commands",
    "rich": "study.commands",
}
SEGLIB_NEVER = {"mlflow", "optuna", "pandas", "argparse", "rich", "pydantic"}
RECORD_ONLY = {"numpy", "pydantic", "filelock", "study"} | set(sys.stdlib_module_names)


def modules() -> dict[str, Path]:
    found = [p for name in ("seglib", "study", "analysis") for p in (ROOT / name).rglob("*.py")]
    return {dotted(path): path for path in [*found, ROOT / "runs.py"]}


def dotted(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """The modules that a file names, ours as precisely as there are files."""
    return named(ast.parse(path.read_text()), path)


def named(tree: ast.AST, path: Path | str = "") -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {
                one if (one := f"{node.module}.{alias.name}") in FILES else node.module
                for alias in node.names
            }
    return found


FILES = modules()


def within(module: str, *folders: str) -> bool:
    return any(module == folder or module.startswith(f"{folder}.") for folder in folders)


def layer(module: str) -> str:
    return next((name for name in LAYERS if within(module, name)), "")


def allowed(module: str, imported: str) -> bool:
    """Whether a file of ours may import another."""
    own, other = layer(module), layer(imported)
    if own in ONLY:
        return within(imported, *ONLY[own])
    if not other:  # the docstring of a package
        return imported in ("seglib", "study")
    return LAYERS.index(other) <= LAYERS.index(own) and not within(imported, *NEVER.get(own, ()))


@pytest.mark.parametrize("module", FILES)
def test_imports_point_the_right_way(module):
    for imported in imports(FILES[module]):
        top = imported.split(".")[0]
        if top in OURS:
            assert allowed(module, imported), f"{module} imports {imported}"
        if top in FOREIGN:
            assert within(module, FOREIGN[top]), f"{module} imports {imported}"
        if within(module, "seglib") and not module.endswith("__main__"):
            assert top not in SEGLIB_NEVER, f"{module} imports {imported}"
        if within(module, "study.record"):
            assert top in RECORD_ONLY, f"{module} imports {imported}"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of files that import each other in a loop."""
    reach = {name: set(arrows) for name, arrows in graph.items()}
    for via in graph:
        for name in graph:
            if via in reach[name]:
                reach[name] |= reach[via]
    loops = {
        tuple(sorted(b for b in graph if b in reach[a] and a in reach[b]))
        for a in graph
        if a in reach[a]
    }
    return [list(loop) for loop in sorted(loops)]


def test_no_circle():
    graph = {name: imports(path) & set(FILES) for name, path in FILES.items()}
    assert circles(graph) == []


def test_an_import_in_a_function_says_why():
    silent = []
    for name, path in FILES.items():
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef):
                continue
            inside = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            body = text.split("\n")[node.lineno - 1 : node.end_lineno]
            comments = "\n".join(re.findall(r"#.*", "\n".join(body)))
            if inside and not re.search("import|slow", comments):
                silent.append(f"{name}.{node.name}")
    assert silent == []


def test_nothing_of_ours_hides_behind_type_checking():
    """Types of a package that is slow to import may stand there, ours never."""
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                hidden = {m.split(".")[0] for n in node.body for m in named(n)}
                assert not hidden & OURS, f"{name} hides {hidden}"


def test_the_rules_refuse_what_they_should():
    assert not allowed("seglib.train", "study.config")
    assert not allowed("study.execution.run", "analysis.tables")
    assert not allowed("analysis.tables.arms", "study.tracking.store")
    assert not allowed("analysis.report", "seglib.losses")
    assert not allowed("study.config", "study.study")
    assert not allowed("study.record.files", "study.config")
    assert not allowed("study.tracking.sync", "study.tuning.search")
    assert not allowed("study.execution.run", "study.commands.session")
    assert not allowed("study.study", "study.declare")
    assert not allowed("study.commands.main", "analysis") and not allowed("seglib.train", "runs")
    assert allowed("study.continuing", "study.study") and allowed("study.study", "study.config")
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []
