"""The graph of a dataflow: boxes, arrows, groups."""

from __future__ import annotations

from typing import Any

from dora.dataflow.graph import LOGS, MISSING, MODULE, NODE, OPERATOR, RUNTIME, TIMER, Arrow, Group, graph_of


def graph(*nodes: dict[str, Any]) -> tuple[list[tuple[str, str]], list[Arrow]]:
    """Titles and kinds of the boxes, and the arrows."""
    found = graph_of({"nodes": list(nodes)})
    return [(box.title, box.kind) for box in found.boxes], list(found.arrows)


def test_input_is_an_arrow_from_the_node_it_reads() -> None:
    boxes, arrows = graph(
        {"id": "camera", "path": "c.py", "outputs": ["image"]},
        {"id": "plot", "path": "p.py", "inputs": {"in": {"source": "camera/image", "queue_size": 1}}},
    )
    assert boxes == [("camera", NODE), ("plot", NODE)]
    assert arrows == [Arrow(0, "image", 1, "in")]


def test_timers_and_logs_are_boxes_shared_by_their_readers() -> None:
    boxes, arrows = graph(
        {"id": "a", "inputs": {"t": "dora/timer/hz/30", "l": "dora/logs/info"}},
        {"id": "b", "inputs": {"t": "dora/timer/hz/30"}},
    )
    assert boxes[2:] == [("hz/30", TIMER), ("dora/logs/info", LOGS)]
    assert arrows == [Arrow(2, "", 0, "t"), Arrow(3, "", 0, "l"), Arrow(2, "", 1, "t")]


def test_timer_node_is_a_timer() -> None:
    boxes, _ = graph({"id": "tick", "path": "dora/timer/millis/100", "outputs": ["tick"]})
    assert boxes == [("tick", TIMER)]


def test_operators_are_boxes_of_their_own() -> None:
    boxes, arrows = graph(
        {"id": "rt", "operators": [{"id": "a", "outputs": ["x"]}, {"id": "b", "inputs": {"x": "rt/a/x"}}]}
    )
    assert boxes == [("rt / a", OPERATOR), ("rt / b", OPERATOR)]
    assert arrows == [Arrow(0, "x", 1, "x")]


def test_single_operator_is_read_by_the_short_and_the_long_name() -> None:
    boxes, arrows = graph(
        {"id": "det", "operator": {"python": "d.py", "outputs": ["boxes"]}},
        {"id": "plot", "inputs": {"a": "det/boxes", "b": "det/op/boxes"}},
    )
    assert boxes == [("det", OPERATOR), ("plot", NODE)]
    assert arrows == [Arrow(0, "boxes", 1, "a"), Arrow(0, "boxes", 1, "b")]


def test_ports_beside_an_operator_belong_to_it() -> None:
    found = graph_of({"nodes": [{"id": "d", "operator": {"python": "d.py"}, "inputs": {"i": "d/o"}, "outputs": ["o"]}]})
    assert (found.boxes[0].inputs, found.boxes[0].outputs) == (("i",), ("o",))


def test_node_that_does_not_exist_is_a_box_that_says_so() -> None:
    boxes, arrows = graph({"id": "plot", "inputs": {"a": "ghost/x"}})
    assert boxes == [("plot", NODE), ("ghost", MISSING)]
    assert arrows == [Arrow(1, "x", 0, "a")]


def test_output_that_is_not_declared_is_drawn_all_the_same() -> None:
    found = graph_of({"nodes": [{"id": "a"}, {"id": "b", "inputs": {"i": "a/x"}}]})
    assert found.boxes[0].outputs == ("x",)


def test_descriptor_of_any_shape_gives_a_graph() -> None:
    for nodes in (None, 5, [None, {}, {"id": 5, "inputs": [1], "outputs": "x", "operators": [3, {}], "operator": 2}]):
        assert graph_of({"nodes": nodes}).svg()


def test_operators_of_one_node_are_a_group() -> None:
    found = graph_of({"nodes": [{"id": "rt", "operators": [{"id": "a"}, {"id": "b"}]}, {"id": "n"}]})
    assert found.groups == (Group("rt", RUNTIME, -1),)
    assert [(box.id, box.group) for box in found.boxes] == [("rt/a", 0), ("rt/b", 0), ("n", -1)]


def test_nodes_of_modules_are_in_groups_inside_groups() -> None:
    nodes = [{"id": "m.in.x"}, {"id": "m.y"}, {"id": "m"}, {"id": "other.z"}]
    found = graph_of({"nodes": nodes}, {"m.in": "mods/in.yml", "m": "mods/m.yml"})
    assert found.groups == (Group("m", MODULE, -1, "mods/m.yml"), Group("m.in", MODULE, 0, "mods/in.yml"))
    assert [box.group for box in found.boxes] == [1, 0, -1, -1]


def test_box_keeps_what_the_descriptor_says() -> None:
    nodes = [{"id": "rt", "env": {"A": 1}, "operator": {"python": {"source": "o.py"}, "outputs": ["x"]}}]
    box = graph_of({"nodes": nodes}).boxes[0]
    assert (box.detail, box.entry["env"], box.entry["outputs"]) == ("o.py", {"A": 1}, ["x"])
