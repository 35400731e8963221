"""The graph as it is now, and places in the counters page."""

from __future__ import annotations

from pathlib import Path

from histories import A, B, node

from dora.dataflow.changes import disconnected, without_node
from dora.dataflow.descriptor import Dataflow
from dora.runner.state.topology import Slots, Topology


def graph(*nodes: object) -> Dataflow:
    return Dataflow(Path("/x/d.yml"), Path("/x"), nodes)  # type: ignore[arg-type]


def test_a_place_is_used_again_only_after_many_others() -> None:
    slots = Slots(5, resting=2)
    for slot in (0, 1, 2):
        slots.give_up(slot)
    assert [slots.take(), slots.take()] == [0, 5]


def test_a_route_that_stays_keeps_its_place() -> None:
    topology = Topology(graph(A, B, node("c", "a")))
    change = topology.apply(disconnected(topology.dataflow, "b", "a"))
    assert [(route.reader, route.slot) for route in topology.routes] == [("c", 1)]
    assert [(route.reader, route.slot) for route in change.removed] == [("b", 0)]
    assert change.added == ()
    assert topology.edge_slots.take() == 2


def test_a_node_that_is_gone_gives_its_place_up() -> None:
    topology = Topology(graph(A, B))
    assert topology.apply(without_node(topology.dataflow, "a")).gone == ("a",)
    assert topology.node_slots == {"b": 1}


def test_readers_come_first_also_where_a_node_has_two_readers() -> None:
    topology = Topology(graph(A, node("d", "b", "c"), node("b", "a"), node("c", "b")))
    assert topology.readers_first() == ["d", "c", "b", "a"]


def test_a_cycle_has_an_order_too() -> None:
    topology = Topology(graph(node("a", "c"), node("b", "a"), node("c", "b"), node("e", "c")))
    assert sorted(topology.readers_first()) == ["a", "b", "c", "e"]


def test_every_change_raises_the_version() -> None:
    topology = Topology(graph(A, B))
    topology.apply(topology.dataflow)
    assert topology.version == 1


def test_another_queue_is_another_route() -> None:
    topology = Topology(graph(A, B))
    port = B.inputs["a"]._replace(queue_size=3, is_stated=True)
    change = topology.apply(graph(A, B._replace(inputs={"a": port})))
    assert ([r.queue_size for r in change.removed], [r.queue_size for r in change.added]) == ([10], [3])
