"""Runtime nodes at the runner: their command, what their process is told, their builds, what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Dataflow, Input, LogSettings, LogsSource, Node, Operator, OutputSource, TimerSource
from dora.errors import DescriptorError
from dora.messages.node_runner import OperatorConfig, OperatorInput
from dora.runner import builds
from dora.runner.environments import managed_env_of
from dora.runner.interpreter import RUNTIME_CODE, command_for, downloads_of
from dora.runner.operators import operator_configs
from dora.runner.state.routes import sibling_routes
from dora.runner.stated_python import has_our_dora

ENVIRON = {"PATH": "/usr/bin:/bin"}
TICK = Input("tick", TimerSource(1, "dora/timer/nanos/1"))
PRE = Operator("pre", "pre.py", {"image": Input("image", OutputSource("camera", "image")), "tick": TICK}, ("small",))
POST = Operator("post", "lib/post.py", {"small": Input("small", OutputSource("rt", "pre/small"), 3, is_stated=True)})
OUTSIDE = {"pre/image": PRE.inputs["image"], "pre/tick": TICK}
RUNTIME = Node("rt", "", inputs=OUTSIDE, outputs=("pre/small",), operators=(PRE, POST))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both operators in it."""
    has_our_dora.cache_clear()
    (tmp_path / "lib").mkdir()
    for operator in RUNTIME.operators:
        (tmp_path / operator.source).touch()
    return tmp_path


def command(node: Node, folder: Path, **environ: str) -> tuple[str, ...]:
    """The command line of a node without an environment of its own."""
    return command_for(node, folder, managed_env=None, environ=ENVIRON | environ)[0]


def test_operators_run_in_a_process_that_is_told_their_files(folder: Path) -> None:
    expected = (sys.executable, "-u", "-c", RUNTIME_CODE, f"pre={folder}/pre.py", f"post={folder}/lib/post.py")
    assert command(RUNTIME, folder) == expected


def test_missing_operator_file_is_named(folder: Path) -> None:
    (folder / "pre.py").unlink()
    with pytest.raises(DescriptorError, match=r"operator 'pre': no Python file 'pre.py' in "):
        command(RUNTIME, folder)


def test_conda_environment_is_entered_by_conda(folder: Path) -> None:
    conda = folder / "bin" / "conda"
    conda.parent.mkdir()
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    argv = command(RUNTIME._replace(conda_env="torch"), folder, PATH=str(conda.parent))
    assert argv[:8] == (str(conda), "run", "--no-capture-output", "-n", "torch", "python", "-u", "-c")


def test_conda_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(DescriptorError, match="'conda_env' needs the program conda"):
        command(RUNTIME._replace(conda_env="torch"), folder, PATH=str(folder))


def test_operator_from_a_url_runs_from_where_it_was_downloaded(folder: Path) -> None:
    node = Node(
        "rt", "", operators=(PRE._replace(source="https://x/op.py?v=1"), POST._replace(source="https://x/op.py"))
    )
    found = downloads_of(node, folder)
    assert list(found.values()) == [
        folder / "build" / "rt" / "pre" / "op.py",
        folder / "build" / "rt" / "post" / "op.py",
    ]
    for file in found.values():
        file.parent.mkdir(parents=True)
        file.touch()
    assert command(node, folder)[4:] == (f"pre={folder}/build/rt/pre/op.py", f"post={folder}/build/rt/post/op.py")


def test_url_of_an_operator_is_something_to_build(folder: Path) -> None:
    def needs_build(node: Node) -> bool:
        return builds.needs_build(Dataflow(folder / "d.yml", folder, (node,)))

    assert not needs_build(RUNTIME)
    assert needs_build(RUNTIME._replace(operators=(PRE._replace(source="https://x/op.py"),)))
    assert needs_build(RUNTIME._replace(build="true"))


def test_runtime_node_with_a_build_gets_an_environment_of_its_own_unless_conda_has_it(folder: Path) -> None:
    built = RUNTIME._replace(build="pip install x")
    assert managed_env_of(built, folder) == folder / ".dora" / "python-envs" / "rt"
    assert managed_env_of(RUNTIME, folder) is None
    assert managed_env_of(built._replace(conda_env="e"), folder) is None


def configs(node: Node) -> list[OperatorConfig]:
    """What the process of that node is told, in a dataflow of two."""
    camera = Input("image", OutputSource("camera", "image"))
    nodes = (Node("x", "x.py", inputs={"image": camera}), node)
    return operator_configs(node, sibling_routes(Dataflow(Path("d.yml"), Path(), nodes)))


def test_process_is_told_who_feeds_its_operators() -> None:
    first = 1 + sum(isinstance(port.source, OutputSource) for port in RUNTIME.inputs.values())
    assert configs(RUNTIME) == [
        OperatorConfig("pre", [OperatorInput("image", "camera"), OperatorInput("tick")], ["small"]),
        OperatorConfig("post", [OperatorInput("small", "rt", "pre/small", 3, False, True, first)], []),
    ]


def test_what_a_runtime_node_prints_comes_to_its_operators_from_outside() -> None:
    lines = Input("lines", OutputSource("rt", "a/lines"))
    logs = Input("logs", LogsSource(None, None))
    operator = Operator("a", "a.py", {"lines": lines, "logs": logs}, ("out", "lines"))
    outside = {"a/lines": lines, "a/logs": logs}
    log = LogSettings(send_stdout_as="a/lines")
    node = Node("rt", "", inputs=outside, outputs=("a/out", "a/lines"), log=log, operators=(operator,))
    (found,) = configs(node)
    assert found == OperatorConfig("a", [OperatorInput("lines", "rt"), OperatorInput("logs")], ["out"])


def test_other_nodes_have_no_operators() -> None:
    assert configs(Node("a", "a.py")) == []
