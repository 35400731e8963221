"""The pages tell the truth: map, commands, tables."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dora import env

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def readme_commands() -> list[str]:
    """The indented one-line commands of the README, in order."""
    return [line.strip() for line in README.splitlines() if line.startswith("    python3 ")]


def variables_read(path: Path) -> set[str]:
    """The `DORA_*` names that a file looks up in an environment."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    looked_up = [call for call in calls if ast.unparse(call.func).split(".")[-1] in {"get", "getenv"} and call.args]
    names = {arg.value for call in looked_up if isinstance(arg := call.args[0], ast.Constant)}
    return {name for name in names if isinstance(name, str) and name.startswith("DORA_")}


def test_architecture_page_names_every_folder_and_base_module() -> None:
    source = ROOT / "src" / "dora"
    folders = {f"`{path.name}/`" for path in source.iterdir() if (path / "__init__.py").is_file()}
    files = {f"`{path.name}`" for path in source.glob("*.py") if not path.name.startswith("__")}
    assert not {name for name in folders | files if name not in ARCHITECTURE}


def test_readme_first_command_runs_the_face_detection_job() -> None:
    assert readme_commands()[0].endswith("dora run --uv examples/face-detection/dataflow.yml")
    assert (ROOT / "examples" / "face-detection" / "dataflow.yml").is_file()


def test_readme_second_command_is_what_ci_runs() -> None:
    assert readme_commands()[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_readme_commands_need_no_other_set_up() -> None:
    assert len(readme_commands()) == 2
    assert all(command.startswith("python3 -m venv .venv && ") for command in readme_commands())


def test_readme_shows_hello_world_as_it_is_in_examples() -> None:
    for name in ("sender.py", "receiver.py", "dataflow.yml"):
        text = (ROOT / "examples" / "hello-world" / name).read_text()
        assert text in README, name


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/README.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"


def test_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "docs", tmp_path], env=environment, check=True, timeout=30)
    for page in tmp_path.iterdir():
        assert page.read_text() == (ROOT / "docs" / page.name).read_text(), f"run scripts/docs: {page.name}"


def test_every_public_name_of_the_api_has_a_text() -> None:
    page = (ROOT / "docs" / "node-api.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("###")]
    assert len(headings) > 90
    for heading in headings:
        assert not page.split(heading + "\n", 1)[1].lstrip("\n").startswith("#"), f"no docstring: {heading}"


@pytest.mark.parametrize("name", ["Node", "run", "build", "MockNode", "DataflowBuilder", "torch_to_ipc_buffer"])
def test_page_of_the_api_names_what_users_import(name: str) -> None:
    assert f"### `{name}(" in (ROOT / "docs" / "node-api.md").read_text()


def test_page_of_operators_says_that_sent_memory_is_not_copied() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    assert "The receiver gets the very array that was sent, so do not write to its memory afterwards" in page


def test_every_variable_that_is_read_is_in_the_table() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert variables_read(path) <= env.VARIABLES.keys(), path


def test_scripts_are_short() -> None:
    for script in (ROOT / "scripts").iterdir():
        assert len(script.read_text().splitlines()) < 20, script


def test_every_example_has_a_page_and_a_dataflow() -> None:
    for folder in (path for path in (ROOT / "examples").iterdir() if path.is_dir()):
        assert (folder / "README.md").is_file(), folder
        assert (folder / "dataflow.yml").is_file(), folder
