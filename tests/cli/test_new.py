"""`dora new`: what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dora.cli.main import run_command
from dora.dataflow.json_schema import dataflow_schema
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_sources

Capture = pytest.CaptureFixture[str]

FILES = {
    "dataflow": [
        ".gitignore", "README.md", "dataflow.yml", "dora-schema.json", "listener.py", "talker.py", "test_nodes.py",
    ],
    "node": [
        ".gitignore", "README.md", "dataflow.yml", "dora-schema.json", "my_thing/__init__.py", "my_thing/__main__.py",
        "my_thing/main.py", "pyproject.toml", "tests/test_my_thing.py",
    ],
    "operator": [".gitignore", "README.md", "dataflow.yml", "dora-schema.json", "my_thing.py", "test_my_thing.py"],
}  # fmt: skip
CREATED = {"dataflow": "yaml dataflow", "node": "Python node", "operator": "Python operator"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("kind", FILES)
def test_files_are_written_and_the_next_steps_said(kind: str, capsys: Capture, folder: Path) -> None:
    assert run_command(["new", "my-thing", "--kind", kind]) == 0
    assert written(folder / "my-thing") == FILES[kind]
    assert [path.name for path in folder.iterdir()] == ["my-thing"]
    steps = "  cd ./my-thing\n  dora run dataflow.yml   # Ctrl-C stops it\n"
    steps += "  pytest                  # tests it (`pip install pytest`)\n"
    assert capsys.readouterr().out == f"Created new {CREATED[kind]} `my-thing` at ./my-thing\n\n{steps}"


@pytest.mark.parametrize("kind", FILES)
def test_dataflow_is_right_and_known_to_editors(kind: str, folder: Path) -> None:
    assert run_command(["new", "my-thing", "--kind", kind]) == 0
    file = folder / "my-thing" / "dataflow.yml"
    assert file.read_text().startswith("# yaml-language-server: $schema=dora-schema.json\n")
    assert json.loads((file.parent / "dora-schema.json").read_text()) == dataflow_schema()
    dataflow = load_dataflow(file)
    assert (dataflow.warnings, check_sources(dataflow)) == ((), [])


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_its_tests_pass(kind: str, folder: Path) -> None:
    assert run_command(["new", "my-thing", "--kind", kind]) == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "dora.testing.plugin"]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # sooner
    result = subprocess.run(
        command, cwd=folder / "my-thing", capture_output=True, text=True, timeout=60, env=environ, check=False
    )
    assert result.returncode == 0, result.stdout
    assert written(folder / "my-thing") == FILES[kind]


SAID = {"dataflow": "I heard Hello World 2 on speech", "node": "tick 2", "operator": "tick 2"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAID)
def test_it_runs(kind: str, folder: Path) -> None:
    assert run_command(["new", "my-thing", "--kind", kind]) == 0
    command = [sys.executable, "-m", "dora", "run", "dataflow.yml"]
    with subprocess.Popen(command, cwd=folder / "my-thing", stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(SAID[kind] in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.terminate()
    assert process.returncode == 0


def test_folder_can_be_named(folder: Path) -> None:
    assert run_command(["new", "robot", "demos/first"]) == 0
    assert written(folder / "demos" / "first") == FILES["dataflow"]
    assert "# robot" in (folder / "demos" / "first" / "README.md").read_text()


def test_empty_folder_is_filled(folder: Path) -> None:
    Path("robot").mkdir()
    assert run_command(["new", "robot"]) == 0
    assert written(folder / "robot") == FILES["dataflow"]


def test_nothing_that_exists_is_overwritten(capsys: Capture, folder: Path) -> None:
    Path("robot").mkdir()
    Path("robot/mine").write_text("mine")
    Path("file").touch()
    assert [run_command(["new", "robot"]), run_command(["new", "file"])] == [1, 1]
    assert written(folder) == ["file", "robot/mine"]
    expected = "exists already; expected the name of a folder that is new or empty"
    assert capsys.readouterr().err == f"error: robot {expected}\nerror: file {expected}\n"


def test_space_in_the_name_of_a_node_is_a_hyphen(folder: Path) -> None:
    assert run_command(["new", "my thing", "--kind", "node"]) == 0
    assert written(folder / "my-thing") == FILES["node"]


RULE = "expected letters a-z, digits, '-' and '_', starting with a letter or digit"
NAMES = [
    ("dataflow", "my robot", f"{RULE}; did you mean 'my-robot'?"),
    ("dataflow", "müller", f"{RULE}; did you mean 'muller'?"),
    ("dataflow", "ロボット", RULE),
    ("dataflow", "-", RULE),
    ("dataflow", "", RULE),
    ("dataflow", "a/b", f"{RULE}; to write to another folder: dora new b a/b"),
    ("dataflow", "..", RULE),
    ("node", "class", "'class' is a word of Python; did you mean 'class-node'?"),
    ("node", "json", "it would hide Python's module 'json' from the code; did you mean 'json-node'?"),
    ("operator", "dora", "it would hide Python's module 'dora' from the code; did you mean 'dora-node'?"),
    ("node", "3d", "'3d' cannot be a Python module; did you mean 'node-3d'?"),
]


@pytest.mark.parametrize(("kind", "name", "fault"), NAMES)
def test_name_that_cannot_be_used_is_refused_with_a_better_one(
    kind: str, name: str, fault: str, capsys: Capture, folder: Path
) -> None:
    assert run_command(["new", "--kind", kind, "--", name]) == 1
    what = "an operator" if kind == "operator" else f"a {kind}"
    assert capsys.readouterr().err == f"error: '{name}' cannot be the name of {what}: {fault}\n"
    assert not list(folder.iterdir())


def test_dataflow_may_have_a_name_that_no_module_has() -> None:
    assert run_command(["new", "class"]) == 0


def test_failure_leaves_nothing(capsys: Capture, folder: Path) -> None:
    Path("file").touch()
    assert run_command(["new", "robot", "file/robot"]) == 1
    assert capsys.readouterr().err.startswith(f"error: cannot write to {folder / 'file'}: ")
    assert written(folder) == ["file"]


def test_other_languages_are_wrong_usage(capsys: Capture) -> None:
    assert run_command(["new", "x", "--lang", "rust"]) == 2
    assert "'rust' is not" in capsys.readouterr().err
