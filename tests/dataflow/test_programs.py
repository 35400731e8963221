"""Scripts and programs: what is there and what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataflow.conftest import Load
from dora.dataflow.programs import check_local, check_sources, find_program


def program(path: Path) -> Path:
    """An empty executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A PATH with one directory, `bin`, that has the program `tool`."""
    program(tmp_path / "bin" / "tool")
    return {"PATH": str(tmp_path / "bin")}


def missing(load: Load, environ: dict[str, str], node: str) -> list[str]:
    """What `check_sources` says about one node, without the file."""
    dataflow = load(f"nodes:\n- {{id: a, {node}}}")
    return [line.removeprefix(f"{dataflow.path}:") for line in check_sources(dataflow, environ)]


def test_missing_script_is_named_with_the_place_of_the_path(
    load: Load, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "camera.py").touch()
    expected = f"2:17: node 'a': no file 'camra.py' in {tmp_path}; did you mean 'camera.py'?"
    assert missing(load, environ, "path: camra.py") == [expected]


def test_missing_program_was_looked_for_on_path(load: Load, environ: dict[str, str], tmp_path: Path) -> None:
    assert missing(load, environ, "path: nope") == [f"2:17: node 'a': no file 'nope' in {tmp_path} or on PATH"]


def test_missing_folder_is_a_missing_file(load: Load, environ: dict[str, str], tmp_path: Path) -> None:
    assert missing(load, environ, "path: x/y.py") == [f"2:17: node 'a': no file 'x/y.py' in {tmp_path}"]


def test_link_that_leads_nowhere_is_named_with_its_target(load: Load, environ: dict[str, str], tmp_path: Path) -> None:
    os.symlink("gone.py", tmp_path / "a.py")
    expected = "2:17: node 'a': 'a.py' is a link to 'gone.py', which is not there"
    assert missing(load, environ, "path: a.py") == [expected]


def test_tilde_comes_with_what_to_write_instead(load: Load, environ: dict[str, str]) -> None:
    assert missing(load, environ, "path: ~/a.py")[0].endswith("'~' is not replaced here: write $HOME")


@pytest.mark.parametrize("length", [300, 5000])
def test_name_that_no_file_can_have_is_a_missing_file(load: Load, environ: dict[str, str], length: int) -> None:
    (found,) = missing(load, environ, f"path: {'x' * length}.py")
    assert found.startswith(f"2:17: node 'a': no file '{'x' * 60}...' in ")


def test_operator_of_a_name_that_no_file_can_have_is_missing(load: Load, environ: dict[str, str]) -> None:
    operator = f"operator: {{python: {'x' * 300}, inputs: {{t: dora/timer/hz/1}}}}"
    (found,) = missing(load, environ, operator)
    assert ": node 'a': operator 'op': no Python file 'xxx" in found


def test_directory_is_no_program(load: Load, environ: dict[str, str]) -> None:
    expected = "2:17: node 'a': expected a script or program, found the directory 'bin'"
    assert missing(load, environ, "path: bin") == [expected]


def test_file_that_cannot_be_executed_is_named(load: Load, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.sh").touch(0o644)
    assert missing(load, environ, "path: x.sh") == ["2:17: node 'a': 'x.sh' is not executable; run: chmod +x x.sh"]


@pytest.mark.parametrize(
    "node", ["path: x.py, build: y", "path: dynamic", "path: shell, args: y", "path: 'https://x/y.py'"]
)
def test_node_that_may_get_its_program_later_is_left_out(load: Load, environ: dict[str, str], node: str) -> None:
    assert missing(load, environ, node) == []


@pytest.mark.parametrize("path", ["tool", "a.py", "bin/tool"])
def test_file_or_program_that_exists_is_fine(load: Load, environ: dict[str, str], tmp_path: Path, path: str) -> None:
    (tmp_path / "a.py").touch(0o644)
    assert missing(load, environ, f"path: {path}") == []


def test_local_file_wins_over_path(environ: dict[str, str], tmp_path: Path) -> None:
    local = program(tmp_path / "tool")
    assert find_program("tool", tmp_path, environ) == local


def test_program_on_path_wins_over_a_directory_of_that_name(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    assert find_program("tool", tmp_path, environ) == tmp_path / "bin" / "tool"


def test_active_virtual_environment_comes_before_path(environ: dict[str, str], tmp_path: Path) -> None:
    in_environment = program(tmp_path / "venv" / "bin" / "tool")
    found = find_program("tool", tmp_path, {**environ, "VIRTUAL_ENV": str(tmp_path / "venv")})
    assert found == in_environment


def test_links_are_kept(environ: dict[str, str], tmp_path: Path) -> None:
    link = tmp_path / "python"
    os.symlink("bin/tool", link)
    assert find_program("./python", tmp_path, environ) == link


def test_process_environment_is_the_default(load: Load) -> None:
    assert check_sources(load("nodes: [{id: a, path: sh}]")) == []


def test_node_that_asks_for_a_machine_does_not_run_here(load: Load) -> None:
    dataflow = load("nodes:\n- {id: a, path: a.py, deploy: {machine: m}}\n- {id: b, path: b.py}")
    expected = "2:3: node 'a' has 'deploy', but this dora runs all nodes on this machine; remove 'deploy'"
    assert check_local(dataflow) == [f"{dataflow.path}:{expected}"]
