"""`dora validate`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]

GOOD = "nodes:\n- id: a\n  path: a.py\n  outputs: [o, unread]\n- id: b\n  path: a.py\n  inputs: {i: a/o}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a good dataflow, its script, and a bad dataflow."""
    monkeypatch.chdir(tmp_path)
    Path("a.py").touch()
    Path("good.yml").write_text(GOOD)
    Path("bad.yml").write_text(GOOD.replace("a/o", "a/x").replace("id: b", "id: b b"))
    Path("odd.yml").write_text(GOOD.replace("  path: a.py\n  inputs", "  path: b.py\n  input: 5\n  inputs"))
    return tmp_path


def test_good_file_is_said_to_be_good(capsys: Capture) -> None:
    assert run_command(["validate", "good.yml"]) == 0
    expected = "Validating good.yml...\nInput/output wiring OK.\nDescriptor config OK.\n"
    expected += "All type annotations OK.\n2 nodes, 1 input, 0 warnings\n"
    assert capsys.readouterr() == (f"{expected}Outputs that no node reads: a/unread\n", "")


def test_all_problems_are_shown_and_the_exit_code_is_1(capsys: Capture) -> None:
    assert run_command(["validate", "bad.yml"]) == 1
    out, err = capsys.readouterr()
    assert out == "Validating bad.yml...\n"
    assert [line.partition(": node")[0] for line in err.splitlines()[::3]] == [
        "error: bad.yml:5:7",
        "error: bad.yml:7:15",
    ]


def test_unknown_key_and_missing_script_are_warnings(capsys: Capture) -> None:
    assert run_command(["validate", "odd.yml"]) == 0
    out, err = capsys.readouterr()
    assert "2 nodes, 1 input, 2 warnings" in out
    assert "warning: odd.yml:7:3: node 'b': unknown key 'input' is ignored; did you mean 'inputs'?" in err
    assert "warning: odd.yml:6:9: node 'b': no file 'b.py' in" in err


