"""Mistakes in a dataflow file: one clear message with its place, exit code 1, within a second, nothing started.

Strategy: one of them is made with the real command and timed, the others in the process of the test.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from end_to_end.running import Flow
from end_to_end.services import run_here
from end_to_end.timing import assert_within

pytestmark = pytest.mark.slow

MOST_S = 1.0
PAIR = "nodes:\n- id: camera\n  path: a.py\n  outputs: [image]\n- id: plot\n  path: a.py\n"


def refused(flow: Flow, *words: str) -> str:
    """What `dora run` says to a dataflow that cannot be run, on stderr."""
    done = run_here(["run", *words], flow.folder, flow.environment)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert not list(flow.folder.glob("out/*")), "something was started"
    return done.stderr


def write(flow: Flow, text: str, name: str = "flow.yml") -> None:
    (flow.folder / name).write_text(text)


def test_missing_file(flow: Flow) -> None:
    def measure() -> float:
        began_s = time.monotonic()
        command = [sys.executable, "-m", "dora", "run", "flow.yml"]
        done = subprocess.run(command, cwd=flow.folder, env=flow.environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: flow.yml: file not found\n"), done
        return time.monotonic() - began_s

    assert_within(MOST_S, measure)


def test_missing_file_with_another_one_beside_it(flow: Flow) -> None:
    write(flow, "nodes: []\n")
    assert refused(flow, "flo.yml") == "error: flo.yml: file not found; there is: ./flow.yml\n"


def test_directory(flow: Flow) -> None:
    write(flow, "nodes: []\n")
    text = "error: .: expected a YAML file, found a directory; there is: ./flow.yml\n"
    assert refused(flow, ".") == text


def test_file_that_may_not_be_read(flow: Flow) -> None:
    (flow.folder / "flow.yml").symlink_to("flow.yml")
    assert refused(flow, "flow.yml") == "error: flow.yml: cannot read the file: Too many levels of symbolic links\n"


def test_broken_yaml(flow: Flow) -> None:
    write(flow, "nodes:\n  - id: a\n   path: a.py\n")
    assert refused(flow, "flow.yml") == (
        "error: flow.yml:3:4: not valid YAML: did not find expected '-' indicator (while parsing a block collection "
        "that begins in line 2); check the indentation of this line and the one before\n"
        "    3 |    path: a.py\n"
        "      |    ^\n"
    )


def test_empty_file(flow: Flow) -> None:
    write(flow, "")
    assert refused(flow, "flow.yml") == "error: flow.yml: expected a dataflow with 'nodes', found an empty file\n"


def test_unknown_output_of_a_source(flow: Flow) -> None:
    write(flow, "", "a.py")
    write(flow, PAIR + "  inputs:\n    x: camera/imgae\n")
    assert refused(flow, "flow.yml") == (
        "error: flow.yml:8:8: node 'plot': input 'x': node 'camera' has no output 'imgae'; did you mean 'image'?\n"
        "    8 |     x: camera/imgae\n"
        "      |        ^\n"
    )


def test_unknown_source_node(flow: Flow) -> None:
    write(flow, "", "a.py")
    write(flow, PAIR + "  inputs: {x: camra/image}\n")
    assert refused(flow, "flow.yml") == (
        "error: flow.yml:7:15: node 'plot': input 'x': there is no node 'camra'; did you mean 'camera'?\n"
        "    7 |   inputs: {x: camra/image}\n"
        "      |               ^\n"
    )


def test_missing_script(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: camra.py\n")
    write(flow, "", "camera.py")
    assert refused(flow, "flow.yml") == (
        f"error: flow.yml:3:9: node 'camera': no file 'camra.py' in {flow.folder}; did you mean 'camera.py'?\n"
        "    3 |   path: camra.py\n"
        "      |         ^\n"
    )


def test_program_that_is_neither_here_nor_on_the_path(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: no-such-program\n")
    assert refused(flow, "flow.yml") == (
        f"error: flow.yml:3:9: node 'camera': no file 'no-such-program' in {flow.folder} or on PATH\n"
        "    3 |   path: no-such-program\n"
        "      |         ^\n"
    )


def test_script_that_is_not_executable(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: ./camera.sh\n")
    write(flow, "#!/bin/sh\n", "camera.sh")
    assert refused(flow, "flow.yml") == (
        "error: flow.yml:3:9: node 'camera': './camera.sh' is not executable; run: chmod +x ./camera.sh\n"
        "    3 |   path: ./camera.sh\n"
        "      |         ^\n"
    )


def test_directory_as_a_program(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: camera\n")
    (flow.folder / "camera").mkdir()
    assert refused(flow, "flow.yml") == (
        "error: flow.yml:3:9: node 'camera': expected a script or program, found the directory 'camera'\n"
        "    3 |   path: camera\n"
        "      |         ^\n"
    )


def test_shell_node_that_was_not_allowed(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: shell\n  args: echo hi\n")
    assert refused(flow, "flow.yml").startswith(
        "error: flow.yml:2:1: node 'camera': `path: shell` is not allowed; "
        "use --allow-shell-nodes, or set DORA_ALLOW_SHELL_NODES=true, if you trust this dataflow\n"
    )


def test_node_for_another_machine(flow: Flow) -> None:
    write(flow, "nodes:\n- id: camera\n  path: camera.py\n  deploy: {machine: robot}\n")
    write(flow, "", "camera.py")
    text = "error: flow.yml:2:3: node 'camera' has 'deploy', but this dora runs all nodes on this machine"
    assert refused(flow, "flow.yml").startswith(text)


def test_nothing_is_started_when_one_of_two_scripts_is_missing_and_both_mistakes_are_said(flow: Flow) -> None:
    write(flow, "nodes:\n- {id: a, path: a.py}\n- {id: b, path: b.py}\n- {id: c, path: c.py}\n")
    write(flow, "open('started', 'w')", "c.py")
    said = refused(flow, "flow.yml")
    assert "error: flow.yml:2:17: node 'a': no file 'a.py' in" in said
    assert "error: flow.yml:3:17: node 'b': no file 'b.py' in" in said
    assert not (flow.folder / "started").exists()


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--log-filter=plot=info", "error: log filter 'plot=info': no node 'plot' (has: camera)\n"),
        ("--log-filter=camera", "error: log filter 'camera': expected NODE=LEVEL, for example camera=debug\n"),
        ("--env=SPEED", "error: --env: expected KEY=VALUE, for example SPEED=2, found 'SPEED'\n"),
    ],
)
def test_wrong_settings_on_the_command_line(flow: Flow, option: str, text: str) -> None:
    write(flow, "nodes:\n- id: camera\n  path: camera.py\n")
    write(flow, "", "camera.py")
    assert refused(flow, "flow.yml", option) == text


def test_no_place_for_the_runtime_directory(flow: Flow) -> None:
    write(flow, "nodes: []\n")
    flow.environment["DORA_HOME"] = str(flow.folder / "flow.yml" / "below")
    text = (
        f"error: no place for the runtime directory of this run; tried {flow.folder}/flow.yml/below: Not a directory\n"
    )
    assert refused(flow, "flow.yml") == text
