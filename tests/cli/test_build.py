"""`dora build`: its options, what it says, its exit codes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]
Call = Callable[..., int]

NODE = "nodes:\n  - id: a\n    path: a.py\n    build: {build}\n"


@pytest.fixture
def dora_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Writes a dataflow and builds it; returns the exit code."""
    monkeypatch.setenv("DORA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(text: str, *options: str) -> int:
        (tmp_path / "dataflow.yml").write_text(text)
        code = run_command(["build", "dataflow.yml", *options])
        assert not (tmp_path / "home").exists() or os.listdir(tmp_path / "home") == []
        return code

    return call


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--locked", "--write-lockfile"], "error: --locked and --write-lockfile exclude each other"),
        (["--coordinator-port", "0"], "0 is not in the range 1<=x<=65535"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_builds_nothing(
    dora_build: Call, capsys: Capture, options: list[str], text: str
) -> None:
    assert dora_build(NODE.format(build="touch built"), *options) == 2
    assert text in capsys.readouterr().err
    assert not Path("built").exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_coordinator_on_this_machine_is_one_that_builds_here(dora_build: Call, capfd: Capture, host: str) -> None:
    assert dora_build(NODE.format(build="touch built"), "--coordinator-addr", host) == 0
    assert Path("built").exists()
    assert capfd.readouterr().err == ""


def test_coordinator_on_another_machine_does_not_build(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build="touch built"), "--coordinator-addr", "robot.local") == 0
    assert capfd.readouterr().err == "warning: nodes are built on this machine, not on robot.local\n"


def test_lockfile_alone_is_an_error(dora_build: Call, capsys: Capture) -> None:
    assert dora_build(NODE.format(build="touch built"), "--lockfile", "x") == 1
    assert capsys.readouterr().err == "error: --lockfile needs --locked or --write-lockfile\n"
    assert not Path("built").exists()


def test_lines_of_the_build_and_its_time_are_shown(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build="echo one && echo two")) == 0
    shown = [line.split(maxsplit=1)[1] for line in capfd.readouterr().out.splitlines()]
    assert [line.partition("after")[0] for line in shown] == ["INFO   a: one", "INFO   a: two", "INFO   a: ready "]


def test_second_build_says_that_nothing_has_changed(dora_build: Call, capfd: Capture) -> None:
    dora_build(NODE.format(build="echo built"))
    capfd.readouterr()
    assert dora_build(NODE.format(build="echo built")) == 0
    assert capfd.readouterr().out.endswith(" INFO   [dora]: unchanged, not built again: a\n")


def test_forced_build_is_repeated(dora_build: Call, capfd: Capture) -> None:
    dora_build(NODE.format(build="echo built"))
    capfd.readouterr()
    assert dora_build(NODE.format(build="echo built"), "--force") == 0
    assert " a: built\n" in capfd.readouterr().out


def test_failed_build_ends_with_1_and_shows_the_command(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build="cat nothing.txt")) == 1
    assert capfd.readouterr().err == (
        "error: node 'a': build command `cat nothing.txt` returned exit status 1:\n"
        "  cat: nothing.txt: No such file or directory\n"
    )


def test_strict_types_make_type_warnings_errors(dora_build: Call, capsys: Capture) -> None:
    text = (
        "nodes:\n  - {id: a, path: a.py, build: touch built, outputs: [x], output_types: {x: std/core/v1/Float32}}\n"
        "  - {id: b, path: b.py, inputs: {y: a/x}, input_types: {y: std/core/v1/Bool}}\n"
    )
    assert dora_build(text, "--strict-types") == 1
    assert "a/x" in capsys.readouterr().err
    assert not Path("built").exists()


def test_ctrl_c_ends_the_builds_and_says_so(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build=f"kill -INT {os.getpid()}; sleep 1000")) == 130
    told = "interrupted: the builds under way were ended; what was finished is kept"
    assert capfd.readouterr().err.rstrip() == told


def test_quiet_build_shows_nothing(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build="echo built"), "--quiet") == 0
    assert capfd.readouterr() == ("", "")


def test_nodes_of_other_machines_are_built_here_with_a_warning(dora_build: Call, capfd: Capture) -> None:
    text = NODE.format(build="touch built") + "    deploy: {machine: arm}\n"
    assert dora_build(text) == 0
    assert capfd.readouterr().err == "warning: nodes with 'deploy' are built on this machine: a\n"
    assert Path("built").exists()
    assert dora_build(text, "--local") == 0
    assert capfd.readouterr().err == ""


def test_dataflow_without_anything_to_build_is_said_to_be_one(dora_build: Call, capfd: Capture) -> None:
    Path("a.py").touch()
    assert dora_build("nodes: [{id: a, path: a.py}]") == 0
    out, err = capfd.readouterr()
    assert out.endswith("[dora]: nothing to build: no node has `build:`, `git:` or a URL\n")
    assert (err, sorted(os.listdir())) == ("", ["a.py", "dataflow.yml"])


def test_lock_file_is_asked_for_and_written_without_anything_to_build(dora_build: Call, capfd: Capture) -> None:
    Path("a.py").touch()
    text = "nodes: [{id: a, path: a.py}]"
    assert dora_build(text, "--locked") == 1
    assert "dataflow.dora-lock.yaml" in capfd.readouterr().err
    assert dora_build(text, "--write-lockfile") == 0
    assert Path("dataflow.dora-lock.yaml").exists()
    assert dora_build(text, "--locked") == 0


def test_script_that_no_build_makes_is_missed(dora_build: Call, capfd: Capture) -> None:
    assert dora_build(NODE.format(build="touch c.py") + "  - {id: b, path: b.py}\n  - {id: c, path: c.py}\n") == 0
    err = capfd.readouterr().err
    assert err.startswith("warning: dataflow.yml:5:19: node 'b': no file 'b.py' in ")
    assert len(err.splitlines()) == 1
