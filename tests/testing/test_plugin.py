"""The pytest plugin: found by its entry point, light, and its fixture runs nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

TEST = """
from dora.testing import NodeSettings

def test_node(node_harness):
    result = node_harness("nodes/double.py", NodeSettings(env={"BY": "3"})).run([("tick", [21])])
    assert result.printed == "63\\n"
    assert result.exit_code == 0
"""
NODE = """
import os
from dora import Node
for event in Node():
    if event["type"] == "INPUT":
        print(event["value"].to_pylist()[0] * int(os.environ["BY"]))
"""


@pytest.mark.slow
def test_fixture_runs_a_script_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "double.py").write_text(NODE)
    (tmp_path / "tests" / "unit" / "test_double.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_plugin_is_an_entry_point() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\ndora = "dora.testing.plugin"\n' in text


@pytest.mark.slow
def test_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport dora.testing.plugin\nprint(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(loaded) == ["dora", "dora.testing", "dora.testing.plugin", "dora.version"]
