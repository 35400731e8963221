"""The shape of the code, held: who imports whom, what a process loads, how long files and functions are.

Strategy: the tables below are the rules (docs/architecture.md shows them to people).  Imports are read from the
syntax tree, so that an import inside a function counts too; what a process really loads is asked of a fresh
interpreter.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "dora"

BASE = {"errors", "ids", "clock", "env", "hints", "version"}
LOW = BASE | {"dataflow", "messages", "transport", "logs"}
EVERYTHING = LOW | {"arrow", "node", "runner", "daemon", "coordinator", "control", "cli", "recording", "dashboard"}
EVERYTHING |= {"runs", "inspection", "publication", "arrow_json", "ros2", "telemetry", "builder", "commands", "testing"}
EVERYTHING |= {"cuda", "__init__"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": EVERYTHING,  # public names, resolved on first use
    "__main__": {"cli"},
    **{name: BASE for name in BASE},
    "arrow": BASE,
    "ros2": BASE,
    "telemetry": BASE,
    "arrow_json": BASE,
    "dataflow": BASE,
    "messages": BASE | {"dataflow"},  # descriptor types only
    "transport": BASE,
    "logs": BASE,
    "node": BASE | {"messages", "transport", "arrow", "arrow_json", "telemetry"},
    "runner": LOW,
    "runs": BASE | {"messages", "transport"},
    "inspection": BASE | {"messages", "transport", "node", "runs"},
    "publication": BASE | {"messages", "transport", "arrow", "runs"},
    "daemon": LOW | {"runs", "coordinator"},
    "coordinator": LOW,
    "control": BASE | {"messages", "transport", "runs"},
    "commands": BASE | {"node"},  # `start_runtime`; the commands themselves run in a process of their own
    "recording": BASE | {"arrow", "node", "dataflow"},
    "testing": BASE | {"arrow", "arrow_json", "node"},
    "cuda": BASE | {"arrow"},
    "builder": BASE | {"commands", "dataflow"},
    "dashboard": {"control"},
    "cli": EVERYTHING,
}
"""Row of the map -> rows it may import, besides itself."""

THIRD_PARTY: dict[str, set[str]] = {
    "pyarrow": {"arrow", "arrow_json"},
    "numpy": {"arrow_json", "node"},
    "yaml": {"dataflow", "builder"},
    "pytest": {"testing"},
    "opentelemetry": {"telemetry"},
    "msgspec": {"messages", "node", "runner", "runs", "daemon", "control", "cli", "logs"},
    "click": {"cli"},
    "rich": {"cli", "runner"},
    "textual": {"cli"},
    "uv": {"runner"},
    "starlette": {"daemon"},
    "uvicorn": {"daemon"},
    "h11": {"control"},
}
"""Distribution -> rows that may import it."""

WORLD = {"asyncio", "multiprocessing", "os", "random", "select", "socket", "subprocess", "threading", "time"}
"""What no rule may read: `runner/state/` and `coordinator/state/` get the time as an argument."""

NODE_LOADS_NONE_OF = {
    "asyncio",
    "concurrent",
    "email",
    "http",
    "multiprocessing",
    "ssl",
    "subprocess",
    "urllib.request",
}
if sys.version_info < (3, 11):
    NODE_LOADS_NONE_OF.discard("subprocess")  # `uuid`, which msgspec imports, loads it there
NODE_LOADS_NONE_OF |= {"click", "numpy", "pyarrow", "rich", "yaml", "dora.cli", "dora.dataflow", "dora.runner"}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 600, 60
ALLOWED_LATE = {"pyarrow", "numpy", "asyncio"}
"""Heavy modules that may be imported inside a function without a reason on the line."""


class Import(NamedTuple):
    """One import statement of one module."""

    importer: str
    imported: str
    line: int
    is_late: bool
    is_for_types: bool


def module_name(path: Path) -> str:
    """`dora.runner.minder` of `src/dora/runner/minder.py`."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row(module: str) -> str:
    """The row of the map that a module of dora belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@cache
def modules() -> dict[str, Path]:
    """All modules of the package, by name."""
    return {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported_names(node: ast.stmt) -> Iterator[str]:
    """The modules that one statement imports; `from dora import x` is `dora.x` where that is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        submodules = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name if name in modules() else node.module for name in submodules)


def walk_imports(importer: str, node: ast.AST, is_late: bool = False, is_for_types: bool = False) -> Iterator[Import]:
    """Every import below a node of the syntax tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in imported_names(child):
                yield Import(importer, name, child.lineno, is_late, is_for_types)
        late = is_late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        types = is_for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from walk_imports(importer, child, late, types)


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


@cache
def imports() -> list[Import]:
    """Every import of the package."""
    return [i for name, path in modules().items() for i in walk_imports(name, tree(path))]


def shown(found: list[Import]) -> str:
    """Imports as lines to click on."""
    return "\n".join(f"{modules()[i.importer]}:{i.line}: {i.importer} imports {i.imported}" for i in found)


def states_a_reason(lines: list[str], number: int) -> bool:
    """Whether the import on that line, or the block of imports it stands in, has a comment on it or above it."""
    while "#" not in lines[number - 1] and lines[number - 1].lstrip().startswith(("import ", "from ")):
        number -= 1
    return "#" in lines[number - 1]


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running `code`."""
    report = f"{code}\nimport sys\nprint(*sys.modules, file=sys.__stdout__)"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=30)
    return set(result.stdout.splitlines()[-1].split())


