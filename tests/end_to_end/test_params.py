"""`dora param` and the events that it makes, with real nodes: in a terminal, in the background, across kills."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dora.cli.main import run_command
from dora.control import Control, DirectControl
from dora.control.connecting import find_socket
from dora.control.http import Address
from end_to_end.running import Flow, Run, wait_until
from end_to_end.services import World

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

NODE = """
    import asyncio, os
    from dora import Node

    async def main():
        node = Node()
        print("started", node.is_restart(), flush=True)
        async for event in node:
            if event["type"] == "INPUT":
                print("data", flush=True)
                continue
            print(event["type"], event["id"], repr(event["value"]), flush=True)
            if event["value"] == "die" and not node.is_restart():
                os._exit(3)

    asyncio.run(main())
"""
OPERATOR = """
    class Operator:
        def on_event(self, event, send_output):
            if event["type"] != "INPUT":
                print(event["type"], event["id"], repr(event["value"]), flush=True)
"""


@pytest.fixture
def dora(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Command]:
    """Makes a `dora param ...` of the place that is given: exit code, stdout, stderr."""

    def make(home: Path) -> Command:
        monkeypatch.setenv("DORA_HOME", str(home))
        monkeypatch.setattr("dora.transport.rendezvous.bases", lambda environ: [str(home)])

        def call(*arguments: str) -> tuple[int, str, str]:
            code = run_command(["param", *arguments])
            said = capsys.readouterr()
            return code, said.out, said.err

        return call

    return make


@pytest.fixture
def run(flow: Flow) -> Run:
    """A run that a test has to itself."""
    return start(flow)


@pytest.fixture(scope="module")
def shared(flows: Callable[[], Flow]) -> Run:
    """A run of which one test sets parameters of the node, the other of the operators."""
    return start(flows())


def start(flow: Flow) -> Run:
    """A node and two operators, which run."""
    inputs = {"tick": "dora/timer/millis/20"}
    flow.node("camera", NODE, inputs=inputs, restart_policy="on-failure")
    flow.runtime(
        "eyes", flow.operator("left", OPERATOR, inputs=inputs), flow.operator("right", OPERATOR, inputs=inputs)
    )
    run = flow.start()
    run.wait_said("camera", "data")
    return run


def changes(run: Run, node: str) -> list[str]:
    """What the node said of events that are no data, in order."""
    return [line for line in run.said(node) if line != "data"]


def test_a_node_of_dora_run_hears_of_changes_and_hears_them_again_when_it_is_restarted(
    flow: Flow, run: Run, dora: Callable[[Path], Command]
) -> None:
    param = dora(flow.home)
    assert param("set", "camera", "gain", "-0.5") == (0, "Set `gain` = -0.5 on node `camera`\n", "")
    assert param("set", "camera", "mode", "fast") == (0, 'Set `mode` = "fast" on node `camera`\n', "")
    assert param("set", "camera", "old", '{"a": [1, null]}')[0] == 0
    assert param("delete", "camera", "old") == (0, "Deleted `old` from node `camera`\n", "")
    assert param("set", "camera", "gain", "2")[0] == 0
    assert param("set", "camera", "a/b", '"die"')[0] == 0
    run.wait_said("camera", "started True")
    assert param("delete", "camera", "a/b")[0] == 0
    run.wait_said("camera", "PARAM_DELETED a/b")
    said = changes(run, "camera")
    assert said[:7] == [
        "started False",
        "PARAM_UPDATE gain -0.5",
        "PARAM_UPDATE mode 'fast'",
        "PARAM_UPDATE old {'a': [1, None]}",
        "PARAM_DELETED old None",
        "PARAM_UPDATE gain 2",
        "PARAM_UPDATE a/b 'die'",
    ]
    again = said[said.index("started True") :][:4]
    assert again == ["started True", "PARAM_UPDATE mode 'fast'", "PARAM_UPDATE gain 2", "PARAM_UPDATE a/b 'die'"]
    assert run.said("camera")[run.said("camera").index("started True") + 1] == again[1], "before any data"


def test_every_operator_of_a_node_hears_of_its_parameters(shared: Run, dora: Callable[[Path], Command]) -> None:
    dora(shared.home)("set", "eyes", "gain", "[1, 2]")
    wait_until(lambda: changes(shared, "eyes").count("PARAM_UPDATE gain [1, 2]") == 2, what="both operators")


def test_the_commands_of_a_user_who_makes_mistakes(shared: Run, dora: Callable[[Path], Command]) -> None:
    param = dora(shared.home)
    assert param("list", "camera") == (
        0,
        "No parameters set for node `camera`\n",
        "hint: `dora param set camera KEY VALUE` sets one\n",
    )
    assert param("get", "camera", "x") == (1, "", "error: node `camera` has no parameter `x` (it has none)\n")
    code, _, said = param("set", "camera", "x", '{"a": 1')
    assert (code, said.splitlines()[0]) == (1, 'error: `{"a": 1` is not valid JSON: it ends too early')
    code, _, said = param("set", "camra", "x", "1")
    assert (code, said) == (1, "error: there is no node `camra` (did you mean `camera`? nodes: camera, eyes)\n")
    assert param("set", "camera", "x", "1", "-d", "demo")[2].startswith("error: there is no dataflow `demo`; running")
    assert param("set", "camera", "", "1") == (1, "", "error: the key of a parameter must not be empty\n")
    code, _, said = param("set", "camera")
    assert (code, said.splitlines()[0]) == (2, "error: missing argument 'KEY'")
    code, _, said = param("set", "camera", "is_on", "True")
    assert (code, said) == (0, 'note: this is the text "True"; JSON writes true\n')
    param("set", "camera", "a", "[1]")
    assert param("list", "camera")[1] == 'Parameters for node `camera`:\n  a = [1]\n  is_on = "True"\n'
    assert json.loads(param("list", "camera", "--format", "json")[1]) == {"a": [1], "is_on": "True"}
    assert param("get", "camera", "a")[1] == "[1]\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service with a dataflow of one node."""
    (tmp_path / "camera.py").write_text(textwrap.dedent(NODE))
    (tmp_path / "dataflow.yml").write_text(
        "nodes:\n  - {id: camera, path: camera.py, inputs: {tick: dora/timer/millis/50}}\n"
    )
    world = World(tmp_path)
    try:
        yield world
    finally:
        left = world.end()
    assert not left


