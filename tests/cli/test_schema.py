"""`dora schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dora.cli.main import run_command
from dora.dataflow.json_schema import dataflow_schema, module_schema

Capture = pytest.CaptureFixture[str]


def test_schema_of_dataflows_is_printed(capsys: Capture) -> None:
    assert run_command(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == dataflow_schema()


def test_schema_of_modules_is_printed(capsys: Capture) -> None:
    assert run_command(["schema", "--module"]) == 0
    assert json.loads(capsys.readouterr().out) == module_schema()


def test_schema_is_written_to_a_file(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    assert run_command(["schema", "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"Wrote {file}\n"
    assert json.loads(file.read_text()) == dataflow_schema()


def test_place_that_cannot_be_written_is_an_error(capsys: Capture) -> None:
    assert run_command(["schema", "-o", "/no/such/folder/s.json"]) == 1
    assert capsys.readouterr().err == "error: cannot write /no/such/folder/s.json: No such file or directory\n"
