"""`dora expand`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]

MODULE = """\
module: {name: m, inputs: [in], outputs: [out]}
nodes:
- {id: relay, path: relay.py, inputs: {x: _mod/in}, outputs: [out]}
"""
USER = """\
nodes:
- {id: a, path: a.py, outputs: [o]}
- {id: m, module: m.yml, inputs: {in: a/o}}
- {id: b, path: b.py, inputs: {y: m/out}}
"""
FLAT = """\
nodes:
- id: a
  path: a.py
  outputs:
  - o
- id: m.relay
  path: relay.py
  inputs:
    x: a/o
  outputs:
  - out
- id: b
  path: b.py
  inputs:
    y: m.relay/out
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current directory: a dataflow that uses a module."""
    monkeypatch.chdir(tmp_path)
    Path("m.yml").write_text(MODULE)
    Path("flow.yml").write_text(USER)


def test_modules_are_replaced_by_their_nodes(capsys: Capture) -> None:
    assert run_command(["expand", "flow.yml"]) == 0
    assert capsys.readouterr() == (FLAT, "")


def test_what_is_printed_is_printed_the_same_again(capsys: Capture) -> None:
    Path("flat.yml").write_text(FLAT)
    assert run_command(["expand", "flat.yml"]) == 0
    assert capsys.readouterr().out == FLAT


def test_wrong_dataflow_is_printed_with_its_problems_and_the_exit_code_is_1(capsys: Capture) -> None:
    Path("flow.yml").write_text(USER.replace("m/out", "m/nope"))
    assert run_command(["expand", "flow.yml"]) == 1
    out, err = capsys.readouterr()
    assert "m.relay" in out
    assert err.startswith("error: flow.yml:4:35: node 'b': input 'y': node 'm' (module m) has no output 'nope'")


def test_module_file_is_checked_for_itself(capsys: Capture) -> None:
    assert run_command(["expand", "--module", "m.yml"]) == 0
    assert capsys.readouterr() == ("Module file is valid: m.yml\n", "")


def test_wrong_module_file_is_said(capsys: Capture) -> None:
    Path("m.yml").write_text(MODULE.replace("[out]}\nnodes", "[gone]}\nnodes"))
    assert run_command(["expand", "--module", "m.yml"]) == 1
    assert "error: m.yml:1:43: module: no node of it sends the output 'gone'" in capsys.readouterr().err