def test_parameters_outlive_the_service_and_the_dataflow(world: World, dora: Callable[[Path], Command]) -> None:
    param = dora(world.home)
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    assert param("set", "camera", "one", "1") == (0, "Set `one` = 1 on node `camera`\n", "")
    os.kill(world.service_pid(), signal.SIGKILL)
    wait_until(lambda: find_socket(os.environ) is None, what="the service to be gone")
    assert param("set", "camera", "two", "2") == (0, "Set `two` = 2 on node `camera`\n", "")
    world.says("up")
    assert param("set", "camera", "three", "3", "-d", "demo")[0] == 0
    world.says("stop", "demo")
    both = "Parameters for node `camera`:\n  one = 1\n  three = 3\n  two = 2\n"
    assert param("list", "camera", "-d", "demo") == (0, both, "")
    _, _, note = param("set", "camera", "four", "4", "-d", "demo")
    assert note == "note: demo has ended: no node hears of this, and `dora restart` starts without it\n"
    said = world.says("logs", "demo", "--node", "camera", "--log-format", "json")
    heard = [entry["message"] for entry in map(json.loads, said.splitlines()) if "PARAM" in entry["message"]]
    assert heard == ["PARAM_UPDATE one 1", "PARAM_UPDATE two 2", "PARAM_UPDATE three 3"]


def test_the_client_sets_what_the_node_gets(world: World, dora: Callable[[Path], Command]) -> None:
    dora(world.home)
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    value: Any = {"deep": [1, 2.5, None, "x"], "big": 10**25}
    for control in (Control(Address(path=str(world.home / "service.sock"))), DirectControl()):
        assert control.set_param("demo", "camera", "a/b", value).value == value
        assert control.param("demo", "camera", "a/b").value == value
        assert control.params("demo", "camera").params == {"a/b": value}
        assert control.delete_param("demo", "camera", "a/b").params == {}
        with pytest.raises(Exception, match="the value cannot be written as JSON") as caught:
            control.set_param("demo", "camera", "x", float("nan"))
        assert caught.value.code == "wrong-request"