def test_missing_programs_are_named_beside_errors(capsys: Capture) -> None:
    text = GOOD.replace("path: a.py\n  inputs", "path: b.py\n  inputs").replace("a/o", "a/x")
    Path("two.yml").write_text(text + "- id: c\n  operator: {python: c.py, inputs: {i: a/o}}\n")
    assert run_command(["validate", "two.yml"]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", "warning"))]
    assert [line.partition(" in ")[0] for line in said] == [
        "warning: two.yml:6:9: node 'b': no file 'b.py'",
        "error: two.yml:7:15: node 'b': input 'i': node 'a' has no output 'x'; has: o, unread",
        "warning: two.yml:9:22: node 'c': operator 'op': no Python file 'c.py'",
    ]


def test_program_that_a_build_makes_is_not_missed_beside_errors(capsys: Capture) -> None:
    Path("built.yml").write_text(GOOD.replace("path: a.py\n  inputs", "path: b.py\n  build: make\n  inputs") + "- 5\n")
    assert run_command(["validate", "built.yml"]) == 1
    assert "b.py" not in capsys.readouterr().err


def test_node_of_another_machine_is_a_warning(capsys: Capture) -> None:
    Path("far.yml").write_text("nodes: [{id: a, path: a.py, deploy: {machine: arm}}]")
    assert run_command(["validate", "far.yml"]) == 0
    expected = (
        "warning: far.yml:1:9: node 'a' has 'deploy', but this dora runs all nodes on this machine; remove 'deploy'"
    )
    assert capsys.readouterr().err.splitlines()[0] == expected


def test_warnings_are_errors_when_strict(capsys: Capture) -> None:
    assert run_command(["validate", "--strict", "odd.yml"]) == 1
    assert "error: odd.yml:7:3: node 'b': unknown key 'input'" in capsys.readouterr().err


def test_output_that_no_node_reads_is_no_mistake_even_when_strict(capsys: Capture) -> None:
    assert run_command(["validate", "--strict", "good.yml"]) == 0
    assert "Outputs that no node reads: a/unread\n" in capsys.readouterr().out


def test_missing_script_is_an_error_when_strict(capsys: Capture) -> None:
    Path("gone.yml").write_text("nodes: [{id: a, path: gone.py}]")
    assert run_command(["validate", "--strict", "gone.yml"]) == 1
    assert "error: gone.yml:1:23: node 'a': no file 'gone.py'" in capsys.readouterr().err


def test_several_files_are_all_looked_at(capsys: Capture) -> None:
    assert run_command(["validate", "bad.yml", "good.yml", "nope.yml", "."]) == 1
    out, err = capsys.readouterr()
    assert out.count("Validating") == 4
    assert "Descriptor config OK." in out
    assert "error: nope.yml: file not found" in err
    assert "error: .: expected a YAML file, found a directory" in err


def test_results_as_json_are_one_object_per_file(capsys: Capture) -> None:
    assert run_command(["validate", "--format", "json", "odd.yml", "bad.yml", "nope.yml"]) == 1
    out, err = capsys.readouterr()
    odd, bad, nope = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert (odd["file"], odd["valid"], odd["nodes"]) == ("odd.yml", True, ["a", "b"])
    assert odd["unread_outputs"] == ["a/unread"]
    text = "node 'b': unknown key 'input' is ignored; did you mean 'inputs'?"
    assert odd["problems"][0] == {"file": "odd.yml", "line": 7, "column": 3, "severity": "warning", "text": text}
    assert [(problem["line"], problem["severity"]) for problem in bad["problems"]] == [(5, "error"), (7, "error")]
    problem = nope["problems"][0]
    assert (nope["valid"], problem["file"], problem["line"], problem["text"][:14]) == (
        False,
        "nope.yml",
        0,
        "file not found",
    )


TYPED = """\
nodes:
- {id: a, path: a.py, outputs: [o], output_types: {o: std/core/v1/Int64}}
- {id: b, path: a.py, inputs: {i: a/o}, input_types: {i: std/media/v1/Image}}
- {id: c, path: a.py, inputs: {i: a/o}}
"""


def test_types_are_checked_and_what_is_inferred_is_said(capsys: Capture) -> None:
    Path("typed.yml").write_text(TYPED)
    assert run_command(["validate", "typed.yml"]) == 0
    out, err = capsys.readouterr()
    assert "1 type warning found; --strict-types makes them errors.\nInferred: c/i is std/core/v1/Int64\n" in out
    assert err.startswith("warning: typed.yml:3:")


@pytest.mark.parametrize(("option", "line"), [("--strict-types", ""), ("--strict", ""), (None, "strict_types: true\n")])
def test_type_warnings_are_errors_when_strict(capsys: Capture, option: str | None, line: str) -> None:
    Path("typed.yml").write_text(TYPED + line)
    assert run_command(["validate", "typed.yml", *([option] if option else [])]) == 1
    assert capsys.readouterr().err.startswith("error: typed.yml:3:")


def test_types_of_the_user_are_counted(capsys: Capture) -> None:
    Path("types").mkdir()
    Path("types/my.yml").write_text("types: {Thing: {arrow: Int64}}")
    Path("own.yml").write_text("nodes: [{id: a, path: a.py, outputs: [o], output_types: {o: my/Thing}}]")
    assert run_command(["validate", "own.yml"]) == 0
    assert "Loaded 1 user-defined type from types/\n" in capsys.readouterr().out


def test_no_file_is_wrong_usage(capsys: Capture) -> None:
    assert run_command(["validate"]) == 2
    assert capsys.readouterr().err.startswith("error: missing argument 'FILE...'")


@pytest.mark.slow
def test_validate_works_with_a_bare_environment_and_a_name_that_is_no_text(folder: Path) -> None:
    name = os.fsencode(folder) + b"/\xff.yml"
    with open(name, "w") as file:
        file.write("nodes: 5")
    environ = {"LC_ALL": "C", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    command = [os.fsencode(sys.executable), b"-m", b"dora", b"validate", name]
    result = subprocess.run(command, capture_output=True, env=environ, timeout=30, check=False)
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    assert b":1:8: 'nodes': expected a list of nodes, found 5" in result.stderr
