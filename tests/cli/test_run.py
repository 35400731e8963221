"""`dora run`: its options, its errors, its exit codes; whole runs are in `end_to_end/`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]
Call = Callable[..., int]

EMPTY = "nodes: []\n"
SILENT = "nodes:\n  - id: a\n    path: {path}\n    args: {args}\n"


@pytest.fixture
def dora_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Writes a dataflow and runs it; returns the exit code."""
    home = tmp_path / "home"
    monkeypatch.setenv("DORA_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def call(text: str, *options: str) -> int:
        (tmp_path / "dataflow.yml").write_text(text)
        code = run_command(["run", "dataflow.yml", *options])
        assert not home.exists() or os.listdir(home) == []
        return code

    return call


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--stop-after", "soon"], "'soon' is not a duration such as 30, 500ms"),
        (["--grace", "-1"], "'-1' is not a duration"),
        (["--log-level", "loud"], "'loud' is not one of"),
        (["--log-format", "xml"], "'xml' is not one of"),
        (["--exit-when-nodes-finish=maybe"], "'maybe' is not one of 'true', 'false'"),
        (["--frob"], "no such option '--frob'"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_starts_nothing(
    dora_run: Call, capsys: Capture, options: list[str], text: str
) -> None:
    assert dora_run(EMPTY, *options) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--env", "X"], "error: --env: expected KEY=VALUE, for example SPEED=2, found 'X'\n"),
        (["--env", "=1"], "error: --env: expected KEY=VALUE, for example SPEED=2, found '=1'\n"),
        (["--env", "LD_PRELOAD=x"], "error: --env: 'LD_PRELOAD' cannot be set: dora sets or forbids this variable\n"),
        (["--log-filter", "b=info"], "error: log filter 'b=info': no node 'b' (has: a)\n"),
        ([], "error: dataflow.yml:3:11: node 'a': no file 'missing.py' in "),
    ],
)
def test_an_error_is_one_line_and_ends_with_1(dora_run: Call, capsys: Capture, options: list[str], error: str) -> None:
    assert dora_run("nodes:\n  - id: a\n    path: missing.py\n", *options) == 1
    said = capsys.readouterr().err
    assert said.startswith(error)


@pytest.mark.parametrize(
    "options",
    [[], ["--exit-when-nodes-finish"], ["--exit-when-nodes-finish=FALSE"], ["--log-format", "JSON"], ["--debug", "-q"]],
)
def test_an_empty_dataflow_succeeds_at_once(dora_run: Call, options: list[str]) -> None:
    assert dora_run(EMPTY, *options) == 0


def test_the_help_shows_how_it_is_used(capsys: Capture) -> None:
    assert run_command(["run", "--help"]) == 0
    text = capsys.readouterr().out
    assert "dora run dataflow.yml --stop-after 10s --log-level info" in text
    assert "Exit code 0: every node ended well; 1: one failed" in text


@pytest.mark.parametrize(("program", "code"), [("'true'", 0), ("'false'", 1)])
def test_the_exit_code_says_whether_a_node_failed(dora_run: Call, program: str, code: int) -> None:
    assert dora_run(SILENT.format(path=program, args="")) == code


def test_a_quiet_run_shows_nothing_but_the_output_of_the_nodes(
    dora_run: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    assert dora_run(SILENT.format(path="echo", args="hello"), "--quiet", "--log-format", "compact") == 0
    shown = capfd.readouterr()
    assert shown.out.endswith(" STDOUT a: hello\n")
    assert shown.out.count("\n") == 1
    assert shown.err == ""


def test_a_failed_node_is_reported_with_its_command_and_log_file(
    dora_run: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    assert dora_run(SILENT.format(path="ls", args="/nonexistent")) == 1
    said = capfd.readouterr().err
    assert "Node `a` failed: exited with code 2 before connecting to dora with stderr output:" in said
    assert "ls /nonexistent" in said
    assert "log_a.jsonl" in said


def test_variables_of_the_command_line_reach_the_nodes(dora_run: Call, capfd: pytest.CaptureFixture[str]) -> None:
    assert dora_run(SILENT.format(path="printenv", args="SPEED"), "--env", "SPEED=2=3") == 0
    assert capfd.readouterr().out.endswith("a: 2=3\n")