def test_every_package_and_module_has_a_row() -> None:
    assert {row(name) for name in modules()} <= MAY_IMPORT.keys()


def test_modules_import_only_the_rows_they_may() -> None:
    inner = [i for i in imports() if i.imported.split(".")[0] == "dora"]
    wrong = [i for i in inner if row(i.imported) not in MAY_IMPORT[row(i.importer)] | {row(i.importer)}]
    assert not wrong, shown(wrong)


def test_messages_know_of_the_dataflow_only_its_descriptor() -> None:
    inner = [i for i in imports() if row(i.importer) == "messages" and i.imported.startswith("dora.dataflow")]
    wrong = [i for i in inner if i.imported != "dora.dataflow.descriptor"]
    assert not wrong, shown(wrong)


def test_base_row_imports_the_standard_library_only() -> None:
    wrong = [
        i
        for i in imports()
        if row(i.importer) in BASE and i.imported.split(".")[0] not in sys.stdlib_module_names | {"dora"}
    ]
    assert not wrong, shown(wrong)


def test_third_party_modules_are_used_only_where_they_belong() -> None:
    outer = [i for i in imports() if i.imported.split(".")[0] not in sys.stdlib_module_names | {"dora"}]
    wrong = [i for i in outer if row(i.importer) not in THIRD_PARTY.get(i.imported.split(".")[0], set())]
    assert not wrong, shown(wrong)


def test_minder_imports_the_standard_library_only() -> None:
    own = [i for i in imports() if i.importer == "dora.runner.minder"]
    wrong = [i for i in own if i.imported.split(".")[0] not in sys.stdlib_module_names]
    assert not wrong, shown(wrong)


def test_rules_read_no_clock_socket_process_or_environment() -> None:
    rules = [i for i in imports() if ".state." in f"{i.importer}."]
    wrong = [i for i in rules if i.imported.split(".")[0] in WORLD]
    assert not wrong, shown(wrong)


def test_imports_are_absolute() -> None:
    relative = [
        f"{path}:{node.lineno}"
        for path in modules().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_imports_inside_functions_state_their_reason() -> None:
    late = [i for i in imports() if i.is_late and row(i.importer) not in {"cli", "__init__", "__main__"}]
    late = [i for i in late if i.imported.split(".")[0] not in ALLOWED_LATE]
    wrong = [i for i in late if not states_a_reason(modules()[i.importer].read_text().splitlines(), i.line)]
    assert not wrong, shown(wrong)


def test_nobody_waits_with_select() -> None:
    """`select.select` takes no descriptor from 1024 on; poll and epoll do."""
    wrong = [
        f"{path}:{node.lineno}"
        for path in modules().values()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr == "select" and ast.unparse(node.value) == "select")
        or (isinstance(node, ast.ImportFrom) and node.module == "select")
    ]
    assert not wrong


def test_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for i in imports():
        if i.imported in graph and not i.is_late and not i.is_for_types:
            graph[i.importer].add(i.imported)
    while leaves := {name for name, needs in graph.items() if not needs}:
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}
    assert not graph, f"these modules import each other: {sorted(graph)}"


@pytest.mark.parametrize("module", sorted(modules()))
def test_module_says_its_purpose(module: str) -> None:
    docstring = ast.get_docstring(tree(modules()[module]))
    if not tree(modules()[module]).body:
        return  # an empty `__init__.py`
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":"))


def python_files() -> list[Path]:
    """All Python files of the project."""
    folders = ("src", "tests", "benchmarks", "examples", "docs")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if ".dora" not in path.parts]


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in python_files()}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_no_file_is_named_for_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
    assert not [path for path in python_files() if path.stem in empty_names or path.parent.name in empty_names]


@pytest.mark.slow
def test_importing_node_loads_nothing_heavy() -> None:
    loaded = loaded_after("from dora import Node")
    assert "dora.node.node" in loaded
    assert not loaded & NODE_LOADS_NONE_OF


@pytest.mark.slow
def test_version_loads_no_library() -> None:
    loaded = loaded_after("from dora.cli.main import run_command\nrun_command(['--version'])")
    assert not loaded & {"yaml", "rich", "pyarrow", "numpy", "msgspec", "asyncio", "dora.runner", "dora.node"}


@pytest.mark.slow
def test_validate_loads_neither_arrow_nor_the_node_library(tmp_path: Path) -> None:
    file = tmp_path / "dataflow.yml"
    file.write_text("nodes:\n  - id: a\n    path: a.py\n")
    loaded = loaded_after(f"from dora.cli.main import run_command\nrun_command(['validate', {str(file)!r}])")
    assert not loaded & {"pyarrow", "numpy", "asyncio", "dora.runner.runner", "dora.node.node"}
