"""Module files: what may stand in them, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.conftest import Load, Problems

NODE = "nodes: [{id: a, path: a.py, inputs: {f: _mod/f}, outputs: [o]}]"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Where the module file is expected."""
    (tmp_path / "mods").mkdir()
    return tmp_path / "mods" / "m.yml"


def use(path: str = "mods/m.yml") -> str:
    return f"nodes: [{{id: m, module: {path}}}]"


FILES = [
    ("", "mods/m.yml: expected a module with 'module' and 'nodes', found an empty file"),
    ("[x]", "mods/m.yml:1:1: module: expected a mapping with 'module' and 'nodes', found a list"),
    ("nodes: []", "mods/m.yml: expected a module file with a 'module' header, found a dataflow; add `module: {name:"),
    ("module: {name: m}", "mods/m.yml:1:1: expected a list of nodes as 'nodes', found none"),
    (
        "module: m\nnodes: []",
        "mods/m.yml:1:9: 'module': expected a mapping with name, inputs and outputs, found the",
    ),
    ("module: {}\nnodes: []", "mods/m.yml:1:9: 'module': expected a text as 'name', found none; add `name: <name>`"),
    ("module: {name: [\nnodes: []", "mods/m.yml:"),
    (
        "module: {name: m, inputs_optional: [x, x]}\nnodes: []",
        "mods/m.yml:1:40: module: input 'x' is listed twice; remove one",
    ),
    (
        "module: {name: m, inputs: [x], inputs_optional: [x]}\nnodes: []",
        "mods/m.yml:1:50: module: input 'x' is both required and optional; remove one",
    ),
    ("module: {name: m, outputs: [x, x]}\nnodes: []", "mods/m.yml:1:32: module: output 'x' is listed twice"),
    (
        f"module: {{name: m, outputs: [out]}}\n{NODE.replace('_mod/f', 'dora/timer/secs/1')}",
        "mods/m.yml:1:29: module: no node of it sends the output 'out'; sent are: o",
    ),
    (
        "module: {name: m, outputs: [o]}\nnodes: [{id: a, path: a, outputs: [o]}, {id: b, path: b, outputs: [o]}]",
        "mods/m.yml:1:29: module: output 'o' is sent by several nodes: a/o, b/o; rename all but one",
    ),
    (
        f"module: {{name: m, inputs_optional: [fe]}}\n{NODE}",
        "mods/m.yml:2:41: node 'a': input 'f': the module has no input 'f'; did you mean 'fe'?",
    ),
    (
        "module: {name: m}\nnodes: [{id: a, path: ../../a.py}]",
        "mods/m.yml:2:23: node 'a': '../../a.py' leaves the folder of the dataflow; modules may only name files below",
    ),
    ("module: {name: m}\nnodes: [{id: a}]", "mods/m.yml:2:9: node 'a': expected one of path, operator, operators"),
    (
        "#" * 1_048_577,
        "1:25: node 'm': module 'mods/m.yml': file is larger than 1048576 bytes; is this the",
    ),
]


@pytest.mark.parametrize(("text", "message"), FILES)
def test_wrong_module_file_is_explained_in_the_file(problems: Problems, module: Path, text: str, message: str) -> None:
    module.write_text(text)
    found = [line for line in problems(use()) if "warning" not in line]
    assert any(line.startswith(message) for line in found)


PATHS = [
    ("/mods/m.yml", "module '/mods/m.yml': expected a path relative to the file, found an absolute one"),
    ("../m.yml", "module '../m.yml' is outside the folder of the dataflow; move it below that folder"),
    ("mods/../../m.yml", "module '../m.yml' is outside the folder of the dataflow"),
    ("mods", "module 'mods': expected a YAML file, found a directory"),
    ("mods/x.yml", "module 'mods/x.yml': file not found"),
]


@pytest.mark.parametrize(("path", "message"), PATHS)
def test_wrong_path_of_a_module_is_explained(problems: Problems, module: Path, path: str, message: str) -> None:
    (found,) = problems(use(path))
    assert found.startswith(f"1:25: node 'm': {message}")


def test_file_that_is_used_twice_is_reported_once(problems: Problems, module: Path) -> None:
    module.write_text("module: {name: m, outputs: [x]}\nnodes: []")
    found = problems("nodes: [{id: m, module: mods/m.yml}, {id: n, module: mods/m.yml}]")
    assert len([line for line in found if "warning" not in line]) == 1


def test_input_that_no_node_reads_is_warned_about(warnings: Problems, module: Path) -> None:
    module.write_text("module: {name: m, inputs_optional: [x]}\nnodes: [{id: a, path: a.py}]")
    assert warnings(use()) == ["mods/m.yml:1:37: module: no node reads the input 'x'; read it as `_mod/x`"]


def test_unknown_key_of_a_module_file_is_warned_about(warnings: Problems, module: Path) -> None:
    module.write_text("module: {name: m, output: [x]}\nnodes: [{id: a, path: a.py}]")
    assert warnings(use()) == ["mods/m.yml:1:19: 'module': unknown key 'output' is ignored; did you mean 'outputs'?"]


def test_keys_for_anchors_may_start_with_x(warnings: Problems, module: Path) -> None:
    module.write_text("x-e: &e {A: 1}\nmodule: {name: m}\nnodes: [{id: a, path: a.py, env: *e}]")
    assert warnings(use()) == []


def test_module_that_cannot_be_read_does_not_hide_other_problems(problems: Problems, module: Path) -> None:
    found = problems("nodes: [{id: m, module: mods/x.yml}, {id: a, path: a.py, max_restarts: -1}]")
    assert len(found) == 2


def test_nodes_of_a_module_know_their_file(load: Load, module: Path) -> None:
    module.write_text("module: {name: m}\nnodes:\n- id: a\n  path: a.py")
    (node,) = load(use()).nodes
    assert (node.file, node.line, node.path_line) == (str(module), 3, 4)
