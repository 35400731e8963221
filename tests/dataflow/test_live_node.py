"""The YAML of a node that is to join a graph that runs."""

from __future__ import annotations

import pytest

from dataflow.conftest import Load
from dora.dataflow.changes import with_node, without_node
from dora.dataflow.descriptor import Dataflow, OutputSource, TimerSource
from dora.dataflow.live_node import LiveNode, read_live_node
from dora.errors import DescriptorError


def read(graph: Dataflow, text: str, replaces: str | None = None) -> LiveNode:
    return read_live_node(text, "new.yml", graph, environ={"HOME": "/home/u"}, replaces=replaces)


def problem(graph: Dataflow, text: str, replaces: str | None = None) -> str:
    with pytest.raises(DescriptorError) as caught:
        read(graph, text, replaces)
    return "\n".join(caught.value.problems)


def test_a_node_is_read_with_the_variables_of_the_dataflow(graph: Dataflow) -> None:
    text = "id: log\npath: $HOME/log.py\nenv: {MODE: fast}\ninputs: {image: {source: camera/image, queue_size: 3}}"
    node = read(graph, text).stated.node
    assert (node.path, node.env) == ("/home/u/log.py", {"SPEED": "2", "MODE": "fast"})
    assert (node.inputs["image"].source, node.inputs["image"].queue_size) == (OutputSource("camera", "image"), 3)


def test_a_list_of_one_entry_is_as_good(graph: Dataflow) -> None:
    assert read(graph, "- id: log\n  path: log.py\n").stated.node.id == "log"


def test_a_timer_node_is_read_as_its_timer(graph: Dataflow) -> None:
    node = read(graph, "id: log\npath: log.py\ninputs: {tick: clock/tick}").stated.node
    assert node.inputs["tick"].source == TimerSource(50_000_000, "dora/timer/millis/50")


def test_a_short_name_of_an_operators_output_is_completed(graph: Dataflow) -> None:
    node = read(graph, "id: log\npath: log.py\ninputs: {in: doubler/doubled}").stated.node
    assert node.inputs["in"].source == OutputSource("doubler", "op/doubled")


def test_a_node_may_read_itself(graph: Dataflow) -> None:
    assert read(graph, "id: log\npath: log.py\noutputs: [out]\ninputs: {in: log/out}").stated.node.inputs


def test_the_descriptor_gets_the_node(graph: Dataflow) -> None:
    with_log = with_node(graph, read(graph, "id: log\npath: log.py\ninputs: {image: camera/image}").stated)
    assert with_log.raw["nodes"][-1]["inputs"] == {"image": "camera/image"}
    assert without_node(with_log, "log").raw["nodes"] == graph.raw["nodes"]


def test_readers_of_a_node_that_goes_are_unplugged(graph: Dataflow) -> None:
    without = without_node(graph, "camera")
    assert list(without.unplugged) == ["lamp/on", "doubler/op/in"]
    assert [list(node.inputs) for node in without.nodes] == [["tick"], []]
    assert without.raw["nodes"][0]["inputs"] == {"tick": "dora/timer/millis/50"}
    assert without.raw["nodes"][-1]["operator"]["inputs"] == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "new.yml: expected one node, a mapping with `id` and `path`, found an empty file"),
        ("hello", "found a text"),
        ("nodes:\n  - id: a", "new.yml:1:1: expected one node, a mapping with `id` and `path`, found a dataflow"),
        ("- id: a\n- id: b", "found a list of 2"),
        ("id: [", "new.yml:"),
        ("path: log.py", "'id'"),
        ("id: camera\npath: x.py", "new.yml:1:5: there is a node 'camera' already; `dora node replace camera`"),
        ("id: clock\npath: x.py", "there is a node 'clock' already"),
        ("id: log", "expected one of path"),
        ("id: log\npath: log.py\nbuild: pip install x", "new.yml:3:1: node 'log': 'build' is not run while"),
        ("id: log\ngit: https://x/y.git\npath: log.py", "'git' is not cloned while the dataflow runs; clone it"),
        ("id: log\npath: https://x/log.py", "a URL is not downloaded while the dataflow runs"),
        ("id: log\npath: dora/timer/millis/5", "a timer cannot be added; name it as the source of inputs"),
        ("id: log\nmodule: m.yml", "a node with 'module' cannot be added"),
        ("id: log\npath: log.py\ndeploy: {machine: b}", "'deploy' cannot be on a node that is added; remove it"),
        ("id: log\npath: log.py\ninputs: {in: camra/image}", "there is no node 'camra'; did you mean 'camera'?"),
        ("id: log\npath: log.py\ninputs: {in: camera/imgae}", "no output 'imgae'; did you mean 'image'?"),
        ("id: log\npath: log.py\ninputs: {in: camera}", "found 'camera' without '/'"),
        ("id: log\npath: log.py\ninputs: {in: dora/logs/info/camra}", "there is no node 'camra'"),
        (
            "id: log\npath: log.py\ninputs: {in: camera/image}\ninput_types: {in: std/core/v1/String}",
            "new.yml:3:14: node 'log': input 'in': it expects std/core/v1/String, and this is std/core/v1/UInt8",
        ),
        (
            "id: log\npath: log.py\ninputs: {in: camera/image}\ninput_types: {in: std/core/v1/Sring}",
            "there is no type 'std/core/v1/Sring'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(graph: Dataflow, text: str, expected: str) -> None:
    assert expected in problem(graph, text)


def test_a_replacement_has_the_name_of_the_node(graph: Dataflow) -> None:
    text = problem(graph, "id: camera2\npath: x.py", replaces="camera")
    assert "expected the id 'camera' of the node to replace, found 'camera2'" in text


def test_a_replacement_must_send_what_its_readers_expect(load: Load) -> None:
    graph = load(
        "nodes:\n  - id: a\n    path: a.py\n    outputs: [x]\n"
        "  - id: b\n    path: b.py\n    inputs: {x: a/x}\n    input_types: {x: std/core/v1/Float32}\n"
    )
    text = problem(graph, "id: a\npath: a.py\noutputs: [x]\noutput_types: {x: std/core/v1/String}", replaces="a")
    assert "b/x reads its output 'x': it expects std/core/v1/Float32, and this is std/core/v1/String" in text
